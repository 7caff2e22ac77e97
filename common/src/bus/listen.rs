//! Listeners: a durable pull consumer per service and domain, shared by the replicas of the service. What a listener does
//! with the messages that it is given stands in `handling`.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::handling::{BATCH, Ear};
use super::meter::{Meter, note_missed};
use super::pull::Pulls;
use super::unanswered::Unanswered;
use super::{Bus, BusError, DeadLetters, Listener, ParkedEvents};
use crate::backoff::Backoff;
use crate::clock::Time;
use crate::telemetry::stopwatch;

/// How many messages may wait here. The broker is asked for no more than there is room for, as its patience runs for them too.
const ROOM: usize = 2 * BATCH;

/// How long a message may go without a word before the broker gives it to another replica. It bounds how late what a killed
/// process had taken is handled.
const ACK_WAIT: Duration = Duration::from_secs(30);

/// How many messages of a domain may be given and not answered for, of all replicas together. What waits is parked, so that
/// this is far away: who comes near it has an alert.
const MAX_UNANSWERED: i64 = 65_536;

/// Waits before a lost consumer is made anew.
const AGAIN: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));

/// Where a service puts what it does not handle at once.
#[derive(Clone)]
pub(crate) struct Intake {
    pub(crate) service: &'static str,
    pub(crate) letters: DeadLetters,
    pub(crate) parked: ParkedEvents,
}

/// Hears until told to stop; what was begun is finished first. A consumer that is lost is made anew.
pub(crate) async fn listen(bus: Bus, intake: Intake, listener: Listener, stop: CancellationToken) {
    let (service, domain) = (intake.service, listener.domain);
    let meter = Meter::of(service, domain);
    let mut waits = AGAIN.waits();
    loop {
        let begun = stopwatch();
        match hear(&bus, &intake, &listener, &meter, &stop).await {
            Ok(()) => return,
            Err(error) => tracing::warn!(%error, service, domain, "listener lost its consumer; trying again"),
        }
        if begun.elapsed() > AGAIN.longest() {
            waits.begin_anew();
        }
        if stop.run_until_cancelled(tokio::time::sleep(waits.next_wait())).await.is_none() {
            return;
        }
    }
}

/// Ends when told to stop, and all that the broker has given is handled.
async fn hear(
    bus: &Bus,
    intake: &Intake,
    listener: &Listener,
    meter: &Meter,
    stop: &CancellationToken,
) -> Result<(), BusError> {
    let lost = |error| bus.about(listener.domain, error);
    // Of one that is made only now, the broker says that it has answered for all that the stream has dropped.
    let before = bus.consumer(listener.domain, intake.service).await?;
    note_missed(intake.service, listener.domain, bus.missed(listener.domain, before.as_ref()).await?);
    let (consumer, made) = consumer(bus, intake.service, listener.domain).await?;
    let unanswered = Unanswered::default();
    let pulls = Pulls::new(bus, &consumer, unanswered.clone()).await.map_err(lost)?;
    let (room, given) = mpsc::channel(ROOM);
    let ear = Ear { intake, listener, meter, made, away: AtomicBool::new(false) };
    let heard = async { tokio::join!(pulls.run(BATCH, room, stop), ear.work_off(given, stop)) };
    let client = bus.jetstream.client();
    tokio::select! {
        (pulled, ()) = heard => pulled.map_err(lost),
        never = unanswered.keep_giving_word(&client) => match never {},
    }
}

/// The consumer of a service, and when its stream was made. One that has other settings gets these.
pub(super) async fn consumer(bus: &Bus, service: &str, domain: &str) -> Result<(PullConsumer, Time), BusError> {
    let config = pull::Config {
        durable_name: Some(service.to_owned()),
        ack_policy: AckPolicy::Explicit,
        ack_wait: ACK_WAIT,
        // The tries are counted here: a message that the broker gave up on by itself would be lost.
        max_deliver: -1,
        max_ack_pending: MAX_UNANSWERED,
        filter_subject: bus.namespace.subject(domain, ">"),
        ..pull::Config::default()
    };
    let stream =
        bus.jetstream.get_stream(bus.namespace.stream(domain)).await.map_err(|error| bus.about(domain, error))?;
    let nanos = stream.cached_info().created.unix_timestamp_nanos();
    let made = Time::from_millis(i64::try_from(nanos / 1_000_000).unwrap_or(0));
    let consumer = stream.create_consumer(config).await.map_err(|error| bus.about(domain, error))?;
    Ok((consumer, made))
}
