//! How often the events of an aggregate are told whose newest one says all: the first at once, and of those that come soon after it
//! the newest.
//!
//! A listing that sells changes its inventory many times a second. To tell each change would cost the broker and those who hear it
//! more than the change itself, and nobody looks at counts that fast.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use tokio::time::Instant;

use super::Outbox;
use super::relay::Place;
use crate::events::newest_says_all;

/// How far apart two such events of one aggregate are told.
const APART: Duration = Duration::from_millis(500);

/// The aggregates of which something was told within [`APART`].
#[derive(Default)]
pub(super) struct Throttle(HashMap<Place, Told>);

struct Told {
    at: Instant,
    version: i64,
    /// What waits for its turn.
    newest: Option<Outbox>,
}

impl Throttle {
    /// Those of the events that are told now; of the others the newest waits.
    pub(super) fn admit(&mut self, events: impl Iterator<Item = Outbox>, now: Instant) -> Vec<Outbox> {
        events.filter_map(|event| self.pass(event, now)).collect()
    }

    fn pass(&mut self, event: Outbox, now: Instant) -> Option<Outbox> {
        if !newest_says_all(&event.record.domain) {
            return Some(event);
        }
        match self.0.entry((event.collection, event.document.clone())) {
            Entry::Vacant(first) => {
                first.insert(Told { at: now, version: event.record.version, newest: None });
                Some(event)
            }
            Entry::Occupied(told) => {
                let told = told.into_mut();
                let known = told.newest.as_ref().map_or(told.version, |newest| newest.record.version);
                if known < event.record.version {
                    told.newest = Some(event);
                }
                None
            }
        }
    }

    /// Those whose turn has come.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Outbox> {
        let mut due = Vec::new();
        self.0.retain(|_, told| {
            if now < told.at + APART {
                return true;
            }
            let Some(newest) = told.newest.take() else { return false };
            (told.at, told.version) = (now, newest.record.version);
            due.push(newest);
            true
        });
        due
    }

    /// When the turn of the next one comes; `None` if none waits.
    pub(super) fn next_turn(&self) -> Option<Instant> {
        self.0.values().filter(|told| told.newest.is_some()).map(|told| told.at + APART).min()
    }

    /// All that wait.
    pub(super) fn into_waiting(self) -> Vec<Outbox> {
        self.0.into_values().filter_map(|told| told.newest).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::EventRecord;
    use crate::clock::Time;
    use crate::telemetry::stopwatch;

    fn event(domain: &str, document: &str, version: i64) -> Outbox {
        let (id, aggregate) = (format!("{document}:{version}"), document.to_owned());
        let (name, domain, at) = (format!("{domain}.changed"), domain.to_owned(), Time::from_millis(0));
        let (actor, traceparent, payload) = (None, None, String::new());
        let record = EventRecord { id, domain, aggregate, version, name, schema: 1, at, actor, traceparent, payload };
        Outbox { collection: "things", document: document.to_owned(), record }
    }

    fn versions(events: &[Outbox]) -> Vec<(&str, i64)> {
        events.iter().map(|event| (event.document.as_str(), event.record.version)).collect()
    }

    #[test]
    fn of_what_comes_soon_after_the_first_only_the_newest_is_told() {
        let (mut throttle, begun) = (Throttle::default(), stopwatch());
        let counts = |document, numbers: &[i64]| -> Vec<Outbox> {
            numbers.iter().map(|version| event("inventory", document, *version)).collect()
        };
        assert_eq!(versions(&throttle.admit(counts("a", &[1, 2, 4, 3]).into_iter(), begun)), [("a", 1)]);
        assert_eq!(versions(&throttle.admit(counts("b", &[7]).into_iter(), begun)), [("b", 7)]);
        assert_eq!(throttle.next_turn(), Some(begun + APART));
        assert!(throttle.due(begun + APART / 2).is_empty());
        assert_eq!(versions(&throttle.due(begun + APART)), [("a", 4)]);
        assert!(throttle.admit(counts("a", &[3, 4]).into_iter(), begun + APART).is_empty());
        assert_eq!(throttle.next_turn(), None, "what was told, or is older, is not told again");

        let later = begun + APART * 3 / 2;
        assert!(throttle.admit(counts("a", &[5]).into_iter(), later).is_empty(), "the last was told a moment ago");
        assert_eq!(versions(&throttle.admit(counts("b", &[8]).into_iter(), later)), [("b", 8)]);
        assert_eq!(versions(&throttle.into_waiting()), [("a", 5)]);
    }

    #[test]
    fn an_event_of_which_each_says_something_waits_for_nothing() {
        let (mut throttle, now) = (Throttle::default(), stopwatch());
        let orders = [1, 2, 3].map(|version| event("orders", "a", version));
        assert_eq!(throttle.admit(orders.into_iter(), now).len(), 3);
        assert_eq!(throttle.next_turn(), None);
    }
}
