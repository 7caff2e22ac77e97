//! Projections: what a service keeps of others' aggregates, told by their events, in the order of their versions.

use std::fmt::Display;
use std::marker::PhantomData;
use std::time::Duration;

use bson::rawdoc;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::heard::Heard;
use super::state::{Form, Upcast};
use super::{Collection, Database, StoreError, Table, Versioned};
use crate::bus::{EventRecord, ListenError};
use crate::clock::{SharedClock, Time};
use crate::events::{is_snapshot, newest_says_all};
use crate::http::aside;

/// For how long an aggregate counts as just made, and how long its event is waited for. Events that a process had taken when it
/// was killed come again well within the first, and so does a request whose key is still another one's: what it makes has the id
/// of the first request.
const FRESH: Duration = Duration::from_secs(180);
const FRESH_WAIT: Duration = Duration::from_secs(5);
/// How much later than this machine's the clock of its maker may be.
const SKEW: Duration = Duration::from_secs(2);
/// How often what another process may have heard is looked for.
const FRESH_POLL: Duration = Duration::from_millis(250);

/// When a UUIDv7 was made; the epoch for other ids.
fn made_at(id: uuid::Uuid) -> Time {
    let (seconds, nanos) = id.get_timestamp().map_or((0, 0), |timestamp| timestamp.to_unix());
    let millis = seconds.saturating_mul(1000).saturating_add(u64::from(nanos / 1_000_000));
    Time::from_millis(i64::try_from(millis).unwrap_or(0))
}

/// Whether it was made a moment ago. The clocks of its maker and of this machine may differ.
fn is_fresh(id: uuid::Uuid, now: Time) -> bool {
    let made = made_at(id);
    now <= made + FRESH && made <= now + SKEW
}

/// What became of an event.
#[derive(Clone, Debug, PartialEq)]
pub enum Applied<T> {
    /// It was the next one and is now part of the projection.
    Now(T),
    /// It had been applied before.
    Before,
}

/// The version gate: lets the next version through, knows the ones that were seen, and sends early ones away.
fn passes(seen: i64, version: i64) -> Result<bool, ListenError> {
    match version.saturating_sub(seen) {
        1 => Ok(true),
        i64::MIN..=0 => Ok(false),
        _ => Err(ListenError::Early { seen, found: version }),
    }
}

/// [`passes`], for events that come with every version. Of an aggregate whose newest event says all, some never come. A
/// snapshot stands for all before it, so it waits for none of them.
fn gate(seen: i64, record: &EventRecord) -> Result<bool, ListenError> {
    if newest_says_all(&record.domain) {
        let leaves_out = format!("{} may leave versions out: only Projection::replace follows it", record.name);
        return Err(ListenError::permanent(leaves_out));
    }
    if is_snapshot(&record.domain, &record.name) {
        return Ok(record.version > seen);
    }
    passes(seen, record.version)
}

/// A collection that follows a kind of aggregate of another service.
pub struct Projection<T> {
    table: Table,
    form: Form,
    heard: Heard,
    kind: PhantomData<fn() -> T>,
}

impl<T> Clone for Projection<T> {
    fn clone(&self) -> Self {
        Self { table: self.table.clone(), form: self.form, heard: self.heard.clone(), kind: PhantomData }
    }
}

impl<T: Serialize + DeserializeOwned + Clone> Projection<T> {
    /// The projection in the collection `name`.
    pub fn new(database: &Database, name: &str) -> Self {
        Self { table: Table::new(database, name), form: Form::FIRST, heard: Heard::default(), kind: PhantomData }
    }

    /// With documents of a later schema than the first, and how those of the earlier ones are brought to the next.
    #[must_use]
    pub fn of_schema(self, schema: i32, upcast: Upcast) -> Self {
        Self { form: Form { schema, upcast }, ..self }
    }

    /// The states, read as `R`, which takes a part of one.
    pub fn states<R: Send + Sync>(&self) -> Collection<R> {
        self.table.collection().states(self.form)
    }

    /// Reads one.
    ///
    /// # Errors
    /// If the database does not answer or the document does not fit the type.
    pub async fn get(&self, id: impl Display) -> Result<Option<Versioned<T>>, StoreError> {
        self.table.find(id.to_string()).await?.map(|document| self.form.decode(&document)).transpose()
    }

    /// Reads one that its owner may have made a moment ago: waits for its event if its id is fresh.
    ///
    /// Ids carry the time of their making, so a made-up, old or future id is answered at once. A request holds no place among
    /// those in work while it waits, and only few of one person wait.
    ///
    /// # Errors
    /// [`StoreError::Unheard`] if there is none with a fresh id yet, if too many wait, or if no place is left after the wait;
    /// as [`Projection::get`].
    pub async fn get_soon(&self, id: uuid::Uuid, clock: &SharedClock) -> Result<Option<Versioned<T>>, StoreError> {
        let found = self.get(id).await?;
        if found.is_some() || !is_fresh(id, clock.now()) {
            return Ok(found);
        }
        let until_heard = tokio::time::timeout(FRESH_WAIT, self.until_heard(id));
        match aside(until_heard).await {
            Some(Ok(heard)) => heard.map(Some),
            Some(Err(_)) | None => Err(StoreError::Unheard),
        }
    }

    async fn until_heard(&self, id: uuid::Uuid) -> Result<Versioned<T>, StoreError> {
        let ear = self.heard.listen(id);
        loop {
            // Whatever is told after this wakes, so nothing is missed between the look and the wait.
            let told = ear.told();
            if let Some(found) = self.get(id).await? {
                return Ok(found);
            }
            // Whether it was told here or not, the next look decides.
            let _ = tokio::time::timeout(FRESH_POLL, told).await;
        }
    }

