//! The bus: JetStream as the log and the transport of events.

mod attempt;
mod cause;
mod consumers;
mod dead_letters;
mod follow;
mod handling;
mod listen;
mod listener;
mod meter;
mod parked;
mod parked_worker;
mod publishing;
mod pull;
mod record;
mod schedule;
mod streams;
mod unanswered;

pub use cause::Cause;
pub use consumers::Lag;
pub use dead_letters::{DeadLetter, DeadLetters, Replayed};
pub(crate) use listen::{Intake, listen};
pub use listener::{Handler, ListenError, Listener, Overtaken};
pub(crate) use meter::note_missed;
pub use parked::{ParkedEvent, ParkedEvents};
pub(crate) use parked_worker::ParkedWorker;
pub use publishing::Publishing;
pub use record::{EventRecord, Received};
pub use streams::{DOMAINS, DomainStream, Fill, StreamBounds};

use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::context::{CreateStreamError, CreateStreamErrorKind, GetStreamError, GetStreamErrorKind};
use futures::future::join_all;

use crate::events::{DecodeError, DomainEvent as _, UserEvent};

/// How many publishes wait for their acknowledgements at a time. The client lets no more than its limit wait, of all relays of
/// a process together, and one that sent more than that without listening would wait for itself.
const PIPELINED: usize = 256;
const ACKS_WAITED_FOR: usize = 8192;

/// How the subjects begin to which answers go, before the name of the user whose they are.
const INBOX: &str = "_INBOX_";

/// How long a publish waits for its acknowledgement; a later sweep publishes again what got none.
const ACK_TIMEOUT: Duration = Duration::from_secs(5);

