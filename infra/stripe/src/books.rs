//! Everything the stand-in remembers, as tables that change record by record.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::charges::{Charge, Method};
use crate::disputes::Dispute;
use crate::events::{Event, KeptEvent};
use crate::idempotency::{Idempotency, SavedReply};
use crate::intents::Intent;
use crate::refunds::Refund;

/// The state of one object after a change: what the journal keeps, one a line.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", content = "data", rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "a record is written down and dropped at once")]
pub(crate) enum Record {
    Intent(Intent),
    Charge(Charge),
    Method(Method),
    Refund(Refund),
    Dispute(Dispute),
    Event(Event),
    Delivered(String),
    Reply(SavedReply),
}

impl Record {
    /// Adds its line of the journal to `lines`.
    pub(crate) fn write(&self, lines: &mut Vec<u8>) {
        serde_json::to_writer(&mut *lines, self).expect("every record has a JSON form, and memory takes all bytes");
        lines.push(b'\n');
    }
}

/// The tables, keyed by id; ids sort by age.
#[derive(Default)]
pub(crate) struct Books {
    pub(crate) intents: BTreeMap<String, Intent>,
    pub(crate) charges: BTreeMap<String, Charge>,
    pub(crate) methods: BTreeMap<String, Method>,
    pub(crate) refunds: BTreeMap<String, Refund>,
    pub(crate) disputes: BTreeMap<String, Dispute>,
    pub(crate) events: BTreeMap<String, KeptEvent>,
    pub(crate) idempotency: Idempotency,
    /// The lines of the journal for what has changed.
    changes: Vec<u8>,
    /// How many changes there were since old things were forgotten.
    pub(crate) changed: usize,
}

impl Books {
    /// Changes the books and remembers the change for the journal.
    pub(crate) fn put(&mut self, record: impl Into<Record>) {
        let record = record.into();
        record.write(&mut self.changes);
        self.apply(record);
        self.changed += 1;
    }

    /// The lines that are not in the journal yet.
    pub(crate) fn changes(&self) -> &[u8] {
        &self.changes
    }

    pub(crate) fn changes_written(&mut self) {
        self.changes.clear();
    }

    pub(crate) fn apply(&mut self, record: Record) {
        match record {
            Record::Intent(it) => drop(self.intents.insert(it.id.clone(), it)),
            Record::Charge(it) => drop(self.charges.insert(it.id.clone(), it)),
            Record::Method(it) => drop(self.methods.insert(it.id.clone(), it)),
            Record::Refund(it) => drop(self.refunds.insert(it.id.clone(), it)),
            Record::Dispute(it) => drop(self.disputes.insert(it.id.clone(), it)),
            Record::Event(it) => drop(self.events.insert(it.id.clone(), it.into())),
            Record::Delivered(id) => {
                if let Some(event) = self.events.get_mut(&id) {
                    event.pending_webhooks = 0;
                }
            }
            Record::Reply(it) => self.idempotency.save(it),
        }
    }

    /// The books as the shortest journal that yields them.
    pub(crate) fn records(&self) -> impl Iterator<Item = Record> {
        let methods = self.methods.values().cloned().map(Record::Method);
        let intents = self.intents.values().cloned().map(Record::Intent);
        let charges = self.charges.values().cloned().map(Record::Charge);
        let refunds = self.refunds.values().cloned().map(Record::Refund);
        let disputes = self.disputes.values().cloned().map(Record::Dispute);
        let events = self.events.values().map(|kept| Record::Event(kept.event()));
        let replies = self.idempotency.all().map(Record::Reply);
        methods.chain(intents).chain(charges).chain(refunds).chain(disputes).chain(events).chain(replies)
    }
}

macro_rules! records {
    ($($kind:ident($type:ty)),*) => {
        $(impl From<$type> for Record {
            fn from(it: $type) -> Self {
                Self::$kind(it)
            }
        })*
    };
}

records!(
    Intent(Intent),
    Charge(Charge),
    Method(Method),
    Refund(Refund),
    Dispute(Dispute),
    Event(Event),
    Reply(SavedReply)
);
