//! The relay: takes events out of the documents' outboxes to the bus, right after commit, and by a sweep where a crash came between.
//!
//! Three tasks work side by side, and none of them waits for another one for long: one publishes what was just committed, one
//! takes what is published out of the outboxes, and the [sweep](super::sweep) finds what is left there. What finds no room in
//! a queue is left to the sweep, so no request waits for the broker, and no event waits for a stalled call to the database. Only
//! where the newest event of an aggregate says all do events wait for their turn: see [`Throttle`].

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bson::doc;
use futures::future::try_join_all;
use metrics::{Counter, counter};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::throttle::Throttle;
use super::{Database, EventArchive, StoreError, Table};
use crate::bus::{Bus, EventRecord};
use crate::clock::SharedClock;
use crate::telemetry::stopwatch;

/// Events that wait in memory; more are left to the sweep.
const QUEUE: usize = 8192;

/// Events published in one go.
const BATCH: usize = 256;

/// How many published events are taken out of their outboxes together at the most, and how long the first of them waits for
/// the others: what happens to a document one after the other is taken out of it at once.
const SETTLED_TOGETHER: usize = 2048;
const SETTLED_WITHIN: Duration = Duration::from_millis(500);

/// How many may wait for that, and how long publishing waits for room there. What finds none stays in the outboxes and is
/// published once more by the sweep, which the broker notices.
const UNSETTLED: usize = 2 * SETTLED_TOGETHER;
const ROOM_WITHIN: Duration = Duration::from_millis(250);

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
    service: &'static str,
    queue: mpsc::Sender<Outbox>,
    left_to_sweep: Counter,
    watched: Watched,
    held_back: Arc<Mutex<HashMap<Place, Option<Outbox>>>>,
}

