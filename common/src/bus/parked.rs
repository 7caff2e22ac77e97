//! Parked events: what has to wait leaves the broker's consumer and stands in a collection of the service's own database.
//!
//! A listener parks an event and only then acknowledges it, so an event is at the broker, or parked, or a dead letter, or
//! handled; a crash in between makes it two of these, never none. The worker (`parked_worker`) claims events that are due:
//! `claimedUntil` and `claim` say until when and by whom, and every later write compares the claim. A claim that is not
//! released ends by itself, so what a killed process had claimed is handled by another. `attempts` counts the tries that
//! failed by the present cause. All parked events are due when a service starts, since its build may know more.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bson::{Document, doc};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::cause::LONGEST;
use super::{Cause, DeadLetter};
use crate::clock::{SharedClock, Time};
use crate::gather::Gather;
use crate::open_enum::OpenEnum as _;
use crate::store::{Collection, Database, Indexes, StoreError, Table};

/// How long a claim lasts. No try begins after [`BEGIN_WITHIN`], and each has its own limit, so it ends before the claim does.
pub(super) const CLAIM: Duration = Duration::from_secs(45);
pub(super) const BEGIN_WITHIN: Duration = Duration::from_secs(20);

/// An event that waits.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ParkedEvent {
    /// As of a dead letter.
    #[serde(rename = "_id")]
    pub id: String,
    /// The domain whose stream carried it.
    pub domain: String,
    /// Its subject.
    pub subject: String,
    /// The aggregate whose event it is.
    pub aggregate: String,
    /// The version that it takes its aggregate to; 0 if it does not say.
    pub version: i64,
    /// Its headers.
    pub headers: BTreeMap<String, String>,
    /// Its payload, byte for byte.
    pub payload: bson::Binary,
    /// What it waits for.
    pub cause: Cause,
    /// How many tries have failed by this cause.
    pub attempts: i64,
    /// Why the last try failed.
    pub error: String,
    /// Since when it waits.
    pub parked_at: Time,
    /// When it is tried again.
    pub due_at: Time,
    /// Until when nobody else may try it.
    pub claimed_until: Time,
    /// Who may.
    pub claim: String,
}

impl ParkedEvent {
    /// Parks what would be a dead letter.
    pub(super) fn new(letter: DeadLetter, cause: Cause, due_at: Time) -> Self {
        let (aggregate, version) = (letter.aggregate().to_owned(), letter.version());
        let DeadLetter { id, service: _, domain, subject, headers, payload, error, attempts, at } = letter;
        let (claimed_until, claim) = (Time::default(), String::new());
        Self {
            id,
            domain,
            subject,
            aggregate,
            version,
            headers,
            payload,
            cause,
            attempts,
            error,
            parked_at: at,
            due_at,
            claimed_until,
            claim,
        }
    }

    /// The letter that it becomes when it is given up.
    pub(super) fn into_letter(self, service: &str, at: Time) -> DeadLetter {
        let Self { id, domain, subject, headers, payload, error, attempts, .. } = self;
        DeadLetter { id, service: service.to_owned(), domain, subject, headers, payload, error, attempts, at }
    }
}

/// How many events of a domain wait for a cause, and since when the first of them.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct Waiting {
    #[serde(rename = "_id")]
    pub(crate) of: WaitingOf,
    pub(crate) events: i64,
    pub(crate) since: Time,
}

/// Which events these are.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct WaitingOf {
    pub(crate) domain: String,
    pub(crate) cause: Cause,
}

/// The parked events of one service.
#[derive(Clone)]
pub struct ParkedEvents {
    table: Table,
    collection: Collection<ParkedEvent>,
    clock: SharedClock,
    /// Whether there are any, as far as this process has seen lately.
    any: Arc<AtomicBool>,
    /// Tells the worker that some may be due.
    due: Arc<Notify>,
    /// Deletes events by their ids and claims, many at a time.
    done: Gather<(String, String), bool>,
}

impl ParkedEvents {
    /// The collection's name.
    pub const COLLECTION: &str = "parked_events";

    /// The parked events in a service's database.
    pub fn new(database: &Database, clock: SharedClock) -> Self {
        let collection = database.collection(Self::COLLECTION);
        let deleted = collection.clone();
        Self {
            done: Gather::new(move |events| delete(deleted.clone(), events)),
            table: Table::new(database, Self::COLLECTION),
            collection,
            clock,
            any: Arc::default(),
            due: Arc::default(),
        }
    }

    /// What the collection is searched by: due events, the events of an aggregate, and what waits for a cause.
    pub fn indexes() -> Indexes {
        Indexes::of(Self::COLLECTION)
            .on(doc! { "dueAt": 1, "_id": 1 })
            .on(doc! { "aggregate": 1, "domain": 1, "version": 1 })
            .on(doc! { "domain": 1, "cause": 1, "dueAt": 1, "parkedAt": 1 })
    }

