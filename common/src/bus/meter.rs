//! What a listener does, counted: what became of each event, how long that took, and how late it was.

use std::time::Duration;

use metrics::{Counter, Histogram, counter, gauge, histogram};

use crate::telemetry::float;

/// Notes that the stream has dropped so many events before the listener of the service answered for them. That stays so, as
/// nobody hears them later.
pub(crate) fn note_missed(service: &str, domain: &'static str, events: u64) {
    let missed = gauge!("consumer_missed_events", "service" => service.to_owned(), "domain" => domain);
    if events > 0 {
        missed.set(float(events));
        tracing::error!(
            service,
            domain,
            events,
            "the stream dropped events that were not heard: have its owner tell the present state"
        );
    }
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
            handling: histogram!("event_handling_duration_seconds", &labels),
            delay: histogram!("event_delay_seconds", &labels),
        }
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

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    #[test]
    fn what_was_missed_stays_so_when_nothing_more_is() {
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            note_missed("payments", "orders", 3);
            note_missed("payments", "orders", 0);
            note_missed("payments", "users", 0);
        });
        let told = recorder.handle().render();
        assert!(told.contains("consumer_missed_events{service=\"payments\",domain=\"orders\"} 3"), "{told}");
        assert!(told.contains("consumer_missed_events{service=\"payments\",domain=\"users\"} 0"), "{told}");
    }
}
