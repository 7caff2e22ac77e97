//! The archive of published events: kept 30 days by the owner, so that a damaged stream can be published again.

use std::time::Duration;

use bson::doc;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use mongodb::{Collection, Database};

use super::{Indexes, StoreError};
use crate::bus::EventRecord;
use crate::clock::Time;

const BATCH: usize = 256;

const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// The events that a service has published.
#[derive(Clone)]
pub struct EventArchive {
    collection: Collection<EventRecord>,
}

impl EventArchive {
    /// The collection's name.
    pub const COLLECTION: &str = "events";

    /// The archive in a service's database.
    pub fn new(database: &Database) -> Self {
        Self { collection: database.collection(Self::COLLECTION) }
    }

    /// Its indexes, which also end the events' time.
    pub fn indexes() -> Indexes {
        Indexes::of(Self::COLLECTION).ttl("at", KEPT)
    }

    /// Keeps what was published; what is kept already is passed over.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn keep(&self, records: &[EventRecord]) -> Result<(), StoreError> {
        if records.is_empty() {
            return Ok(());
        }
        match self.collection.insert_many(records).ordered(false).await.map_err(StoreError::from) {
            Ok(_) | Err(StoreError::Exists) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The events since `since`, in the order of their time.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn since(&self, since: Time) -> Result<Published, StoreError> {
        let cursor = self.collection.find(doc! { "at": { "$gte": since } }).sort(doc! { "at": 1 }).await?;
        Ok(Published { cursor: cursor.boxed() })
    }
}

/// Published events, as they are read from the archive.
pub struct Published {
    cursor: BoxStream<'static, mongodb::error::Result<EventRecord>>,
}

impl Published {
    /// The next ones; `None` at the end.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn next_batch(&mut self) -> Result<Option<Vec<EventRecord>>, StoreError> {
        let batch: Vec<EventRecord> = self.cursor.by_ref().take(BATCH).try_collect().await?;
        Ok((!batch.is_empty()).then_some(batch))
    }
}
