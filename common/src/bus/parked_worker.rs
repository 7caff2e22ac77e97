//! The worker that tries parked events again: one for each service in each process; replicas share the work by claims.
//!
//! It looks each second, and at once when a success may have ended what others wait for. It takes at most [`AT_ONCE`] events at a
//! time. The events of one aggregate are tried in the order of their versions: those that it has claimed one after the
//! other, and none while one with a smaller version is due or in work elsewhere. A success after failures makes more of the
//! domain's failed events due, and these more again, so that a thousand are done soon after their cause is over; each
//! five seconds one is due in any case. An event is given up by [`Cause::is_hopeless`], an early one only if no
//! predecessor of it waits too.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::attempt::attempt;
use super::dead_letters::{header_map, said};
use super::listen::Intake;
use super::meter::Meter;
use super::parked::{BEGIN_WITHIN, CLAIM, ParkedEvent, unanswered};
use super::{Cause, ListenError, Listener};
use crate::store::StoreError;
use crate::telemetry::stopwatch;

/// How many events are tried at a time.
const AT_ONCE: usize = 64;

/// How often the worker looks, how long a look may take, and the shortest time between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_secs(10);
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// How often one failed event of each domain is tried before its time, to find out whether the cause is over.
const PROBE_EVERY: Duration = Duration::from_secs(5);

/// How many failed events one success makes due, and how many at most are made due at a time.
const HASTENED_BY_ONE: usize = 16;
const HASTENED: usize = 1_024;

/// How long an event waits that came to its turn before its predecessor was through.
const BEHIND: Duration = Duration::from_millis(500);

/// What became of a claimed event.
enum Tried {
    /// It was handled; whether tries before had failed.
    Handled { after_failures: bool },
    /// It is to be tried again.
    Waits(ParkedEvent),
    /// It is given up.
    Dead(ParkedEvent),
}

/// Tries the parked events of a service.
pub(crate) struct ParkedWorker {
    intake: Intake,
    listeners: Vec<(Listener, Meter)>,
}

/// How many events of each domain were handled after failures.
type Recovered = HashMap<String, usize>;

impl ParkedWorker {
    /// The worker of a service that has these listeners.
    pub(crate) fn new(intake: Intake, listeners: &[Listener]) -> Self {
        let service = intake.service;
        let with_meter = |listener: &Listener| (listener.clone(), Meter::of(service, listener.domain));
        Self { intake, listeners: listeners.iter().map(with_meter).collect() }
    }

