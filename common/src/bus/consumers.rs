//! What rebuilding asks of the consumers of a service.

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::ConsumerInfoErrorKind;
use async_nats::jetstream::stream::{ConsumerError, ConsumerErrorKind};

use super::{Bus, BusError};

impl Bus {
    /// Whether a process listens to `domain` for `service` at this moment.
    pub(crate) async fn is_heard(&self, domain: &str, service: &str) -> Result<bool, BusError> {
        let stream = self.stream_of(domain).await?;
        match stream.consumer_info(service).await {
            Ok(info) => Ok(info.num_waiting > 0),
            Err(error) if error.kind() == ConsumerInfoErrorKind::NotFound => Ok(false),
            Err(error) => Err(self.about(domain, error)),
        }
    }

    /// Whether the stream of `domain` still begins with its first message.
    pub(crate) async fn is_complete(&self, domain: &str) -> Result<bool, BusError> {
        let stream = self.jetstream.get_stream(self.namespace.stream(domain)).await;
        let stream = stream.map_err(|error| self.about(domain, error))?;
        Ok(stream.cached_info().state.first_sequence <= 1)
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
