//! What is asked of the consumers of a service, and of the places in the streams: how far they are, and by a rebuilding, whether
//! they are heard.

use std::time::Duration;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::consumer::Info;
use async_nats::jetstream::context::ConsumerInfoErrorKind;
use async_nats::jetstream::stream::{ConsumerError, ConsumerErrorKind, State};

use super::{Bus, BusError};

/// A listener asks for messages again and again, and may be seen between two of its questions.
const LOOKS: usize = 5;
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// How far a service is behind in a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lag {
    /// Events that the broker has not given to it yet.
    pub pending: u64,
    /// Events that it was given and has not answered for yet.
    pub unacknowledged: u64,
}

impl Bus {
    /// What the broker knows of `service` as a listener to `domain`; `None` if it has never listened to it.
    ///
    /// # Errors
    /// If the broker does not answer, or does not let this user ask.
    pub(crate) async fn consumer(&self, domain: &str, service: &str) -> Result<Option<Info>, BusError> {
        match self.stream_of(domain).await?.consumer_info(service).await {
            Ok(info) => Ok(Some(info)),
            Err(error) if error.kind() == ConsumerInfoErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.about(domain, error)),
        }
    }

    /// How far `service` is behind in `domain`; `None` if it has never listened to it.
    ///
    /// # Errors
    /// If the broker does not answer, or does not let this user ask.
    pub async fn lag(&self, domain: &str, service: &str) -> Result<Option<Lag>, BusError> {
        let lag = |info: Info| Lag { pending: info.num_pending, unacknowledged: info.num_ack_pending as u64 };
        Ok(self.consumer(domain, service).await?.map(lag))
    }

    /// Whether a process listens to `domain` for `service`.
    pub(crate) async fn is_heard(&self, domain: &str, service: &str) -> Result<bool, BusError> {
        for _ in 0..LOOKS {
            if self.consumer(domain, service).await?.is_some_and(|info| info.num_waiting > 0) {
                return Ok(true);
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        Ok(false)
    }

    /// The numbers of the first message that the stream of `domain` still has, and of the last one that it took.
    pub(crate) async fn range(&self, domain: &str) -> Result<(u64, u64), BusError> {
        let state = self.state_of(domain).await?;
        Ok((state.first_sequence, state.last_sequence))
    }

    /// Forgets how far `service` has read `domain` if that is further than the stream goes. Answers whether it was.
    pub(crate) async fn forget_lost_place(&self, domain: &str, service: &str) -> Result<bool, BusError> {
        let Some(consumer) = self.consumer(domain, service).await? else { return Ok(false) };
        let read = consumer.delivered.stream_sequence.max(consumer.ack_floor.stream_sequence);
        let lost = read > self.state_of(domain).await?.last_sequence;
        if lost {
            self.forget_consumer(domain, service).await?;
        }
        Ok(lost)
    }

    async fn state_of(&self, domain: &str) -> Result<State, BusError> {
        let stream = self.jetstream.get_stream(self.namespace.stream(domain)).await;
        Ok(stream.map_err(|error| self.about(domain, error))?.cached_info().state.clone())
    }

    /// Forgets how far `service` has read `domain`: the next one who listens begins with the first message.
    pub(crate) async fn forget_consumer(&self, domain: &str, service: &str) -> Result<(), BusError> {
        match self.stream_of(domain).await?.delete_consumer(service).await {
            Ok(_) => Ok(()),
            Err(error) if is_unknown(&error) => Ok(()),
            Err(error) => Err(self.about(domain, error)),
        }
    }
}

fn is_unknown(error: &ConsumerError) -> bool {
    matches!(error.kind(), ConsumerErrorKind::JetStream(said) if said.error_code() == ErrorCode::CONSUMER_NOT_FOUND)
}
