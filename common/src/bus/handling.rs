//! What a listener does with the messages that it is given.
//!
//! It takes them in batches, and works on different aggregates side by side, on the events of one aggregate in the order of their
//! versions; a greater version may overtake smaller ones. Aggregates of a batch that are not through after [`GRACE`] go on
//! beside the next batches, up to [`IN_WORK`] messages. What has to wait is parked and then acknowledged, so it takes no room
//! at the broker from what can be handled. Parking also finds out whether the database is there: if an event can neither
//! be handled nor kept, the cause is not its own. Nothing is acknowledged then, no try counts, and the listener rests before it
//! takes more. Whatever waits here meanwhile stays this process's: see `unanswered`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::AckKind;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::attempt::attempt;
use super::dead_letters::Origin;
use super::listen::Intake;
use super::meter::Meter;
use super::parked::unanswered;
use super::unanswered::Given;
use super::{Cause, DeadLetter, EventRecord, ListenError, Listener, ParkedEvent};
use crate::backoff::Backoff;
use crate::clock::Time;
use crate::store::StoreError;

/// Messages taken in one go. All their aggregates are worked on at once, so that the reads and the writes of a batch go
/// to the database together.
pub(super) const BATCH: usize = 256;

/// How long a batch has the listener for itself, and how many messages may be in work beside it.
const GRACE: Duration = Duration::from_millis(250);
const IN_WORK: usize = 4 * BATCH;

/// Quick tries before an event is parked: a predecessor may be a moment away.
const EARLY: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(250)];
const FAILED: [Duration; 1] = [Duration::from_millis(250)];

/// When what a failed event would have overtaken comes again.
const OVERTAKEN_AGAIN: Duration = Duration::from_secs(1);

/// When a message comes again that has no form as a document: such a one stays at the broker.
const UNWRITTEN_AGAIN: Duration = Duration::from_secs(60);

/// How long the database may take to keep an event, and the rests while it does not.
const KEEPING: Duration = Duration::from_secs(10);
const REST: Duration = Duration::from_millis(250);
const RESTS: Backoff = Backoff::new(REST, Duration::from_secs(5));

/// A listener at work.
pub(super) struct Ear<'l> {
    pub(super) intake: &'l Intake,
    pub(super) listener: &'l Listener,
    pub(super) meter: &'l Meter,
    /// When the stream was made.
    pub(super) made: Time,
    /// Whether an event could neither be handled nor kept since the last rest.
    pub(super) away: AtomicBool,
}

/// The aggregates that are worked on, and what came for them meanwhile.
#[derive(Default)]
struct InWork<'e> {
    running: FuturesUnordered<BoxFuture<'e, (String, usize)>>,
    behind: HashMap<String, Vec<Given>>,
    messages: usize,
}

impl<'e> InWork<'e> {
    /// Begins with a batch; what is of an aggregate that is worked on waits for that to end.
    fn begin(&mut self, ear: &'e Ear<'e>, batch: impl Iterator<Item = Given>) {
        let mut aggregates: HashMap<String, Vec<Given>> = HashMap::new();
        for message in batch {
            self.messages += 1;
            match self.behind.get_mut(message.subject.as_str()) {
                Some(behind) => behind.push(message),
                None => aggregates.entry(message.subject.to_string()).or_default().push(message),
            }
        }
        aggregates.into_iter().for_each(|(subject, events)| self.start(ear, subject, events));
    }

    fn start(&mut self, ear: &'e Ear<'e>, subject: String, events: Vec<Given>) {
        self.behind.insert(subject.clone(), Vec::new());
        self.running.push(Box::pin(async move {
            let count = events.len();
            ear.handle_aggregate(events).await;
            (subject, count)
        }));
    }

    /// Works on, until an aggregate is through; false if there is none.
    async fn step(&mut self, ear: &'e Ear<'e>) -> bool {
        let Some((subject, count)) = self.running.next().await else { return false };
        self.messages -= count;
        match self.behind.remove(&subject) {
            Some(behind) if !behind.is_empty() => self.start(ear, subject, behind),
            _ => {}
        }
        true
    }

    async fn finish(&mut self, ear: &'e Ear<'e>) {
        while self.step(ear).await {}
    }
}

