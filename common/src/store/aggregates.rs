//! Versioned aggregates: each write takes one version to the next, and raises exactly one event in the same document.

mod reading;

use std::convert::Infallible;
use std::fmt::Display;
use std::marker::PhantomData;

use bson::raw::{CStr, RawArrayBuf, RawDocumentBuf};
use bson::{Document, cstr, doc, rawdoc};
use futures::future::join_all;
use serde::Serialize;

use super::guard::compared;
use super::meter::Meter;
use super::state::Form;
use super::{
    Aggregate, Change, ChangeError, Collection, Database, HeldBack, Outbox, Relay, StoreError, Table, Versioned,
    to_document,
};
use crate::bus::EventRecord;
use crate::clock::SharedClock;
use crate::events::{DomainEvent, Raised};

/// The place in an outbox that only a full one has. So many events may wait there, of some hundred bytes each, as MongoDB
/// takes no document of more than 16 MiB: a change beyond that is refused until the broker has taken some.
const LAST_PLACE: &CStr = cstr!("outbox.999");

/// How often [`Aggregates::change`] reads again after somebody else was faster.
const ATTEMPTS: usize = 32;

/// The aggregates of one kind.
pub struct Aggregates<A> {
    table: Table,
    relay: Relay,
    clock: SharedClock,
    meter: Meter,
    kind: PhantomData<fn() -> A>,
}

impl<A> Clone for Aggregates<A> {
    fn clone(&self) -> Self {
        let Self { table, relay, clock, meter, .. } = self;
        let (table, relay, clock, meter) = (table.clone(), relay.clone(), clock.clone(), meter.clone());
        Self { table, relay, clock, meter, kind: PhantomData }
    }
}

impl<A: Aggregate> Aggregates<A> {
    /// The aggregates in a service's database, whose outboxes `relay` empties.
    pub fn new(database: &Database, relay: Relay, clock: SharedClock) -> Self {
        let table = Table::beside_outboxes(database, A::COLLECTION);
        relay.watch(database, A::COLLECTION);
        let meter = Meter::of::<A>(relay.service());
        Self { table, relay, clock, meter, kind: PhantomData }
    }

    /// The collection, for counts, for writes and for what stands [beside the states](Collection::beside_states).
    pub fn collection(&self) -> &Collection<Document> {
        self.table.collection()
    }

    /// The states, read as `R`, which takes a part of one.
    pub fn states<R: Send + Sync>(&self) -> Collection<R> {
        self.collection().states(Self::FORM)
    }

    /// The documents by their ids, for fields beside the state.
    pub fn table(&self) -> &Table {
        &self.table
    }

    const FORM: Form = Form { schema: A::SCHEMA, upcast: A::upcast };

    /// Has the next event of an aggregate go to the broker together with the one after it, if that comes as long as the answer
    /// lives.
    pub fn hold_back(&self, id: impl Display) -> HeldBack {
        self.relay.hold_back(A::COLLECTION, id.to_string())
    }

    /// Stores a new one as version 1.
    ///
    /// # Errors
    /// [`StoreError::Exists`] if there is one with this id or another unique value. That may be this very one, of an earlier
    /// try whose answer was lost: who tries again looks at what is stored.
    pub async fn insert(&self, value: A, event: Raised<A::Event>) -> Result<Versioned<A>, StoreError> {
        let (document, outbox) = self.first(&value, &event)?;
        self.insert_first(value, document, outbox).await
    }

    /// Stores a new one as version 1, with an element in the array `field` beside the state, in the same write, as
    /// [`Change::pushing`] does.
    ///
    /// # Errors
    /// As [`Aggregates::insert`].
    pub async fn insert_pushing(
        &self,
        value: A,
        event: Raised<A::Event>,
        field: &str,
        element: &impl Serialize,
    ) -> Result<Versioned<A>, StoreError> {
        let (mut document, outbox) = self.first(&value, &event)?;
        let pushed = RawDocumentBuf::try_from(&doc! { field: [to_document(element)?] })?;
        for entry in &pushed {
            let (name, array) = entry?;
            document.append(name, array);
        }
        self.insert_first(value, document, outbox).await
    }

    async fn insert_first(
        &self,
        value: A,
        document: RawDocumentBuf,
        outbox: Outbox,
    ) -> Result<Versioned<A>, StoreError> {
        self.table.insert_raw(document).await?;
        self.hand_over(outbox);
        Ok(Versioned { version: 1, value })
    }

    /// Stores new ones together, passing over those that exist.
    ///
    /// # Errors
    /// If the database fails otherwise; some may have been stored then.
    pub async fn insert_many(&self, values: Vec<(A, Raised<A::Event>)>) -> Result<(), StoreError> {
        let firsts: Vec<_> = values.iter().map(|(value, event)| self.first(value, event)).collect::<Result<_, _>>()?;
        let (documents, outboxes): (Vec<_>, Vec<_>) = firsts.into_iter().unzip();
        let stored = join_all(documents.into_iter().map(|document| self.table.insert_raw(document))).await;
        for (stored, outbox) in stored.into_iter().zip(&outboxes) {
            match stored {
                Ok(()) => self.meter.committed(&outbox.record.name),
                Err(StoreError::Exists) => {}
                Err(error) => return Err(error),
            }
        }
        self.relay.hand_over(outboxes);
        Ok(())
    }

