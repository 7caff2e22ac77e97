//! How far a service is behind: looked at now and then, and shown on `/metrics`. No request ever pays for it.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use metrics::{Counter, Gauge, counter, gauge};
use tokio_util::sync::CancellationToken;

use super::JobError;
use crate::bus::{Bus, Cause, DeadLetters, Lag, ParkedEvents, note_missed};
use crate::clock::SharedClock;
use crate::open_enum::OpenEnum as _;
use crate::store::Relay;
use crate::telemetry::float;

/// How often: one command for each collection with outboxes, one for the dead letters, one for the parked events, and to the
/// broker two questions for each domain that the service hears and one for each that it publishes.
const EVERY: Duration = Duration::from_secs(15);

/// How long a look may take: who is stalled would otherwise stall the next one too.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is looked at.
pub(super) struct Behind {
    pub(super) service: &'static str,
    pub(super) bus: Bus,
    pub(super) clock: SharedClock,
    pub(super) relay: Relay,
    pub(super) letters: DeadLetters,
    pub(super) parked: ParkedEvents,
    /// The domains that the service hears.
    pub(super) domains: Vec<&'static str>,
    /// The domains whose events it publishes.
    pub(super) owned: Vec<&'static str>,
}

impl Behind {
    /// Looks again and again until `stop`. What cannot be seen keeps its last value, and the failure is counted.
    pub(super) async fn watch(self: Arc<Self>, stop: CancellationToken) {
        let gauges = Gauges::new(self.service, &self.domains, &self.owned);
        let mut turns = tokio::time::interval(EVERY);
        turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let looking = async {
            loop {
                turns.tick().await;
                self.look(&gauges).await;
            }
        };
        stop.run_until_cancelled(looking).await;
    }

    async fn look(&self, gauges: &Gauges) {
        let looks = [
            self.outboxes(gauges).boxed(),
            self.dead_letters(gauges).boxed(),
            self.parked(gauges).boxed(),
            self.domains(gauges).boxed(),
            self.streams(gauges).boxed(),
        ];
        for look in looks {
            let seen = tokio::time::timeout(PATIENCE, look).await;
            if let Err(error) = seen.unwrap_or_else(|late| Err(late.into())) {
                gauges.failed.increment(1);
                tracing::debug!(error, service = self.service, "not seen how far the service is behind");
            }
        }
    }

    async fn outboxes(&self, gauges: &Gauges) -> Result<(), JobError> {
        let backlog = self.relay.backlog().await?;
        let age = backlog.oldest.map(|oldest| self.clock.now().since(oldest)).unwrap_or_default();
        gauges.outbox.set(float(backlog.events));
        gauges.outbox_age.set(age.as_secs_f64());
        Ok(())
    }

    async fn dead_letters(&self, gauges: &Gauges) -> Result<(), JobError> {
        gauges.dead_letters.set(float(self.letters.count().await?));
        Ok(())
    }

    async fn parked(&self, gauges: &Gauges) -> Result<(), JobError> {
        let waiting = self.parked.waiting(&self.domains).await?;
        let now = self.clock.now();
        for (domain, gauges) in self.domains.iter().zip(&gauges.domains) {
            for (cause, (events, age)) in &gauges.parked {
                // Several causes that this build does not know are one to it.
                let found =
                    waiting.iter().filter(|waiting| waiting.of.domain == *domain && waiting.of.cause.label() == *cause);
                events.set(float(found.clone().map(|waiting| waiting.events.unsigned_abs()).sum()));
                age.set(now.since(found.map(|waiting| waiting.since).min().unwrap_or(now)).as_secs_f64());
            }
        }
        Ok(())
    }

    async fn domains(&self, gauges: &Gauges) -> Result<(), JobError> {
        for (domain, gauges) in self.domains.iter().zip(&gauges.domains) {
            // A consumer that is not made yet is not behind.
            if let Some(consumer) = self.bus.consumer(domain, self.service).await? {
                let Lag { pending, unacknowledged } = Lag::of(&consumer);
                gauges.pending.set(float(pending));
                gauges.unacknowledged.set(float(unacknowledged));
                note_missed(self.service, domain, self.bus.missed(domain, Some(&consumer)).await?);
            }
        }
        Ok(())
    }

    async fn streams(&self, gauges: &Gauges) -> Result<(), JobError> {
        for (domain, filled) in self.owned.iter().zip(&gauges.streams) {
            filled.set(self.bus.fill(domain).await?.ratio());
        }
        Ok(())
    }
}

struct Gauges {
    /// How full the stream of each domain is that the service publishes.
    streams: Vec<Gauge>,
    outbox: Gauge,
    outbox_age: Gauge,
    dead_letters: Gauge,
    domains: Vec<OfDomain>,
    failed: Counter,
}

struct OfDomain {
    pending: Gauge,
    unacknowledged: Gauge,
    /// For each cause, how many events are parked, and how long the first of them has waited.
    parked: Vec<(&'static str, (Gauge, Gauge))>,
}

impl Gauges {
    fn new(service: &'static str, domains: &[&'static str], owned: &[&'static str]) -> Self {
        let of_domain = |domain: &&'static str| {
            let labels = [("service", service), ("domain", *domain)];
            OfDomain {
                pending: gauge!("consumer_pending_events", &labels),
                unacknowledged: gauge!("consumer_unacknowledged_events", &labels),
                parked: Cause::TEXTS.iter().map(|cause| (*cause, parked(service, domain, cause))).collect(),
            }
        };
        Self {
            streams: owned.iter().map(|domain| gauge!("stream_fill_ratio", "domain" => *domain)).collect(),
            outbox: gauge!("outbox_events", "service" => service),
            outbox_age: gauge!("outbox_oldest_event_age_seconds", "service" => service),
            dead_letters: gauge!("dead_letters_waiting", "service" => service),
            domains: domains.iter().map(of_domain).collect(),
            failed: counter!("measurements_failed_total", "service" => service),
        }
    }
}

fn parked(service: &'static str, domain: &'static str, cause: &'static str) -> (Gauge, Gauge) {
    let labels = [("service", service), ("domain", domain), ("cause", cause)];
    (gauge!("parked_events", &labels), gauge!("parked_events_longest_wait_seconds", &labels))
}
