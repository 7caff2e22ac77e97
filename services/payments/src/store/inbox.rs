//! Webhooks that came in, remembered by the id of their event: none is acted upon twice, and none is forgotten.

use std::time::Duration;

use bson::{Document, doc};
use common::clock::{SharedClock, Time};
use common::store::{Database, StoreError, Table};
use serde::{Deserialize, Serialize};

use crate::webhook::{Notice, Subject};

/// After this time a webhook that is not handled was left behind by a crash or a failure.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(10);

/// A webhook in the inbox.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Letter {
    /// The event's id.
    #[serde(rename = "_id")]
    pub(crate) id: String,
    /// Its type.
    pub(crate) kind: String,
    /// What it is about.
    pub(crate) subject: Subject,
    /// Whether nothing is left to do for it.
    pub(crate) handled: bool,
    /// When it first came.
    pub(crate) received_at: Time,
}

/// The inbox.
#[derive(Clone)]
pub(crate) struct Inbox {
    letters: Table,
    clock: SharedClock,
}

impl Inbox {
    /// Where it is stored.
    pub(crate) const COLLECTION: &str = "webhook_events";

    /// The inbox in the service's database.
    pub(crate) fn new(database: &Database, clock: SharedClock) -> Self {
        Self { letters: Table::new(database, Self::COLLECTION), clock }
    }

    /// Keeps a webhook. Answers whether it is new.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn keep(&self, notice: &Notice) -> Result<bool, StoreError> {
        let Notice { id, kind, subject } = notice.clone();
        let letter = Letter { id, kind, subject, handled: false, received_at: self.clock.now() };
        match self.letters.insert(&letter).await {
            Ok(()) => Ok(true),
            Err(StoreError::Exists) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Notes that nothing is left to do for an event.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn done(&self, event: &str) -> Result<(), StoreError> {
        self.letters.update(doc! { "_id": event }, doc! { "$set": { "handled": true } }).await
    }

    /// Webhooks that were kept, but not handled.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn forgotten(&self, limit: i64) -> Result<Vec<Letter>, StoreError> {
        let forgotten: Document =
            doc! { "handled": false, "receivedAt": { "$lt": self.clock.now() - FORGOTTEN_AFTER } };
        let letters = self.letters.collection().clone_with_type::<Letter>();
        letters.find(forgotten).sort(doc! { "receivedAt": 1 }).limit(limit).await
    }
}
