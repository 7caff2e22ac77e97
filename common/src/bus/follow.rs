//! Following a stream in every process, each for itself: for knowledge kept in memory, such as revoked sessions.

use std::marker::PhantomData;
use std::time::Duration;

use async_nats::jetstream::Message;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use futures::StreamExt;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use super::{Bus, BusError, EventRecord, Received};
use crate::backoff::Backoff;
use crate::clock::Time;
use crate::events::DomainEvent;

/// The broker forgets the consumer of a process that was not heard of for so long.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(30);

/// Waits before the stream is subscribed to again.
const AGAIN: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));

impl Bus {
    /// Feeds `learn` with every event of the domain since `since`, and goes on until `stop`.
    ///
    /// Returns once all that the stream held at the call has been learned; the rest follows in the background. If that is
    /// interrupted, it goes on where it was. Of a stream that was made anew everything since `since` is learned, some of it
    /// perhaps a second time.
    ///
    /// # Errors
    /// If the stream cannot be read.
    pub async fn follow<E: DomainEvent>(
        &self,
        since: Time,
        stop: CancellationToken,
        learn: impl Fn(Received<E>) + Send + 'static,
    ) -> Result<impl Future<Output = ()> + Send + 'static, BusError> {
        let mut follower = Follower { bus: self.clone(), since, place: None, learn, events: PhantomData };
        let (mut messages, behind) = follower.subscribe().await?;
        for _ in 0..behind {
            follower.next(&mut messages).await?;
        }
        Ok(follower.go_on(messages, stop))
    }
}

struct Follower<E, L> {
    bus: Bus,
    since: Time,
    place: Option<Place>,
    learn: L,
    events: PhantomData<fn() -> E>,
}

/// Where a follower is in a stream.
struct Place {
    /// When the stream was made. Another one counts its messages from the start again.
    made: OffsetDateTime,
    /// The last message that was heard; 0 before the first one.
    sequence: u64,
    /// How many messages came by this subscription.
    heard: u64,
}

impl<E: DomainEvent, L: Fn(Received<E>) + Send + 'static> Follower<E, L> {
    /// Subscribes from where it was. Answers also how many messages wait.
    async fn subscribe(&mut self) -> Result<(pull::Stream, u64), BusError> {
        let bus = self.bus.clone();
        let name = bus.namespace.stream(E::DOMAIN);
        let stream = bus.jetstream.get_stream(&name).await.map_err(|error| bus.about(E::DOMAIN, error))?;
        let made = stream.cached_info().created;
        let sequence = self.place.as_ref().filter(|place| place.made == made).map_or(0, |place| place.sequence);
        self.place = Some(Place { made, sequence, heard: 0 });
        let config = pull::Config {
            deliver_policy: if sequence > 0 { after(sequence) } else { start_at(self.since) },
            ack_policy: AckPolicy::None,
            filter_subject: bus.namespace.subject(E::DOMAIN, ">"),
            inactive_threshold: FORGOTTEN_AFTER,
            memory_storage: true,
            num_replicas: 1,
            ..pull::Config::default()
        };
        let mut consumer = stream.create_consumer(config).await.map_err(|error| bus.about(E::DOMAIN, error))?;
        let behind = consumer.info().await.map_err(|error| bus.about(E::DOMAIN, error))?.num_pending;
        let messages = consumer.messages().await.map_err(|error| bus.about(E::DOMAIN, error))?;
        Ok((messages, behind))
    }

    /// Learns the next message.
    async fn next(&mut self, messages: &mut pull::Stream) -> Result<(), BusError> {
        let next = messages.next().await;
        let lost = |why: Box<dyn std::error::Error + Send + Sync>| self.bus.about(E::DOMAIN, why);
        let message = next.ok_or_else(|| lost("the message stream ended".into()))?.map_err(|why| lost(why.into()))?;
        let info = message.info().map_err(lost)?;
        if let Some(place) = &mut self.place {
            place.heard += 1;
            // What the client could not take in time is dropped on its way here.
            if info.consumer_sequence != place.heard {
                return Err(self.bus.about(E::DOMAIN, "a message was lost on its way"));
            }
            place.sequence = info.stream_sequence;
        }
        take(&message, &self.learn);
        Ok(())
    }

    async fn go_on(mut self, mut messages: pull::Stream, stop: CancellationToken) {
        loop {
            let Some(error) = stop.run_until_cancelled(self.learn_all(&mut messages)).await else { return };
            tracing::warn!(%error, domain = E::DOMAIN, "a follower lost its subscription; it subscribes again");
            match stop.run_until_cancelled(self.subscribe_again()).await {
                Some(again) => messages = again,
                None => return,
            }
        }
    }

    /// Learns what comes, until nothing can come any more; tells why.
    async fn learn_all(&mut self, messages: &mut pull::Stream) -> BusError {
        loop {
            if let Err(error) = self.next(messages).await {
                return error;
            }
        }
    }

    async fn subscribe_again(&mut self) -> pull::Stream {
        let mut waits = AGAIN.waits();
        loop {
            tokio::time::sleep(waits.next_wait()).await;
            match self.subscribe().await {
                Ok((messages, _)) => return messages,
                Err(error) => tracing::warn!(%error, domain = E::DOMAIN, "a follower is still without a subscription"),
            }
        }
    }
}

fn start_at(since: Time) -> DeliverPolicy {
    let nanos = i128::from(since.millis()) * 1_000_000;
    OffsetDateTime::from_unix_timestamp_nanos(nanos)
        .map_or(DeliverPolicy::All, |start_time| DeliverPolicy::ByStartTime { start_time })
}

fn after(sequence: u64) -> DeliverPolicy {
    DeliverPolicy::ByStartSequence { start_sequence: sequence + 1 }
}

fn take<E: DomainEvent>(message: &Message, learn: &impl Fn(Received<E>)) {
    let headers = message.headers.clone().unwrap_or_default();
    let received = EventRecord::from_message(E::DOMAIN, &message.subject, &headers, &message.payload)
        .and_then(EventRecord::decode::<E>);
    match received {
        Ok(received) => learn(received),
        Err(error) => {
            tracing::debug!(%error, subject = %message.subject, "not an event; the listeners keep a dead letter of it")
        }
    }
}