impl Ear<'_> {
    /// Handles what is given until no more can come.
    pub(super) async fn work_off(&self, mut given: mpsc::Receiver<Given>, stop: &CancellationToken) {
        let (mut work, mut batch) = (InWork::default(), Vec::with_capacity(BATCH));
        let mut rests = RESTS.waits();
        loop {
            tokio::select! {
                biased;
                true = work.step(self), if !work.running.is_empty() => {}
                taken = given.recv_many(&mut batch, BATCH), if work.messages < IN_WORK => {
                    if taken == 0 {
                        break;
                    }
                    work.begin(self, batch.drain(..));
                    // Who is not through in time goes on beside what comes next.
                    let _ = tokio::time::timeout(GRACE, work.finish(self)).await;
                }
            }
            if self.away.swap(false, Ordering::Relaxed) {
                let resting = async {
                    work.finish(self).await;
                    std::future::pending::<()>().await;
                };
                let _ = tokio::time::timeout(rests.next_wait(), stop.run_until_cancelled(resting)).await;
            } else {
                rests.begin_anew();
            }
        }
        work.finish(self).await;
    }

    async fn handle_aggregate(&self, mut events: Vec<Given>) {
        // Messages of one version keep the order in which they came.
        events.sort_by_key(|message| EventRecord::version_in(message));
        let mut first = 0;
        for nth in 0..events.len() {
            if !self.is_overtaken(&events[nth], &events[nth + 1..]) {
                self.handle(&events[first..=nth]).await;
                first = nth + 1;
            }
        }
    }

    /// Whether one of the later messages has a greater version and says all that this one says.
    fn is_overtaken(&self, message: &Given, later: &[Given]) -> bool {
        let Some(name) = EventRecord::name_in(message) else { return false };
        let version = EventRecord::version_in(message);
        let mut greater = later.iter().filter(|later| EventRecord::version_in(later) > version);
        greater.any(|later| EventRecord::name_in(later).is_some_and(|later| (self.listener.overtaken)(name, later)))
    }

    /// Handles the last of some messages, of which the others are overtaken by it. An overtaken event is done when the one that
    /// overtakes it has been handled; if that fails, it comes again.
    async fn handle(&self, messages: &[Given]) {
        let Some((message, overtaken)) = messages.split_last() else { return };
        async {
            let outcome = self.attempt(message).await;
            for earlier in overtaken {
                let kind = if outcome.is_ok() { AckKind::Ack } else { AckKind::Nak(Some(OVERTAKEN_AGAIN)) };
                earlier.answer(kind).await;
            }
            let answer = match outcome {
                Ok(committed) => self.handled(message, committed, overtaken.len()).await,
                Err(error) => self.fail(message, error).await,
            };
            message.answer(answer).await;
        }
        .instrument(self.span(message))
        .await;
    }

    fn span(&self, message: &Given) -> tracing::Span {
        let span = tracing::info_span!("listen", service = self.intake.service, subject = %message.subject);
        let traceparent = message.headers.as_ref().and_then(|headers| headers.get("traceparent"));
        if let Some(traceparent) = traceparent {
            crate::telemetry::remote_parent(&span, traceparent.as_str());
        }
        span
    }

    /// Answers when the event was committed.
    async fn attempt(&self, message: &Given) -> Result<Time, ListenError> {
        let none = HeaderMap::new();
        let headers = message.headers.as_ref().unwrap_or(&none);
        attempt(self.listener, self.meter, &message.subject, headers, &message.payload).await
    }

    async fn handled(&self, message: &Given, committed: Time, overtaken: usize) -> AckKind {
        self.meter.handled(self.now().since(committed), overtaken);
        let aggregate = message.subject.rsplit('.').next().unwrap_or_default();
        self.intake.parked.follow(self.listener.domain, aggregate).await;
        AckKind::Ack
    }

    /// What the broker is told of a message that was not handled. It is taken from it only when it has been kept elsewhere.
    async fn fail(&self, message: &Given, error: ListenError) -> AckKind {
        let tries = message.info().map_or(1, |info| info.delivered);
        if let Some(wait) = quick_try(&error, tries) {
            self.meter.retried();
            return AckKind::Nak(Some(wait));
        }
        match tokio::time::timeout(KEEPING, self.keep(message, &error)).await.unwrap_or_else(|_| Err(unanswered())) {
            Ok(answer) => answer,
            Err(StoreError::Codec(failed)) => {
                tracing::error!(error = %failed, cause = %error, "an event can neither be handled nor written down");
                self.meter.retried();
                AckKind::Nak(Some(UNWRITTEN_AGAIN))
            }
            Err(failed) => {
                tracing::warn!(error = %failed, cause = %error, "an event can neither be handled nor kept; it comes again");
                self.meter.retried();
                self.away.store(true, Ordering::Relaxed);
                AckKind::Nak(Some(REST))
            }
        }
    }

    async fn keep(&self, message: &Given, error: &ListenError) -> Result<AckKind, StoreError> {
        let Intake { service, letters, parked } = self.intake;
        let origin = Origin { service, domain: self.listener.domain, made: self.made };
        let now = self.now();
        let letter = DeadLetter::new(origin, message, error, now);
        let Some(cause) = error.cause() else {
            tracing::error!(%error, "event not handled; kept as a dead letter");
            letters.keep(&letter).await?;
            self.meter.dead();
            return Ok(AckKind::Term);
        };
        tracing::debug!(%error, %cause, "event parked");
        parked.park(&ParkedEvent::new(DeadLetter { attempts: 1, ..letter }, cause, now + cause.wait(1))).await?;
        self.meter.parked();
        Ok(AckKind::Ack)
    }

    fn now(&self) -> Time {
        self.intake.letters.clock().now()
    }
}

/// How soon a message that was given so often comes again without being parked; `None` if it is to be parked.
fn quick_try(error: &ListenError, given: i64) -> Option<Duration> {
    let waits: &[Duration] = match error.cause()? {
        Cause::Early => &EARLY,
        Cause::Failed => &FAILED,
        Cause::Panicked | Cause::NewerEvent | Cause::Unknown(_) => &[],
    };
    waits.get(usize::try_from(given).ok()?.checked_sub(1)?).copied()
}
