//! The sweep: publishes what the relay did not get to, because a process ended, the broker was away, or there was no room.
//!
//! It is a task of its own beside the publishing of what was just committed, so neither a call that stalls nor events that come
//! without a pause keep the one from the other. The oldest events go first. Every replica sweeps, and no two of them agree on
//! anything: the broker takes an event once that several publish within ten minutes, listeners take it twice after that, and
//! to take an event out of its outbox that is out already changes nothing.

use std::time::Duration;

use bson::doc;
use serde::Deserialize;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::relay::Worker;
use super::{Outbox, StoreError, Table};
use crate::bus::EventRecord;

/// How often the sweep looks, and how old an entry must be before the sweep takes it for forgotten.
const SWEEP_EVERY: Duration = Duration::from_secs(2);
const FORGOTTEN_AFTER: Duration = Duration::from_secs(5);

/// How many documents it reads at a time, and how many of the first events of each.
const DOCUMENTS: usize = 500;
const EVENTS: usize = 20;

enum Swept {
    More,
    Enough,
}

impl Worker {
    /// Sweeps until `stop`. What it breaks off then stays in the outboxes.
    pub(super) async fn sweep_all(&self, stop: &CancellationToken) {
        let mut turns = tokio::time::interval(SWEEP_EVERY);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let sweeping = async {
            loop {
                turns.tick().await;
                for (collection, table) in self.watched.all() {
                    self.sweep(collection, &table).await;
                }
            }
        };
        stop.run_until_cancelled(sweeping).await.unwrap_or_default()
    }

    async fn sweep(&self, collection: &'static str, table: &Table) {
        loop {
            match self.sweep_some(collection, table).await {
                Ok(Swept::More) => {}
                Ok(Swept::Enough) => return,
                Err(error) => {
                    tracing::warn!(%error, collection, "sweep of the outboxes failed; trying again soon");
                    return;
                }
            }
        }
    }

    async fn sweep_some(&self, collection: &'static str, table: &Table) -> Result<Swept, StoreError> {
        #[derive(Deserialize)]
        struct Row {
            #[serde(rename = "_id")]
            id: String,
            outbox: Vec<EventRecord>,
        }
        if !self.bus.is_connected() {
            return Ok(Swept::Enough);
        }
        let since = self.clock.now() - FORGOTTEN_AFTER;
        let forgotten = doc! { "outbox.0": { "$exists": true }, "outbox.at": { "$lt": since } };
        let first = doc! { "outbox": { "$slice": ["$outbox", EVENTS as i64] } };
        let rows = table.collection().beside_states::<Row>();
        let rows = rows.find(forgotten).projection(first).limit(DOCUMENTS as i64).await?;
        let full = rows.len() == DOCUMENTS || rows.iter().any(|row| row.outbox.len() == EVENTS);
        let events = rows.into_iter().flat_map(|Row { id, outbox }| {
            outbox.into_iter().map(move |record| Outbox { collection, document: id.clone(), record })
        });
        let published = self.publish(events.collect()).await;
        let some = !published.is_empty() && self.settle(published).await;
        Ok(if full && some { Swept::More } else { Swept::Enough })
    }
}