/// What went wrong between this process and the broker.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// No connection could be made.
    #[error("cannot connect to NATS: {0}")]
    Connect(#[from] async_nats::ConnectError),
    /// A stream could not be read or made.
    #[error("stream {stream}: {source}")]
    Stream {
        /// The stream's name.
        stream: String,
        /// What the broker or the client said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A stream exists with other settings than the ones declared here.
    #[error("stream {stream} has {field} = {found}, but {declared} is declared; mend it with the nats tool")]
    Drift {
        /// The stream's name.
        stream: String,
        /// Which setting.
        field: &'static str,
        /// What the broker has.
        found: String,
        /// What [`streams`] declares.
        declared: String,
    },
    /// A message was not accepted.
    #[error("publish: {0}")]
    Publish(#[from] jetstream::context::PublishError),
    /// A message cannot be turned into an event.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

impl BusError {
    /// Whether it may be otherwise in a moment: the broker is not there yet, or cannot say yet. What it refuses, it refuses again.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Connect(_) => true,
            Self::Stream { source, .. } => refusal(&**source).is_none_or(|code| code == UNAVAILABLE),
            _ => false,
        }
    }
}

/// The code by which JetStream says that it cannot do anything at this moment, as before its members have a leader.
const UNAVAILABLE: usize = 503;

/// The code of what JetStream itself said, if it said anything.
fn refusal(error: &(dyn std::error::Error + Send + Sync + 'static)) -> Option<usize> {
    let making = error.downcast_ref::<CreateStreamError>().map(|error| error.kind());
    let getting = error.downcast_ref::<GetStreamError>().map(|error| error.kind());
    match (making, getting) {
        (Some(CreateStreamErrorKind::JetStream(said)), _) | (_, Some(GetStreamErrorKind::JetStream(said))) => {
            Some(said.code())
        }
        _ => None,
    }
}

impl BusError {
    fn stream(stream: &str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Stream { stream: stream.to_owned(), source: source.into() }
    }
}

/// Where this installation's streams and subjects live: several installations may share one broker.
#[derive(Clone, Debug)]
pub struct Namespace(String);

impl Namespace {
    /// The namespace that leaves subjects and streams without a prefix.
    pub const DEFAULT: &str = "docket";

    /// A namespace by its name, as the settings have checked it.
    pub fn new(name: &str) -> Self {
        Self(name.to_owned())
    }

    fn is_default(&self) -> bool {
        self.0 == Self::DEFAULT
    }

    /// The subject of an aggregate's events: `<domain>.v1.<aggregate id>`.
    pub fn subject(&self, domain: &str, aggregate: &str) -> String {
        if self.is_default() {
            format!("{domain}.v1.{aggregate}")
        } else {
            format!("{}.{domain}.v1.{aggregate}", self.0)
        }
    }

    /// The subject of a message that waits for its time: one aggregate has one live schedule.
    fn schedule_subject(&self, domain: &str, aggregate: &str) -> String {
        if self.is_default() {
            format!("{domain}.schedule.{aggregate}")
        } else {
            format!("{}.{domain}.schedule.{aggregate}", self.0)
        }
    }

    /// The name of a domain's stream.
    pub fn stream(&self, domain: &str) -> String {
        if self.is_default() { domain.to_owned() } else { format!("{}_{domain}", self.0) }
    }

    /// The name of a service's database.
    pub fn database(&self, service: &str) -> String {
        format!("{}_{service}", self.0)
    }
}

/// A connection to the broker.
#[derive(Clone, Debug)]
pub struct Bus {
    jetstream: jetstream::Context,
    namespace: Namespace,
    publishing: Publishing,
    /// How far the streams may grow; as far as the server lets them if it is not said.
    bounds: Option<StreamBounds>,
}

impl Bus {
    /// Connects to one of the servers at `urls`, which commas separate; from then on the client reconnects by itself for ever.
    /// If the first names a user and a password, these are taken as they stand there, and what is answered to this connection
    /// goes to subjects of that user's own (`_INBOX_orders.…`), so that the server can keep it from the others.
    ///
    /// # Errors
    /// If no first connection can be made.
    pub async fn connect(urls: &str, namespace: Namespace) -> Result<Self, BusError> {
        let servers: Vec<&str> = urls.split(',').map(str::trim).filter(|url| !url.is_empty()).collect();
        let mut options = async_nats::ConnectOptions::new().name("docket").custom_inbox_prefix(inboxes(&servers));
        // The client itself passes over what an address says of its user.
        if let Some((user, password)) = user(&servers) {
            options = options.user_and_password(user, password);
        }
        let client = options.connect(servers).await?;
        let jetstream =
            jetstream::ContextBuilder::new().ack_timeout(ACK_TIMEOUT).max_ack_inflight(ACKS_WAITED_FOR).build(client);
        Ok(Self { jetstream, namespace, publishing: Publishing::new(), bounds: None })
    }

    /// With bounds for the streams.
    #[must_use]
    pub fn bounded_by(self, bounds: StreamBounds) -> Self {
        Self { bounds: Some(bounds), ..self }
    }

    /// Whether the broker is connected at this moment.
    pub fn is_connected(&self) -> bool {
        self.jetstream.client().connection_state() == async_nats::connection::State::Connected
    }

    /// Whether the broker answers a question over this connection.
    pub(crate) async fn answers(&self) -> bool {
        self.jetstream.get_stream(self.namespace.stream(UserEvent::DOMAIN)).await.is_ok()
    }

    /// How publishing over this connection goes.
    pub fn publishing(&self) -> &Publishing {
        &self.publishing
    }

    /// The version of the server at the other end.
    pub(crate) fn server_version(&self) -> String {
        self.jetstream.client().server_info().version
    }

    /// The namespace this connection works in.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The stream of a domain, of whose state nothing is asked.
    async fn stream_of(&self, domain: &str) -> Result<jetstream::stream::Stream<()>, BusError> {
        let found = self.jetstream.get_stream_no_info(self.namespace.stream(domain)).await;
        found.map_err(|error| self.about(domain, error))
    }

    fn about(&self, domain: &str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> BusError {
        BusError::stream(&self.namespace.stream(domain), source)
    }

    /// Publishes in order, without waiting for one acknowledgement before the next, and answers for each.
    pub async fn publish_all(&self, records: &[&EventRecord]) -> Vec<Result<(), BusError>> {
        let mut results = Vec::with_capacity(records.len());
        for some in records.chunks(PIPELINED) {
            results.extend(self.pipeline(some).await);
        }
        if self.is_connected() {
            for same in records
                .iter()
                .zip(&results)
                .collect::<Vec<_>>()
                .chunk_by(|(one, _), (next, _)| one.domain == next.domain)
            {
                let taken = same.iter().filter(|(_, result)| result.is_ok()).count();
                self.publishing.note(&same[0].0.domain, taken as u64, (same.len() - taken) as u64);
            }
        }
        results
    }

    async fn pipeline(&self, records: &[&EventRecord]) -> Vec<Result<(), BusError>> {
        let mut acks = Vec::with_capacity(records.len());
        for record in records {
            let subject = self.namespace.subject(&record.domain, &record.aggregate);
            let payload = bytes::Bytes::from(record.payload.clone());
            acks.push(self.jetstream.publish_with_headers(subject, record.headers(), payload).await);
        }
        join_all(acks.into_iter().map(|sent| async move {
            sent?.await?;
            Ok(())
        }))
        .await
    }

    /// Sends what is buffered, if the broker takes it `within` this time: while it is away, the client would wait for it.
    pub async fn flush(&self, within: Duration) {
        let flushed = tokio::time::timeout(within, self.jetstream.client().flush()).await;
        if !matches!(flushed, Ok(Ok(()))) {
            tracing::warn!(?flushed, "the last messages to NATS were not flushed");
        }
    }
}

/// The user and the password in the first server's address.
fn user(servers: &[&str]) -> Option<(String, String)> {
    let address: async_nats::ServerAddr = servers.first()?.parse().ok()?;
    Some((address.username()?.to_owned(), address.password()?.to_owned()))
}

/// Where answers go: all users' inboxes are one if the address names none, or one that is no part of a subject.
fn inboxes(servers: &[&str]) -> String {
    let fits = |name: &String| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    let name = user(servers).map(|(name, _)| name).filter(fits);
    name.map_or_else(|| INBOX.trim_end_matches('_').to_owned(), |name| format!("{INBOX}{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_inboxes_of_its_own() {
        let servers = ["nats://orders:secret@nats:4222", "nats://other"];
        assert_eq!(user(&servers), Some(("orders".to_owned(), "secret".to_owned())));
        assert_eq!(inboxes(&servers), "_INBOX_orders");
        for of_nobody in
            [&["nats://nats:4222"][..], &["localhost"], &["nats://a.b:secret@nats"], &["nats://%3E:x@n"], &[]]
        {
            assert_eq!(inboxes(of_nobody), "_INBOX", "{of_nobody:?}");
        }
    }
}
