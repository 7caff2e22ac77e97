//! The relay: takes events out of the documents' outboxes to the bus, right after commit, and by a sweep where a crash came between.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bson::{Bson, Document, doc};
use futures::TryStreamExt;
use mongodb::Database;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{EventArchive, StoreError, from_document, update_many_statements};
use crate::bus::{Bus, EventRecord};
use crate::clock::SharedClock;

/// Events that wait in memory; more are left to the sweep.
const QUEUE: usize = 8192;

/// Events published in one go.
const BATCH: usize = 256;

/// How often the sweep looks, and how old an entry must be before the sweep takes it for forgotten.
const SWEEP_EVERY: Duration = Duration::from_secs(2);
const FORGOTTEN_AFTER: Duration = Duration::from_secs(5);
const SWEEP_BATCH: u32 = 500;

/// An event that stands in a document's outbox.
#[derive(Clone, Debug)]
pub struct Outbox {
    /// The collection of the document.
    pub collection: &'static str,
    /// The document's id.
    pub document: String,
    /// The event.
    pub record: EventRecord,
}

/// The way to a service's relay.
#[derive(Clone)]
pub struct Relay {
    queue: mpsc::Sender<Outbox>,
    collections: Arc<Mutex<BTreeSet<&'static str>>>,
}

impl Relay {
    /// A relay for one database, and the work that it does until `stop`.
    pub fn new(
        database: Database,
        bus: Bus,
        clock: SharedClock,
        stop: CancellationToken,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let relay = Self { queue, collections: Arc::default() };
        let archive = EventArchive::new(&database);
        let worker = Worker { database, bus, clock, archive, collections: relay.collections.clone() };
        (relay, worker.run(waiting, stop))
    }

    /// Has the sweep look after a collection.
    pub fn watch(&self, collection: &'static str) {
        self.collections.lock().unwrap_or_else(PoisonError::into_inner).insert(collection);
    }

    /// Hands over what was just committed. Never waits: what finds no room is found by the sweep.
    pub fn hand_over(&self, committed: Vec<Outbox>) {
        for outbox in committed {
            if self.queue.try_send(outbox).is_err() {
                metrics::counter!("relay_left_to_sweep_total").increment(1);
            }
        }
    }
}

struct Worker {
    database: Database,
    bus: Bus,
    clock: SharedClock,
    archive: EventArchive,
    collections: Arc<Mutex<BTreeSet<&'static str>>>,
}

impl Worker {
    async fn run(self, mut waiting: mpsc::Receiver<Outbox>, stop: CancellationToken) {
        let mut sweep = tokio::time::interval(SWEEP_EVERY);
        sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                count = waiting.recv_many(&mut batch, BATCH) => match count {
                    0 => break,
                    _ => {
                        self.deliver(std::mem::take(&mut batch)).await;
                    }
                },
                _ = sweep.tick() => self.sweep(&stop).await,
            }
        }
        waiting.close();
        while waiting.recv_many(&mut batch, BATCH).await > 0 {
            self.deliver(std::mem::take(&mut batch)).await;
        }
    }

    /// Publishes, then takes out of the outboxes what the broker has. What fails stays, and the sweep finds it.
    /// Answers how many events the broker took.
    async fn deliver(&self, batch: Vec<Outbox>) -> usize {
        let records: Vec<EventRecord> = batch.iter().map(|outbox| outbox.record.clone()).collect();
        let results = self.bus.publish_all(&records).await;
        let mut published = Vec::with_capacity(batch.len());
        for (outbox, result) in batch.into_iter().zip(results) {
            match result {
                Ok(()) => published.push(outbox),
                Err(error) => tracing::warn!(%error, event = outbox.record.id, "event not published yet"),
            }
        }
        metrics::counter!("events_published_total").increment(published.len() as u64);
        if let Err(error) = self.settle(&published).await {
            tracing::warn!(%error, "published events not taken out of the outbox; they will be published again");
        }
        published.len()
    }

    async fn settle(&self, published: &[Outbox]) -> Result<(), StoreError> {
        let records: Vec<EventRecord> = published.iter().map(|outbox| outbox.record.clone()).collect();
        self.archive.keep(&records).await?;
        let mut collections: HashMap<&str, HashMap<&str, Vec<Bson>>> = HashMap::new();
        for outbox in published {
            let documents = collections.entry(outbox.collection).or_default();
            documents.entry(&outbox.document).or_default().push(outbox.record.id.clone().into());
        }
        for (collection, documents) in collections {
            let updates = documents.into_iter().map(|(id, records)| (doc! { "_id": id }, take_out(records))).collect();
            update_many_statements(&self.database, collection, updates).await?;
        }
        Ok(())
    }

    async fn sweep(&self, stop: &CancellationToken) {
        let collections = self.collections.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for collection in collections {
            while !stop.is_cancelled() {
                match self.sweep_collection(collection).await {
                    Ok(Swept::More) => {}
                    Ok(Swept::Enough) => break,
                    Err(error) => {
                        tracing::warn!(%error, collection, "sweep of the outboxes failed; trying again soon");
                        break;
                    }
                }
            }
        }
    }

    async fn sweep_collection(&self, collection: &'static str) -> Result<Swept, StoreError> {
        if !self.bus.is_connected() {
            return Ok(Swept::Enough);
        }
        let forgotten =
            doc! { "outbox.0": { "$exists": true }, "outbox.at": { "$lt": self.clock.now() - FORGOTTEN_AFTER } };
        let stored = self.database.collection::<Document>(collection);
        let found = stored.find(forgotten).projection(doc! { "outbox": 1 }).limit(SWEEP_BATCH.into());
        let documents: Vec<Document> = found.await?.try_collect().await?;
        let full = documents.len() == SWEEP_BATCH as usize;
        let batch: Vec<Outbox> = documents
            .into_iter()
            .map(|document| outboxes(collection, document))
            .collect::<Result<Vec<_>, _>>()?
            .concat();
        let delivered = !batch.is_empty() && self.deliver(batch).await > 0;
        Ok(if full && delivered { Swept::More } else { Swept::Enough })
    }
}

enum Swept {
    More,
    Enough,
}

fn take_out(records: Vec<Bson>) -> Document {
    doc! { "$pull": { "outbox": { "_id": { "$in": records } } } }
}

fn outboxes(collection: &'static str, document: Document) -> Result<Vec<Outbox>, StoreError> {
    #[derive(Deserialize)]
    struct Row {
        #[serde(rename = "_id")]
        id: String,
        outbox: Vec<EventRecord>,
    }
    let Row { id, outbox } = from_document(&document)?;
    Ok(outbox.into_iter().map(|record| Outbox { collection, document: id.clone(), record }).collect())
}
