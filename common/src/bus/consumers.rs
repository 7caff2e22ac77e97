//! What is asked of the consumers of a service, and of the places in the streams: how far they are, and by a rebuilding, whether
//! they are heard.

use std::time::Duration;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::consumer::Info;
use async_nats::jetstream::context::ConsumerInfoErrorKind;
use async_nats::jetstream::stream::{ConsumerError, ConsumerErrorKind};

use super::listen::consumer;
use super::{Bus, BusError, DOMAINS};
use crate::clock::Time;

/// A listener asks for messages again and again, and may be seen between two of its questions.
const LOOKS: usize = 5;
/// One that has enough to do asks for nothing until it has done some of it.
const LOOKS_AT_THE_BUSY: usize = 100;
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// How far a service is behind in a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lag {
    /// Events that the broker has not given to it yet.
    pub pending: u64,
    /// Events that it was given and has not answered for yet.
    pub unacknowledged: u64,
}

impl Lag {
    pub(crate) fn of(consumer: &Info) -> Self {
        Self { pending: consumer.num_pending, unacknowledged: consumer.num_ack_pending as u64 }
    }
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
        Ok(self.consumer(domain, service).await?.map(|consumer| Lag::of(&consumer)))
    }

    /// Whether a process listens to `domain` for `service`: asks for messages, or answers for those it was given.
    pub(crate) async fn is_heard(&self, domain: &str, service: &str) -> Result<bool, BusError> {
        let mut before = None;
        for look in 0..LOOKS_AT_THE_BUSY {
            let Some(info) = self.consumer(domain, service).await? else { return Ok(false) };
            let place = (info.delivered.consumer_sequence, info.ack_floor.consumer_sequence, info.num_ack_pending);
            if info.num_waiting > 0 || before.replace(place).is_some_and(|before| before != place) {
                return Ok(true);
            }
            if look >= LOOKS && info.num_ack_pending == 0 {
                break;
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        Ok(false)
    }

    /// The numbers of the first message that the stream of `domain` still has, and of the last one that it took.
    pub(crate) async fn range(&self, domain: &str) -> Result<(u64, u64), BusError> {
        let state = self.info_of(domain).await?.state;
        Ok((state.first_sequence, state.last_sequence))
    }

    /// How many messages of `domain` its stream has dropped before the service of this consumer answered for them; where there
    /// is none yet, all that it has dropped. In a stream with a schedule messages also go when their time has come, so there is
    /// no telling.
    pub(crate) async fn missed(&self, domain: &str, consumer: Option<&Info>) -> Result<u64, BusError> {
        if DOMAINS.iter().any(|stream| stream.domain == domain && stream.scheduled) {
            return Ok(0);
        }
        let answered = consumer.map_or(0, |consumer| consumer.ack_floor.stream_sequence);
        let (first, _) = self.range(domain).await?;
        Ok(first.saturating_sub(answered + 1))
    }

    /// Since when the stream of `domain` is complete, if it has dropped messages and that is later than `since`.
    pub(crate) async fn complete_from(&self, domain: &str, since: Time) -> Result<Option<Time>, BusError> {
        let state = self.info_of(domain).await?.state;
        // Of one that is empty, no message before the last one is left.
        let first = if state.messages == 0 { state.last_timestamp } else { state.first_timestamp };
        let first = i64::try_from(first.unix_timestamp_nanos() / 1_000_000).map_or(since, Time::from_millis);
        Ok((state.first_sequence > 1 && first > since).then_some(first))
    }

    /// Has `service` read `domain` from its first message again if it has read further than the stream goes. Answers whether it
    /// had.
    pub(crate) async fn mend_lost_place(&self, domain: &str, service: &str) -> Result<bool, BusError> {
        let Some(known) = self.consumer(domain, service).await? else { return Ok(false) };
        let read = known.delivered.stream_sequence.max(known.ack_floor.stream_sequence);
        let lost = read > self.info_of(domain).await?.state.last_sequence;
        if lost {
            self.forget_consumer(domain, service).await?;
            // What the stream dropped before was heard: whoever found no consumer would take it for missed.
            consumer(self, service, domain).await?;
        }
        Ok(lost)
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