    /// Whether an event is the next one of its aggregate; false if it was applied before.
    ///
    /// # Errors
    /// [`ListenError::Early`] if an earlier event has not been seen; the store's errors.
    pub async fn is_next(&self, record: &EventRecord) -> Result<bool, ListenError> {
        let seen = self.get(&record.aggregate).await?.map_or(0, |known| known.version);
        gate(seen, record)
    }

    /// Applies the next event of an aggregate with `fold`, which gets what is known of it so far and answers what is known after it.
    ///
    /// # Errors
    /// [`ListenError::Early`] if an earlier event has not been seen; a permanent error if `fold` makes nothing of it; the store's errors.
    pub async fn apply(
        &self,
        record: &EventRecord,
        fold: impl FnOnce(Option<T>) -> Option<T>,
    ) -> Result<Applied<T>, ListenError> {
        // Nothing can be known before the first event. If that is a repetition, the write finds out.
        let known = if record.version == 1 { None } else { self.get(&record.aggregate).await? };
        let seen = known.as_ref().map_or(0, |known| known.version);
        if !gate(seen, record)? {
            return Ok(Applied::Before);
        }
        let next = fold(known.as_ref().map(|known| known.value.clone())).ok_or_else(|| {
            ListenError::permanent(format!("{} cannot be the first event of an aggregate", record.name))
        })?;
        let written = match known {
            None => self.table.insert_raw(self.form.state(&next, &record.aggregate, record.version)?).await,
            Some(known) => {
                let seen = rawdoc! { "_id": record.aggregate.as_str(), "version": seen };
                let difference = self.form.difference(&known.value, &next, record.version)?;
                self.table.compare_and_set(seen, difference.into_document()).await
            }
        };
        match written {
            Ok(()) => {
                self.heard.tell(&record.aggregate);
                Ok(Applied::Now(next))
            }
            // Of a snapshot that is not so: what was stored meanwhile may be an older state.
            Err(StoreError::Exists) if record.version == 1 => Ok(Applied::Before),
            Err(error) => Err(error.into()),
        }
    }

    /// Applies an event that carries the whole state: the newest is the truth, and older ones are passed over.
    ///
    /// # Errors
    /// The store's errors.
    pub async fn replace(&self, record: &EventRecord, value: &T) -> Result<Applied<()>, StoreError> {
        let known = rawdoc! { "$not": { "$gt": self.form.schema } };
        let older = rawdoc! { "_id": record.aggregate.as_str(), "version": { "$lt": record.version }, "schema": known };
        let whole = self.form.state(value, &record.aggregate, record.version)?;
        match self.table.compare_and_set(older, rawdoc! { "$set": whole }).await {
            Ok(()) => {
                self.heard.tell(&record.aggregate);
                Ok(Applied::Now(()))
            }
            // It is newer, or a later build wrote it, which the reading tells.
            Err(StoreError::Conflict) => self.get(&record.aggregate).await.map(|_| Applied::Before),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_tells_when_it_was_made() {
        let at = Time::from_millis(1_795_000_000_123);
        assert_eq!(made_at(crate::id::uuid_at(at)), at);
        assert_eq!(made_at(uuid::Uuid::nil()), Time::from_millis(0));
    }

    #[test]
    fn only_what_was_just_made_is_fresh() {
        let (now, second) = (Time::from_millis(1_795_000_000_000), Duration::from_secs(1));
        let made = [now - FRESH - second, now - FRESH, now, now + SKEW, now + SKEW + second];
        assert_eq!(made.map(|made| is_fresh(crate::id::uuid_at(made), now)), [false, true, true, true, false]);
        assert!(!is_fresh(uuid::Uuid::nil(), now));
    }

    fn record(name: &str, version: i64) -> EventRecord {
        let (id, aggregate) = (format!("order:1:{version}"), "1".to_owned());
        let (name, domain, at) = (name.to_owned(), "orders".to_owned(), Time::from_millis(0));
        let (actor, traceparent, payload) = (None, None, String::new());
        EventRecord { id, domain, aggregate, version, name, schema: 1, at, actor, traceparent, payload }
    }

    #[test]
    fn a_snapshot_waits_for_no_predecessor_and_nothing_old_passes() {
        let gate = |seen, name, version| gate(seen, &record(name, version));
        assert!(matches!(gate(0, "order.snapshot", 7), Ok(true)));
        assert!(matches!(gate(6, "order.snapshot", 7), Ok(true)));
        assert!(matches!((gate(7, "order.snapshot", 7), gate(8, "order.snapshot", 7)), (Ok(false), Ok(false))));
        assert!(matches!((gate(7, "order.completed", 3), gate(7, "order.refunded", 8)), (Ok(false), Ok(true))));
        assert!(matches!(gate(0, "order.completed", 7), Err(ListenError::Early { .. })));
    }

    #[test]
    fn the_gate_lets_only_the_next_version_through() {
        assert!(matches!((passes(0, 1), passes(4, 5)), (Ok(true), Ok(true))));
        assert!(matches!((passes(4, 4), passes(4, i64::MIN)), (Ok(false), Ok(false))));
        assert!(matches!(passes(4, 6), Err(ListenError::Early { seen: 4, found: 6 })));
        assert!(matches!(passes(0, 2), Err(ListenError::Early { .. })));
    }
}
