//! Following a stream in every process, each for itself: for knowledge kept in memory, such as revoked sessions.

use std::time::Duration;

use async_nats::jetstream::consumer::{self, DeliverPolicy};
use futures::StreamExt;
use tokio_util::sync::CancellationToken;

use super::{Bus, BusError, EventRecord, Received};
use crate::clock::Time;
use crate::events::DomainEvent;

impl Bus {
    /// Feeds `learn` with every event of the domain since `since`, and goes on until `stop`.
    ///
    /// Returns once all that the stream held at the call has been learned; the rest follows in the background.
    ///
    /// # Errors
    /// If the stream cannot be read.
    pub async fn follow<E: DomainEvent>(
        &self,
        since: Time,
        stop: CancellationToken,
        learn: impl Fn(Received<E>) + Send + 'static,
    ) -> Result<impl Future<Output = ()> + Send + 'static, BusError> {
        let name = self.namespace.stream(E::DOMAIN);
        let failed =
            |error: Box<dyn std::error::Error + Send + Sync>| BusError::Stream { stream: name.clone(), source: error };
        let stream = self.jetstream.get_stream(&name).await.map_err(|error| failed(error.into()))?;
        let config = consumer::pull::OrderedConfig { deliver_policy: start_at(since), ..Default::default() };
        let mut consumer = stream.create_consumer(config).await.map_err(|error| failed(error.into()))?;
        let mut behind = consumer.info().await.map_err(|error| failed(error.into()))?.num_pending;
        let mut messages = consumer.messages().await.map_err(|error| failed(error.into()))?;
        while behind > 0 {
            let Some(next) = messages.next().await else { break };
            behind -= 1;
            if let Ok(message) = next {
                take::<E>(&message, &learn);
            }
        }
        Ok(async move {
            loop {
                let next = tokio::select! {
                    () = stop.cancelled() => return,
                    next = messages.next() => next,
                };
                match next {
                    Some(Ok(message)) => take::<E>(&message, &learn),
                    Some(Err(error)) => {
                        tracing::warn!(%error, stream = name, "following the stream; the client makes the consumer anew");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                    None => return,
                }
            }
        })
    }
}

fn start_at(since: Time) -> DeliverPolicy {
    let nanos = i128::from(since.millis()) * 1_000_000;
    time::OffsetDateTime::from_unix_timestamp_nanos(nanos)
        .map_or(DeliverPolicy::All, |start_time| DeliverPolicy::ByStartTime { start_time })
}

fn take<E: DomainEvent>(message: &async_nats::jetstream::Message, learn: &impl Fn(Received<E>)) {
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
