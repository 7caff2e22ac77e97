//! Listeners: a durable pull consumer per service and domain, shared by the replicas of the service.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use async_nats::jetstream::{AckKind, Message};
use futures::future::{BoxFuture, join_all};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::meter::Meter;
use super::pull::Pulls;
use super::{Bus, BusError, DeadLetters, EventRecord, Received};
use crate::clock::Time;
use crate::events::{DecodeError, DomainEvent};
use crate::store::StoreError;
use crate::telemetry::stopwatch;

/// Messages taken in one go. All their aggregates are worked on at once, so that the reads and the writes of a batch go
/// to the database together.
const BATCH: usize = 256;

/// How many messages may wait here. The broker is asked for no more than there is room for, as its patience runs for them too.
const ROOM: usize = 2 * BATCH;

/// How long a message may go without a word before the broker gives it to another replica, and how often a word is given
/// for messages that take longer. It bounds how late what a killed process had taken is handled.
const ACK_WAIT: Duration = Duration::from_secs(30);
const WORD_EVERY: Duration = Duration::from_secs(10);

/// Waits before a lost consumer is made anew: the first, and the longest of those that follow.
const AGAIN: Duration = millis(100);
const LONGEST: Duration = secs(5);

/// After this many tries a message becomes a dead letter.
const MAX_TRIES: i64 = 8;

/// Waits between the tries of a message that failed, and of one that came before its predecessor.
const RETRY: [Duration; 5] = [secs(1), secs(5), secs(30), secs(120), secs(600)];
const EARLY: [Duration; 7] = [millis(50), millis(250), secs(1), secs(5), secs(30), secs(120), secs(600)];

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Why an event was not handled.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Its predecessor has not been seen yet: it comes again after a short wait.
    #[error("version {found} came before its predecessor; {seen} is the last one seen")]
    Early {
        /// The last version seen.
        seen: i64,
        /// The event's version.
        found: i64,
    },
    /// It may work later: the database or another server did not answer.
    #[error("{0}")]
    Transient(Box<dyn std::error::Error + Send + Sync>),
    /// It will never work: it becomes a dead letter at once.
    #[error("{0}")]
    Permanent(Box<dyn std::error::Error + Send + Sync>),
}

impl ListenError {
    /// A failure that a later try may not have.
    pub fn transient(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Transient(error.into())
    }

    /// A failure that every try will have.
    pub fn permanent(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Permanent(error.into())
    }

    fn wait(&self, tries: i64) -> Duration {
        let waits: &[Duration] = if matches!(self, Self::Early { .. }) { &EARLY } else { &RETRY };
        let nth = usize::try_from(tries.max(1) - 1).unwrap_or(0);
        waits[nth.min(waits.len() - 1)]
    }
}

impl From<StoreError> for ListenError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Codec(_) => Self::permanent(error),
            error => Self::transient(error),
        }
    }
}

impl From<DecodeError> for ListenError {
    fn from(error: DecodeError) -> Self {
        Self::permanent(error)
    }
}

impl From<BusError> for ListenError {
    fn from(error: BusError) -> Self {
        Self::transient(error)
    }
}

/// What handles one event.
pub type Handler = Arc<dyn Fn(EventRecord) -> BoxFuture<'static, Result<(), ListenError>> + Send + Sync>;

/// Whether an event of an aggregate, given by name, need not be handled when a later one, given by name too, is.
pub type Overtaken = fn(earlier: &str, later: &str) -> bool;

/// A service's ear for one domain.
#[derive(Clone)]
pub struct Listener {
    /// The domain it hears.
    pub domain: &'static str,
    /// What it does.
    pub handler: Handler,
    /// Which events it passes over.
    pub overtaken: Overtaken,
}

impl Listener {
    /// A listener that gives each event of the domain `E`, decoded, to `handle`.
    pub fn new<S, E, F, Fut>(state: Arc<S>, handle: F) -> Self
    where
        S: Send + Sync + 'static,
        E: DomainEvent,
        F: Fn(Arc<S>, Received<E>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), ListenError>> + Send + 'static,
    {
        let handle = Arc::new(handle);
        let handler: Handler = Arc::new(move |record| {
            let (state, handle) = (state.clone(), handle.clone());
            Box::pin(async move { handle(state, record.decode::<E>()?).await })
        });
        Self { domain: E::DOMAIN, handler, overtaken: |_, _| false }
    }

    /// A listener that passes over what is overtaken by another event of the same batch.
    #[must_use]
    pub fn passing_over(self, overtaken: Overtaken) -> Self {
        Self { overtaken, ..self }
    }
}

/// Hears until told to stop; what was begun is finished first. A consumer that is lost is made anew.
pub(crate) async fn listen(
    bus: Bus,
    service: &'static str,
    listener: Listener,
    letters: DeadLetters,
    stop: CancellationToken,
) {
    let meter = Meter::new(service, listener.domain);
    let mut wait = AGAIN;
    loop {
        let ear = Ear { service, listener: &listener, letters: &letters, meter: &meter };
        let begun = stopwatch();
        match ear.hear(&bus, &stop).await {
            Ok(()) => return,
            Err(error) => {
                tracing::warn!(%error, service, domain = listener.domain, "listener lost its consumer; trying again")
            }
        }
        if begun.elapsed() > LONGEST {
            wait = AGAIN;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => wait = (wait * 2).min(LONGEST),
        }
    }
}

struct Ear<'l> {
    service: &'static str,
    listener: &'l Listener,
    letters: &'l DeadLetters,
    meter: &'l Meter,
}