    /// What was just committed is counted, and goes to the broker.
    fn hand_over(&self, committed: Outbox) {
        self.meter.committed(&committed.record.name);
        self.relay.hand_over(vec![committed]);
    }

    fn first(&self, value: &A, event: &Raised<A::Event>) -> Result<(RawDocumentBuf, Outbox), StoreError> {
        let id = value.id();
        let record = EventRecord::new(A::KIND, &id, 1, event, self.clock.now())?;
        let mut document = Self::FORM.state(value, &id, 1)?;
        let mut outbox = RawArrayBuf::new();
        outbox.push(bson::serialize_to_raw_document_buf(&record)?);
        document.append(cstr!("outbox"), outbox);
        Ok((document, Outbox { collection: A::COLLECTION, document: id, record }))
    }

    /// Stores the next version of what was read.
    ///
    /// Of an aggregate whose newest event says all, the event takes the place of those that wait.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if it was changed since, and [`StoreError::Full`] if too many of its events wait; nothing is
    /// stored then.
    pub async fn save(&self, current: &Versioned<A>, change: Change<A>) -> Result<Versioned<A>, StoreError> {
        let (id, version) = (current.value.id(), current.version + 1);
        let record = EventRecord::new(A::KIND, &id, version, &change.event, self.clock.now())?;
        let raised = bson::serialize_to_raw_document_buf(&record)?;
        let mut compared = compared(&id, current.version);
        let mut difference = Self::FORM.difference(&current.value, &change.next, version)?;
        let mut push = RawDocumentBuf::try_from(&change.push?)?;
        if A::Event::NEWEST_SAYS_ALL {
            let mut outbox = RawArrayBuf::new();
            outbox.push(raised);
            difference.set.append(cstr!("outbox"), outbox);
        } else {
            compared.append(LAST_PLACE, rawdoc! { "$exists": false });
            push.append(cstr!("outbox"), raised);
        }
        let mut update = difference.into_document();
        if !push.is_empty() {
            update.append(cstr!("$push"), push);
        }
        let saved = match self.table.compare_and_set(compared, update).await {
            Err(StoreError::Conflict) if self.is_full(&id, current.version).await? => Err(StoreError::Full),
            saved => saved,
        };
        saved.inspect_err(|error| self.meter.failed(error))?;
        self.hand_over(Outbox { collection: A::COLLECTION, document: id, record });
        Ok(Versioned { version, value: change.next })
    }

    /// Whether a write was refused for want of room and not because the version has moved on.
    async fn is_full(&self, id: &str, version: i64) -> Result<bool, StoreError> {
        if A::Event::NEWEST_SAYS_ALL {
            return Ok(false);
        }
        let mut full = doc! { "_id": id, "version": version };
        full.insert(LAST_PLACE.as_str(), doc! { "$exists": true });
        Ok(self.collection().count(full, Some(1)).await? > 0)
    }

    /// Reads, asks `rule` what to do, and stores it; again from the start if somebody else was faster.
    ///
    /// The rule may answer `None`: all is as it should be, nothing is stored.
    ///
    /// # Errors
    /// What the rule says, or [`ChangeError::NotFound`], or the store's errors.
    pub async fn change<E>(
        &self,
        id: impl Display,
        mut rule: impl FnMut(&Versioned<A>) -> Result<Option<Change<A>>, E>,
    ) -> Result<Versioned<A>, ChangeError<E>> {
        let id = id.to_string();
        for _ in 0..ATTEMPTS {
            let current = self.get(&id).await?.ok_or(ChangeError::NotFound)?;
            let Some(change) = rule(&current).map_err(ChangeError::Refused)? else { return Ok(current) };
            match self.save(&current, change).await {
                Err(StoreError::Conflict) => {}
                saved => return Ok(saved?),
            }
        }
        Err(StoreError::Conflict.into())
    }

    /// [`Aggregates::change`] of what was read a moment ago. It is read again if somebody else was faster, and before
    /// nothing is done or the rule's refusal is believed.
    ///
    /// # Errors
    /// As [`Aggregates::change`].
    pub async fn change_known<E>(
        &self,
        known: &Versioned<A>,
        mut rule: impl FnMut(&Versioned<A>) -> Result<Option<Change<A>>, E>,
    ) -> Result<Versioned<A>, ChangeError<E>> {
        if let Ok(Some(change)) = rule(known) {
            match self.save(known, change).await {
                Err(StoreError::Conflict) => {}
                saved => return Ok(saved?),
            }
        }
        self.change(known.value.id(), rule).await
    }

    /// [`Aggregates::change`] with a rule that never refuses.
    ///
    /// # Errors
    /// [`StoreError`]; `None` if there is no such aggregate.
    pub async fn advance(
        &self,
        id: impl Display,
        mut rule: impl FnMut(&Versioned<A>) -> Option<Change<A>>,
    ) -> Result<Option<Versioned<A>>, StoreError> {
        match self.change(id, |current| Ok::<_, Infallible>(rule(current))).await {
            Ok(changed) => Ok(Some(changed)),
            Err(ChangeError::NotFound) => Ok(None),
            Err(ChangeError::Store(error)) => Err(error),
        }
    }
}
