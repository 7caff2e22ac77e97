//! What a listener does, counted: what became of each event, how long that took, and how late it was.

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use crate::telemetry::float;

/// Events that the stream had dropped before the listener of the service answered for them.
pub(crate) fn missed(service: &str, domain: &'static str) -> Gauge {
    gauge!("consumer_missed_events", "service" => service.to_owned(), "domain" => domain)
}

/// One listener's metrics, made once: no event looks them up.
pub(super) struct Meter {
    handled: Counter,
    overtaken: Counter,
    retried: Counter,
    parked: Counter,
    dead: Counter,
    dead_letters: Counter,
    panics: Counter,
    missed: Gauge,
    handling: Histogram,
    delay: Histogram,
}

impl Meter {
    /// The metrics of a service's listener to a domain.
    pub(super) fn of(service: &str, domain: &'static str) -> Self {
        let labels = [("service", service.to_owned()), ("domain", domain.to_owned())];
        let became = |outcome| counter!("events_handled_total", "service" => service.to_owned(), "domain" => domain, "outcome" => outcome);
        Self {
            handled: became("handled"),
            overtaken: became("overtaken"),
            retried: became("retried"),
            parked: became("parked"),
            dead: became("dead"),
            dead_letters: counter!("dead_letters_total", &labels),
            panics: counter!("event_handler_panics_total", &labels),
            missed: missed(service, domain),
            handling: histogram!("event_handling_duration_seconds", &labels),
            delay: histogram!("event_delay_seconds", &labels),
        }
    }

    /// So many events were dropped before the listener answered for them.
    pub(super) fn missed(&self, events: u64) {
        self.missed.set(float(events));
    }

    /// A try took so long.
    pub(super) fn tried(&self, took: Duration) {
        self.handling.record(took);
    }

    /// An event was handled so long after its commit, and with it those that it overtook.
    pub(super) fn handled(&self, after: Duration, overtaken: usize) {
        self.handled.increment(1);
        self.overtaken.increment(overtaken as u64);
        self.delay.record(after);
    }

    /// An event will come again.
    pub(super) fn retried(&self) {
        self.retried.increment(1);
    }

    /// An event waits among the parked ones.
    pub(super) fn parked(&self) {
        self.parked.increment(1);
    }

    /// A handler panicked.
    pub(super) fn panicked(&self) {
        self.panics.increment(1);
    }

    /// An event became a dead letter.
    pub(super) fn dead(&self) {
        self.dead.increment(1);
        self.dead_letters.increment(1);
    }
}
