//! Webhooks that came in, remembered by the id of their event: none is acted upon twice, and none is forgotten.
//!
//! Whoever keeps a webhook handles it at once. If that fails, or the process dies, it becomes due, and a job of any replica
//! claims it: the claim compares and sets when it is due again, ever later, and counts the attempts. After the last attempt,
//! some three days on, it is given up: it stays for people to look at until it is forgotten with the others.

use std::time::Duration;

use bson::doc;
use common::backoff::Backoff;
use common::clock::{SharedClock, Time};
use common::store::{Database, StoreError, Table};
use serde::{Deserialize, Serialize};

use crate::webhook::{Notice, Subject};

/// How long whoever keeps or claims a webhook has for handling it.
const PAUSES: Backoff = Backoff::new(Duration::from_secs(10), Duration::from_secs(3600));

/// So often it is tried, which takes as long as Stripe would repeat it.
const ATTEMPTS: u32 = 80;

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
    /// When it is to be tried again if it is not handled. An earlier build did not say.
    #[serde(default)]
    pub(crate) due_at: Option<Time>,
    /// How often the job has tried to handle it.
    #[serde(default)]
    pub(crate) attempts: u32,
    /// When it was given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) given_up_at: Option<Time>,
}

impl Letter {
    /// Whether it is given up if this attempt fails.
    pub(crate) fn is_last_attempt(&self) -> bool {
        self.attempts + 1 >= ATTEMPTS
    }
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
        let now = self.clock.now();
        let due_at = Some(now + PAUSES.after(0));
        let letter =
            Letter { id, kind, subject, handled: false, received_at: now, due_at, attempts: 0, given_up_at: None };
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

    /// Webhooks that are due at `now` and can be read, the longest waiting first.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn due(&self, now: Time, limit: i64) -> Result<Vec<Letter>, StoreError> {
        // Those of an earlier build have no time at which they are due.
        let due = doc! { "handled": false, "dueAt": { "$not": { "$gt": now } } };
        self.letters.documents().find(due).sort(doc! { "dueAt": 1 }).limit(limit).await
    }

    /// Takes a webhook that is due before another replica does.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn claim(&self, letter: &Letter) -> Result<bool, StoreError> {
        let again = self.clock.now() + PAUSES.after(letter.attempts);
        let seen = doc! { "_id": &letter.id, "handled": false, "dueAt": letter.due_at };
        let taken = doc! { "$set": { "dueAt": again, "attempts": letter.attempts + 1 } };
        Ok(self.letters.collection().update_one(seen, taken).await?.matched_count == 1)
    }

    /// Notes that nothing more is tried for an event.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn give_up(&self, event: &str) -> Result<(), StoreError> {
        let given_up = doc! { "$set": { "handled": true, "givenUpAt": self.clock.now() } };
        self.letters.update(doc! { "_id": event, "handled": false }, given_up).await
    }

    /// How many webhooks wait to be handled, `most` at most.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn waiting(&self, most: u64) -> Result<u64, StoreError> {
        self.letters.collection().count(doc! { "handled": false }, Some(most)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_is_tried_ever_more_seldom_for_three_days() {
        assert_eq!([0, 1, 2, 20].map(|attempts| PAUSES.after(attempts)), [10, 20, 40, 3_600].map(Duration::from_secs));
        let all: Duration = (0..ATTEMPTS).map(|attempts| PAUSES.after(attempts)).sum();
        assert!((3 * 24..4 * 24).contains(&(all.as_secs() / 3600)), "{all:?}");
    }
}
