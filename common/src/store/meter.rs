//! What is written, counted: events by their names, and comparisons that were lost.

use std::sync::Arc;

use metrics::{Counter, counter};

use super::{Aggregate, StoreError};
use crate::events::DomainEvent;

/// The counters of one kind of aggregates, made once: no write looks them up.
#[derive(Clone)]
pub(super) struct Meter {
    committed: Arc<[(&'static str, Counter)]>,
    conflicts: Counter,
}

impl Meter {
    /// The counters of the aggregates `A` of a service. Each of their events stands there, with 0 until there is one.
    pub(super) fn of<A: Aggregate>(service: &'static str) -> Self {
        let of_event = |name| counter!("events_committed_total", "service" => service, "event" => name);
        Self {
            committed: A::Event::NAMES.iter().map(|name| (*name, of_event(*name))).collect(),
            conflicts: counter!("store_conflicts_total", "service" => service, "collection" => A::COLLECTION),
        }
    }

    pub(super) fn committed(&self, event: &str) {
        if let Some((_, counter)) = self.committed.iter().find(|(name, _)| *name == event) {
            counter.increment(1);
        }
    }

    pub(super) fn failed(&self, error: &StoreError) {
        if matches!(error, StoreError::Conflict) {
            self.conflicts.increment(1);
        }
    }
}