/// The collections that are looked after, and the tables through which their outboxes are emptied.
#[derive(Clone, Default)]
pub(super) struct Watched(Arc<Mutex<BTreeMap<&'static str, Table>>>);

impl Watched {
    /// All that are looked after now.
    pub(super) fn all(&self) -> BTreeMap<&'static str, Table> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Table>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A collection, and the id of a document in it.
pub(super) type Place = (&'static str, String);

impl Relay {
    /// A relay for the database of a service, and the work that it does until it is stopped. The work can be begun anew
    /// after it broke off: what it had taken from the queue then is found by the sweep.
    pub fn new(service: &'static str, database: &Database, bus: Bus, clock: SharedClock) -> (Self, RelayWork) {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let left_to_sweep = counter!("relay_left_to_sweep_total", "service" => service);
        let (watched, held_back) = (Watched::default(), Arc::default());
        let relay = Self { service, queue, left_to_sweep, watched, held_back };
        let published = counter!("events_published_total", "service" => service);
        let archive = EventArchive::new(database);
        let (left_to_sweep, watched) = (relay.left_to_sweep.clone(), relay.watched.clone());
        let worker = Worker { bus, clock, archive, published, left_to_sweep, watched };
        (relay, RelayWork { worker: Arc::new(worker), waiting: Arc::new(tokio::sync::Mutex::new(waiting)) })
    }

    /// The service whose events it takes.
    pub fn service(&self) -> &'static str {
        self.service
    }

    /// Has the sweep look after a collection of `database`. Its outboxes are emptied through a table of their own: a command with
    /// hundreds of them is not one that a request waits for.
    pub fn watch(&self, database: &Database, collection: &'static str) {
        self.watched.lock().insert(collection, Table::new(database, collection));
    }

    /// The collections that are looked after.
    pub(super) fn watched(&self) -> BTreeMap<&'static str, Table> {
        self.watched.all()
    }

    /// Hands over what was just committed. Never waits: what finds no room is found by the sweep.
    pub fn hand_over(&self, committed: Vec<Outbox>) {
        let mut held_back = self.held_back();
        for outbox in committed {
            if held_back.is_empty() {
                self.enqueue(outbox);
                continue;
            }
            match held_back.entry((outbox.collection, outbox.document.clone())) {
                Entry::Occupied(mut first) if first.get().is_none() => drop(first.insert(Some(outbox))),
                Entry::Occupied(first) => {
                    first.remove().into_iter().chain([outbox]).for_each(|next| self.enqueue(next))
                }
                Entry::Vacant(_) => self.enqueue(outbox),
            }
        }
    }

    /// Has the next event of a document wait for the one after it, as long as the answer lives: so listeners get both at once
    /// and can pass over the first.
    #[must_use]
    pub fn hold_back(&self, collection: &'static str, document: String) -> HeldBack {
        let place = (collection, document);
        self.held_back().entry(place.clone()).or_default();
        HeldBack { relay: self.clone(), place }
    }

    fn held_back(&self) -> MutexGuard<'_, HashMap<Place, Option<Outbox>>> {
        self.held_back.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enqueue(&self, outbox: Outbox) {
        if self.queue.try_send(outbox).is_err() {
            self.left_to_sweep.increment(1);
        }
    }
}

/// The next event of a document waits for the one after it. See [`Relay::hold_back`].
pub struct HeldBack {
    relay: Relay,
    place: Place,
}

impl Drop for HeldBack {
    fn drop(&mut self) {
        let alone = self.relay.held_back().remove(&self.place).flatten();
        alone.into_iter().for_each(|outbox| self.relay.enqueue(outbox));
    }
}

/// The work of a relay.
pub struct RelayWork {
    worker: Arc<Worker>,
    waiting: Arc<tokio::sync::Mutex<mpsc::Receiver<Outbox>>>,
}

impl RelayWork {
    /// Publishes until `stop`, and then what is in the queue.
    pub fn run(&self, stop: CancellationToken) -> impl Future<Output = ()> + Send + use<> {
        let (worker, waiting) = (self.worker.clone(), self.waiting.clone());
        async move { worker.run(&mut *waiting.lock().await, stop).await }
    }
}

pub(super) struct Worker {
    pub(super) bus: Bus,
    pub(super) clock: SharedClock,
    archive: EventArchive,
    published: Counter,
    left_to_sweep: Counter,
    pub(super) watched: Watched,
}

impl Worker {
    async fn run(&self, waiting: &mut mpsc::Receiver<Outbox>, stop: CancellationToken) {
        let (published, settling) = mpsc::channel(UNSETTLED);
        tokio::join!(self.publish_all(waiting, published, &stop), self.settle_all(settling), self.sweep_all(&stop));
    }

    async fn publish_all(
        &self,
        waiting: &mut mpsc::Receiver<Outbox>,
        published: mpsc::Sender<Outbox>,
        stop: &CancellationToken,
    ) {
        let (mut come, mut throttle) = (Vec::with_capacity(BATCH), Throttle::default());
        loop {
            let turn = throttle.next_turn();
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                count = waiting.recv_many(&mut come, BATCH) => if count == 0 { break },
                () = until(turn) => {}
            }
            let now = stopwatch();
            let mut told = throttle.admit(come.drain(..), now);
            told.extend(throttle.due(now));
            self.pass_on(told, &published).await;
        }
        waiting.close();
        while waiting.recv_many(&mut come, BATCH).await > 0 {
            self.pass_on(throttle.admit(come.drain(..), stopwatch()), &published).await;
        }
        self.pass_on(throttle.into_waiting(), &published).await;
    }

    async fn pass_on(&self, events: Vec<Outbox>, published: &mpsc::Sender<Outbox>) {
        let mut events = events.into_iter();
        while events.len() > 0 {
            let batch = self.publish(events.by_ref().take(BATCH).collect()).await;
            match tokio::time::timeout(ROOM_WITHIN, published.reserve_many(batch.len())).await {
                Ok(Ok(room)) => room.zip(batch).for_each(|(place, outbox)| place.send(outbox)),
                Ok(Err(_)) | Err(_) => self.left_to_sweep.increment(batch.len() as u64),
            }
        }
    }

    async fn settle_all(&self, mut settling: mpsc::Receiver<Outbox>) {
        let mut published = Vec::with_capacity(SETTLED_TOGETHER);
        while settling.recv_many(&mut published, SETTLED_TOGETHER).await > 0 {
            // That not as many come as fit is no matter.
            let _ = tokio::time::timeout(SETTLED_WITHIN, fill(&mut published, &mut settling)).await;
            self.settle(std::mem::take(&mut published)).await;
        }
    }

    /// Answers the events that the broker has. What fails stays, and the sweep finds it.
    pub(super) async fn publish(&self, batch: Vec<Outbox>) -> Vec<Outbox> {
        let records: Vec<&EventRecord> = batch.iter().map(|outbox| &outbox.record).collect();
        let results = self.bus.publish_all(&records).await;
        let mut published = Vec::with_capacity(batch.len());
        for (outbox, result) in batch.into_iter().zip(results) {
            match result {
                Ok(()) => published.push(outbox),
                Err(error) => tracing::warn!(%error, event = outbox.record.id, "event not published yet"),
            }
        }
        self.published.increment(published.len() as u64);
        published
    }

    /// Archives what the broker has, and takes it out of the outboxes. Answers whether that was done.
    pub(super) async fn settle(&self, published: Vec<Outbox>) -> bool {
        let taken_out = self.take_out(&published).await.inspect_err(|error| {
            tracing::warn!(%error, "published events not taken out of the outbox; they will be published again");
        });
        taken_out.is_ok()
    }

    async fn take_out(&self, published: &[Outbox]) -> Result<(), StoreError> {
        self.archive.keep(published.iter().map(|outbox| &outbox.record), self.clock.now()).await?;
        let tables = self.watched.all();
        let emptied = by_versions(published).into_iter().filter_map(|((collection, versions), documents)| {
            let taken_out = doc! { "$pull": { "outbox": { "version": { "$in": versions } } } };
            Some(tables.get(collection)?.update_many(doc! { "_id": { "$in": documents } }, taken_out))
        });
        try_join_all(emptied).await.map(drop)
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// Ends when [`SETTLED_TOGETHER`] are there, or no more can come.
async fn fill(published: &mut Vec<Outbox>, settling: &mut mpsc::Receiver<Outbox>) {
    let mut room = SETTLED_TOGETHER - published.len();
    while room > 0 {
        match settling.recv_many(published, room).await {
            0 => return,
            more => room -= more,
        }
    }
}

/// The documents of which events of the same versions were published, by their collection and these versions.
fn by_versions(published: &[Outbox]) -> HashMap<(&'static str, Vec<i64>), Vec<&str>> {
    let mut documents: HashMap<(&'static str, &str), BTreeSet<i64>> = HashMap::new();
    for Outbox { collection, document, record } in published {
        documents.entry((collection, document)).or_default().insert(record.version);
    }
    let mut alike: HashMap<_, Vec<&str>> = HashMap::new();
    for ((collection, document), versions) in documents {
        alike.entry((collection, versions.into_iter().collect())).or_default().push(document);
    }
    alike
}
