//! What a service has committed and the broker does not have yet.

use bson::{Document, doc};
use futures::future::try_join_all;
use serde::Deserialize;

use super::indexes::outbox_keys;
use super::{Collection, Relay, StoreError};
use crate::clock::Time;

/// Documents of a collection that are counted. When there are more, the age of the oldest says how bad it is.
const COUNTED: i64 = 1000;

/// Events that wait in outboxes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// How many, of at most 1,000 documents of each collection.
    pub events: u64,
    /// When the oldest of them was committed.
    pub oldest: Option<Time>,
}

impl Backlog {
    /// What waits in the outboxes of some collections: one command for each, which reads the index of the sweep.
    ///
    /// # Errors
    /// If the database does not answer.
    pub(crate) async fn of(collections: impl Iterator<Item = Collection<Document>>) -> Result<Self, StoreError> {
        let backlogs = try_join_all(collections.map(waiting_in)).await?;
        Ok(backlogs.into_iter().fold(Self::default(), Self::and))
    }

    fn and(self, other: Self) -> Self {
        let oldest = self.oldest.into_iter().chain(other.oldest).min();
        Self { events: self.events + other.events, oldest }
    }
}

impl Relay {
    /// What waits in the outboxes of all collections that are looked after.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn backlog(&self) -> Result<Backlog, StoreError> {
        Backlog::of(self.watched().values().map(|table| table.collection().clone())).await
    }
}

async fn waiting_in(collection: Collection<Document>) -> Result<Backlog, StoreError> {
    #[derive(Deserialize)]
    struct Row {
        events: i64,
        oldest: Option<Time>,
    }
    let stages = [
        doc! { "$match": { "outbox.0": { "$exists": true } } },
        doc! { "$sort": { "outbox.at": 1 } },
        doc! { "$limit": COUNTED },
        doc! { "$group": {
            "_id": null, "events": { "$sum": { "$size": "$outbox" } }, "oldest": { "$min": { "$min": "$outbox.at" } },
        } },
    ];
    // Without the hint nothing but a scan of the collection would fit a filter that is the index's own.
    let rows: Vec<Row> = collection.aggregate(stages, outbox_keys()).await?;
    let Some(Row { events, oldest }) = rows.into_iter().next() else { return Ok(Backlog::default()) };
    Ok(Backlog { events: u64::try_from(events).unwrap_or(0), oldest })
}