impl Ear<'_> {
    /// Ends when told to stop, and all that the broker has given is handled.
    async fn hear(&self, bus: &Bus, stop: &CancellationToken) -> Result<(), BusError> {
        let lost = |error| bus.about(self.listener.domain, error);
        let consumer = self.consumer(bus).await?;
        let pulls = Pulls::new(bus, &consumer).await.map_err(lost)?;
        let (room, given) = mpsc::channel(ROOM);
        let (pulled, ()) = tokio::join!(pulls.run(BATCH, room, stop), self.work_off(given));
        pulled.map_err(lost)
    }

    async fn work_off(&self, mut given: mpsc::Receiver<Message>) {
        let mut batch = Vec::with_capacity(BATCH);
        while given.recv_many(&mut batch, BATCH).await > 0 {
            self.handle_batch(&batch).await;
            batch.clear();
        }
    }

    async fn consumer(&self, bus: &Bus) -> Result<PullConsumer, BusError> {
        let config = pull::Config {
            durable_name: Some(self.service.to_owned()),
            ack_policy: AckPolicy::Explicit,
            ack_wait: ACK_WAIT,
            // The tries are counted here: a message that the broker gave up on by itself would be lost.
            max_deliver: -1,
            max_ack_pending: 1024,
            filter_subject: bus.namespace.subject(self.listener.domain, ">"),
            ..pull::Config::default()
        };
        let stream = bus.stream_of(self.listener.domain).await?;
        stream.create_consumer(config).await.map_err(|error| bus.about(self.listener.domain, error))
    }

    /// Works on different aggregates side by side, and on the events of one aggregate in their order.
    async fn handle_batch(&self, messages: &[Message]) {
        let mut aggregates: HashMap<&str, Vec<&Message>> = HashMap::new();
        for message in messages {
            aggregates.entry(message.subject.as_str()).or_default().push(message);
        }
        let work = join_all(aggregates.into_values().map(|events| self.handle_aggregate(events)));
        tokio::select! {
            _ = work => {}
            () = give_word(messages) => {}
        }
    }

    /// An overtaken event is done when the next one that is not has been handled; if that fails, both come again.
    async fn handle_aggregate(&self, events: Vec<&Message>) {
        let mut waiting = Vec::new();
        for (nth, message) in events.iter().enumerate() {
            waiting.push(*message);
            if !self.is_overtaken(message, &events[nth + 1..]) {
                self.handle(&waiting).await;
                waiting.clear();
            }
        }
    }

    fn is_overtaken(&self, message: &Message, later: &[&Message]) -> bool {
        let Some(name) = EventRecord::name_in(message) else { return false };
        let mut names = later.iter().filter_map(|later| EventRecord::name_in(later));
        names.any(|later| (self.listener.overtaken)(name, later))
    }

    /// Handles the last of some messages, of which the others are overtaken by it.
    async fn handle(&self, messages: &[&Message]) {
        let Some((message, overtaken)) = messages.split_last() else { return };
        async {
            let outcome = self.attempt(message).await;
            for earlier in overtaken {
                let kind = if outcome.is_ok() { AckKind::Ack } else { AckKind::Nak(Some(RETRY[0])) };
                sent(earlier.ack_with(kind).await);
            }
            sent(match outcome {
                Ok(committed) => {
                    self.meter.handled(self.letters.clock().now().since(committed), overtaken.len());
                    message.ack().await
                }
                Err(error) => self.fail(message, error).await,
            });
        }
        .instrument(self.span(message))
        .await;
    }

    fn span(&self, message: &Message) -> tracing::Span {
        let span = tracing::info_span!("listen", service = self.service, subject = %message.subject);
        let traceparent = message.headers.as_ref().and_then(|headers| headers.get("traceparent"));
        if let Some(traceparent) = traceparent {
            crate::telemetry::remote_parent(&span, traceparent.as_str());
        }
        span
    }

    /// Answers when the event was committed.
    async fn attempt(&self, message: &Message) -> Result<Time, ListenError> {
        let started = stopwatch();
        let none = HeaderMap::new();
        let headers = message.headers.as_ref().unwrap_or(&none);
        let record = EventRecord::from_message(self.listener.domain, &message.subject, headers, &message.payload)?;
        let committed = record.at;
        let handled = (self.listener.handler)(record).await;
        self.meter.tried(started.elapsed());
        handled.map(|()| committed)
    }

    async fn fail(&self, message: &Message, error: ListenError) -> Result<(), async_nats::Error> {
        let tries = message.info().map_or(1, |info| info.delivered);
        if !matches!(error, ListenError::Permanent(_)) && tries < MAX_TRIES {
            self.meter.retried();
            tracing::debug!(%error, tries, "event not handled yet");
            return message.ack_with(AckKind::Nak(Some(error.wait(tries)))).await;
        }
        tracing::error!(%error, tries, "event not handled; kept as a dead letter");
        self.meter.dead();
        match self.letters.keep(self.service, self.listener.domain, message, &error.to_string(), tries).await {
            Ok(()) => message.ack_with(AckKind::Term).await,
            Err(failed) => {
                tracing::error!(error = %failed, "dead letter not kept; the event stays on the bus");
                message.ack_with(AckKind::Nak(Some(error.wait(tries)))).await
            }
        }
    }
}

fn sent(acknowledged: Result<(), async_nats::Error>) {
    if let Err(error) = acknowledged {
        tracing::warn!(error, "acknowledgement not sent; the event will come again");
    }
}

/// Tells the broker again and again that the messages are being worked on.
async fn give_word(messages: &[Message]) {
    loop {
        tokio::time::sleep(WORD_EVERY).await;
        for message in messages {
            if let Err(error) = message.ack_with(AckKind::Progress).await {
                tracing::debug!(error, "the broker was not told that work goes on");
            }
        }
    }
}