    /// Works until told to stop; what was begun is finished first.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        let (mut running, mut recovered, mut probed) = (JoinSet::new(), Recovered::new(), None);
        let mut first = true;
        while !stop.is_cancelled() {
            let probe = probed.is_none_or(|at: Instant| at.elapsed() >= PROBE_EVERY);
            if probe {
                probed = Some(stopwatch());
            }
            // A claim lasts from a moment in the look, so its time is measured from before that.
            let began = stopwatch();
            let look = self.look(&mut first, probe, std::mem::take(&mut recovered), AT_ONCE - running.len());
            let found = tokio::time::timeout(LOOK, look).await;
            for events in found.unwrap_or_else(|_| Err(unanswered())).unwrap_or_else(|error| self.not_seen(&error)) {
                running.spawn(self.clone().work(events, began));
            }
            self.wait(&mut running, &mut recovered, &stop).await;
        }
        while let Some(done) = running.join_next().await {
            note(&mut recovered, done);
        }
    }

    /// Waits until there may be something to do, and a place for it.
    async fn wait(&self, running: &mut JoinSet<Recovered>, recovered: &mut Recovered, stop: &CancellationToken) {
        tokio::time::sleep(BETWEEN_LOOKS).await;
        let waiting = async {
            loop {
                tokio::select! {
                    Some(done) = running.join_next(), if !running.is_empty() => {
                        note(recovered, done);
                        // What was handled makes others due, and its place is free for them.
                        if running.len() <= AT_ONCE / 2 {
                            return;
                        }
                    }
                    () = self.intake.parked.may_be_due(), if running.len() < AT_ONCE => return,
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            _ = tokio::time::timeout(LOOK_EVERY, waiting) => {}
        }
    }

    /// Claims what is due, as events of one aggregate each.
    async fn look(
        &self,
        first: &mut bool,
        probe: bool,
        recovered: Recovered,
        room: usize,
    ) -> Result<Vec<Vec<ParkedEvent>>, StoreError> {
        let parked = &self.intake.parked;
        if room == 0 || !parked.look().await? {
            return Ok(Vec::new());
        }
        if std::mem::take(first) {
            parked.hasten_all().await?;
        }
        if probe {
            parked.hasten_distant().await?;
        }
        for (listener, _) in &self.listeners {
            let by_success = recovered.get(listener.domain).map_or(0, |count| count * HASTENED_BY_ONE);
            let hastened = by_success.max(usize::from(probe)).min(HASTENED);
            if hastened > 0 {
                parked.hasten(listener.domain, hastened).await?;
            }
        }
        let claimed = parked.claim(room).await?;
        self.in_order(claimed).await
    }

    /// Puts the events of each aggregate in the order of their versions. Those whose predecessor is due, or in work, are put off.
    async fn in_order(&self, claimed: Vec<ParkedEvent>) -> Result<Vec<Vec<ParkedEvent>>, StoreError> {
        let parked = &self.intake.parked;
        let others = parked.others_due(&claimed).await?;
        let mut aggregates: BTreeMap<(String, String), Vec<ParkedEvent>> = BTreeMap::new();
        for event in claimed {
            let aggregate = (event.domain.clone(), event.aggregate.clone());
            if others.get(&aggregate).is_some_and(|least| *least < event.version) {
                let due_at = self.now() + BEHIND;
                parked.release(&ParkedEvent { due_at, ..event }).await?;
            } else {
                aggregates.entry(aggregate).or_default().push(event);
            }
        }
        let mut events: Vec<Vec<ParkedEvent>> = aggregates.into_values().collect();
        events.iter_mut().for_each(|events| events.sort_by_key(|event| event.version));
        Ok(events)
    }

    fn not_seen(&self, error: &StoreError) -> Vec<Vec<ParkedEvent>> {
        tracing::warn!(%error, service = self.intake.service, "parked events cannot be looked at; trying again");
        Vec::new()
    }

    /// Tries the events of one aggregate, which were claimed after `began`, one after the other.
    async fn work(self: Arc<Self>, events: Vec<ParkedEvent>, began: Instant) -> Recovered {
        let mut recovered = Recovered::new();
        for event in events {
            let domain = event.domain.clone();
            let tried = if began.elapsed() < BEGIN_WITHIN {
                self.attempt(&event).await
            } else {
                Tried::Waits(ParkedEvent { due_at: self.now(), ..event.clone() })
            };
            // Where the database is away, it is asked again for as long as the claim lasts.
            while let Err(error) = self.settle(&event, &tried).await {
                tracing::warn!(%error, subject = event.subject, "what became of a parked event is not stored yet");
                if began.elapsed() + LOOK_EVERY >= CLAIM {
                    break;
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
            if let Tried::Handled { after_failures: true } = tried {
                *recovered.entry(domain).or_default() += 1;
            }
        }
        recovered
    }

    async fn attempt(&self, event: &ParkedEvent) -> Tried {
        let Some((listener, meter)) = self.listeners.iter().find(|(listener, _)| listener.domain == event.domain)
        else {
            return self.failed(event, Cause::NewerEvent, "this build does not listen to the domain".to_owned());
        };
        let (headers, payload) = (header_map(&event.headers), &event.payload.bytes);
        match attempt(listener, meter, &event.subject, &headers, payload).await {
            Ok(committed) => {
                meter.handled(self.now().since(committed), 0);
                Tried::Handled { after_failures: event.cause == Cause::Failed && event.attempts > 0 }
            }
            Err(error) => {
                meter.retried();
                self.judge(event, &error).await
            }
        }
    }

    async fn judge(&self, event: &ParkedEvent, error: &ListenError) -> Tried {
        let Some(cause) = error.cause() else {
            return Tried::Dead(ParkedEvent { error: said(error), attempts: event.attempts + 1, ..event.clone() });
        };
        match self.failed(event, cause, said(error)) {
            Tried::Dead(event) if cause == Cause::Early && self.has_predecessor(&event).await => Tried::Waits(event),
            tried => tried,
        }
    }

    /// Whether one waits too, or may.
    async fn has_predecessor(&self, event: &ParkedEvent) -> bool {
        self.intake.parked.has_predecessor(event).await.unwrap_or(true)
    }

    /// Tries count from one again where the cause is another one.
    fn failed(&self, event: &ParkedEvent, tried: Cause, error: String) -> Tried {
        let cause = event.cause.after(tried);
        let attempts = if event.cause == cause { event.attempts + 1 } else { 1 };
        let now = self.now();
        let event = ParkedEvent { cause, attempts, error, due_at: now + tried.wait(attempts), ..event.clone() };
        if tried.is_hopeless(attempts, now.since(event.parked_at)) { Tried::Dead(event) } else { Tried::Waits(event) }
    }

    /// Stores what became of a claimed event. A dead letter is kept before the event is forgotten.
    async fn settle(&self, event: &ParkedEvent, tried: &Tried) -> Result<(), StoreError> {
        let Intake { service, letters, parked } = &self.intake;
        match tried {
            Tried::Handled { .. } => {
                parked.forget(event).await?;
                parked.follow(&event.domain, &event.aggregate).await;
            }
            Tried::Waits(event) => parked.release(event).await?,
            Tried::Dead(event) => {
                let letter = event.clone().into_letter(service, self.now());
                tracing::error!(
                    error = letter.error,
                    subject = letter.subject,
                    "event given up; kept as a dead letter"
                );
                letters.keep(&letter).await?;
                parked.forget(event).await?;
                let meter = self.listeners.iter().find(|(listener, _)| listener.domain == event.domain);
                meter.inspect(|(_, meter)| meter.dead());
            }
        }
        Ok(())
    }

    fn now(&self) -> crate::clock::Time {
        self.intake.letters.clock().now()
    }
}

fn note(recovered: &mut Recovered, done: Result<Recovered, tokio::task::JoinError>) {
    match done {
        Ok(done) => done.into_iter().for_each(|(domain, count)| *recovered.entry(domain).or_default() += count),
        Err(error) => tracing::error!(%error, "a task of parked events broke off; their claims end by themselves"),
    }
}