    /// Parks an event. One that is parked already stays as it is.
    pub(super) async fn park(&self, event: &ParkedEvent) -> Result<(), StoreError> {
        match self.table.insert(event).await {
            Ok(()) | Err(StoreError::Exists) => {
                self.any.store(true, Ordering::Relaxed);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Whether there are any.
    pub(super) async fn look(&self) -> Result<bool, StoreError> {
        let any = self.collection.estimated_count().await? > 0;
        self.any.store(any, Ordering::Relaxed);
        Ok(any)
    }

    /// Waits until somebody says that events may be due.
    pub(super) async fn may_be_due(&self) {
        self.due.notified().await;
    }

    /// Claims up to `limit` events that are due, those first that have been due for longest.
    pub(super) async fn claim(&self, limit: usize) -> Result<Vec<ParkedEvent>, StoreError> {
        let now = self.clock.now();
        // A claim that ends later than any can is of a process whose clock is ahead.
        let claimed = doc! { "$gt": now, "$lte": now + 2 * CLAIM };
        let due = doc! { "dueAt": { "$lte": now }, "claimedUntil": { "$not": claimed } };
        let ids = self.ids(due.clone(), doc! { "dueAt": 1, "_id": 1 }, limit).await?;
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let claim = crate::id::uuid_at(now).to_string();
        let mut free = due;
        free.insert("_id", doc! { "$in": &ids });
        let taken = doc! { "$set": { "claimedUntil": now + CLAIM, "claim": &claim } };
        let count = self.collection.update_many(free, taken).await?.matched_count;
        let taken = doc! { "_id": { "$in": &ids }, "claim": &claim };
        let events = self.collection.find(taken).sort(doc! { "_id": 1 }).await?;
        if (events.len() as u64) < count {
            self.put_off(&events, &claim).await?;
        }
        Ok(events)
    }

    /// Releases what was claimed beside `events` and cannot be read, until a later build may have come.
    async fn put_off(&self, events: &[ParkedEvent], claim: &str) -> Result<(), StoreError> {
        let read: Vec<&str> = events.iter().map(|event| event.id.as_str()).collect();
        let due_at = self.clock.now() + Cause::NewerEvent.wait(1);
        let released = doc! { "$set": { "dueAt": due_at, "claimedUntil": Time::default(), "claim": "" } };
        self.collection.update_many(doc! { "claim": claim, "_id": { "$nin": read } }, released).await?;
        Ok(())
    }

    async fn ids(&self, filter: Document, sort: Document, limit: usize) -> Result<Vec<String>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let found = self.table.collection().find(filter).projection(doc! { "_id": 1 }).sort(sort).limit(limit).await?;
        Ok(found.iter().filter_map(|document| document.get_str("_id").ok().map(str::to_owned)).collect())
    }

    /// Of some claimed events' aggregates, those that have other events in work or due, with the least of these events' versions.
    pub(super) async fn others_due(
        &self,
        events: &[ParkedEvent],
    ) -> Result<BTreeMap<(String, String), i64>, StoreError> {
        let Some(first) = events.first() else { return Ok(BTreeMap::new()) };
        let aggregates: Vec<&str> = events.iter().map(|event| event.aggregate.as_str()).collect();
        let now = self.clock.now();
        let others = doc! {
            "aggregate": { "$in": aggregates },
            "claim": { "$ne": &first.claim },
            "$or": [{ "claimedUntil": { "$gt": now } }, { "dueAt": { "$lte": now } }],
        };
        let shown = doc! { "aggregate": 1, "domain": 1, "version": 1 };
        let found: Vec<Document> = self.table.collection().find(others).projection(shown).await?;
        let mut least = BTreeMap::new();
        for other in &found {
            let text = |field| other.get_str(field).unwrap_or_default().to_owned();
            let version = other.get_i64("version").unwrap_or_default();
            let known = least.entry((text("domain"), text("aggregate"))).or_insert(version);
            *known = version.min(*known);
        }
        Ok(least)
    }

    /// Forgets a claimed event, which has been handled or is a dead letter.
    pub(super) async fn forget(&self, event: &ParkedEvent) -> Result<(), StoreError> {
        let forgotten = self.done.ask((event.id.clone(), event.claim.clone())).await;
        if forgotten == Some(true) { Ok(()) } else { Err(unanswered()) }
    }

    /// Releases a claimed event until it is due again, with what is said of its tries.
    pub(super) async fn release(&self, event: &ParkedEvent) -> Result<(), StoreError> {
        let ParkedEvent { cause, attempts, error, due_at, .. } = event;
        let set = doc! {
            "cause": cause.as_str(), "attempts": attempts, "error": error, "dueAt": due_at,
            "claimedUntil": Time::default(), "claim": "",
        };
        let claimed = doc! { "_id": &event.id, "claim": &event.claim };
        self.table.update_many(claimed, doc! { "$set": set }).await
    }

    /// Whether an event of the same aggregate with a smaller version waits too.
    pub(super) async fn has_predecessor(&self, event: &ParkedEvent) -> Result<bool, StoreError> {
        let ParkedEvent { domain, aggregate, version, .. } = event;
        let before = doc! { "aggregate": aggregate, "domain": domain, "version": { "$lt": version } };
        Ok(self.table.collection().count(before, Some(1)).await? > 0)
    }

    /// Says that an event of an aggregate was handled: what came before it was seen, and waits for it, is due, and what waits for
    /// something that only a newer build knows may be. Costs nothing while nothing is parked.
    pub(super) async fn follow(&self, domain: &str, aggregate: &str) {
        if !self.any.load(Ordering::Relaxed) {
            return;
        }
        let now = self.clock.now();
        let others = [Cause::Failed, Cause::Panicked, Cause::NewerEvent].map(|cause| cause.to_string());
        let early = doc! { "$nin": others.to_vec() };
        let waiting = doc! { "aggregate": aggregate, "domain": domain, "cause": early, "dueAt": { "$gt": now } };
        // If this is not done, the event's own time comes.
        match self.table.update_many(waiting, doc! { "$set": { "dueAt": now } }).await {
            Ok(()) => self.due.notify_one(),
            Err(error) => tracing::debug!(%error, domain, aggregate, "parked events wait for their own time"),
        }
    }

    /// Makes up to `limit` events of a domain due that failed: those whose time comes next.
    pub(super) async fn hasten(&self, domain: &str, limit: usize) -> Result<(), StoreError> {
        let now = self.clock.now();
        let waiting = doc! { "domain": domain, "cause": Cause::Failed.as_str(), "dueAt": { "$gt": now } };
        let ids = self.ids(waiting, doc! { "dueAt": 1 }, limit).await?;
        if ids.is_empty() {
            return Ok(());
        }
        self.make_due(doc! { "_id": { "$in": ids }, "dueAt": { "$gt": now } }).await
    }

    /// Makes all events due.
    pub(super) async fn hasten_all(&self) -> Result<(), StoreError> {
        self.make_due(doc! { "dueAt": { "$gt": self.clock.now() } }).await
    }

    /// Makes the events due that wait longer than any should: a process whose clock is ahead has tried them.
    pub(super) async fn hasten_distant(&self) -> Result<(), StoreError> {
        self.make_due(doc! { "dueAt": { "$gt": self.clock.now() + LONGEST } }).await
    }

    async fn make_due(&self, events: Document) -> Result<(), StoreError> {
        self.collection.update_many(events, doc! { "$set": { "dueAt": self.clock.now() } }).await?;
        self.due.notify_one();
        Ok(())
    }

    /// Parks dead letters once more, due at once and as if they had never been tried. They take the place of those that are
    /// parked already: whoever has claimed one of these may be about to forget it, as its letter was kept, and finds it no more.
    pub(super) async fn park_again(&self, letters: Vec<DeadLetter>) -> Result<(), StoreError> {
        let now = self.clock.now();
        let fresh = letters.into_iter().map(|letter| DeadLetter { attempts: 0, at: now, ..letter });
        let events: Vec<ParkedEvent> = fresh.map(|letter| ParkedEvent::new(letter, Cause::Failed, now)).collect();
        futures::future::try_join_all(events.iter().map(|event| self.table.put(&event.id, event))).await?;
        self.any.store(true, Ordering::Relaxed);
        self.due.notify_one();
        Ok(())
    }

    /// What waits for what in some domains.
    pub(crate) async fn waiting(&self, domains: &[&str]) -> Result<Vec<Waiting>, StoreError> {
        let by = doc! { "domain": "$domain", "cause": "$cause" };
        let group = doc! { "_id": by, "events": { "$sum": 1_i64 }, "since": { "$min": "$parkedAt" } };
        let pipeline = [doc! { "$match": { "domain": { "$in": domains } } }, doc! { "$group": group }];
        self.table.collection().aggregate(pipeline, None).await
    }
}

/// The database did not say that it did something in time.
pub(super) fn unanswered() -> StoreError {
    StoreError::Database(std::io::Error::from(std::io::ErrorKind::TimedOut).into())
}

/// Deletes events that are done, each only while its own claim holds: another claim of the same event may be among them.
async fn delete(collection: Collection<ParkedEvent>, events: Vec<(String, String)>) -> Vec<bool> {
    let count = events.len();
    let mut claims: BTreeMap<String, Vec<String>> = BTreeMap::new();
    events.into_iter().for_each(|(id, claim)| claims.entry(claim).or_default().push(id));
    let done = claims.into_iter().map(|(claim, ids)| doc! { "_id": { "$in": ids }, "claim": claim });
    let deleted = collection.delete_many(doc! { "$or": done.collect::<Vec<_>>() }).await;
    if let Err(error) = &deleted {
        tracing::debug!(%error, "parked events were not deleted");
    }
    vec![deleted.is_ok(); count]
}
