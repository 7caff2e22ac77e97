//! The streams, declared once. A stream that differs from its declaration is an error at start, never silently kept.
//!
//! Streams are bounded by age and by size; the first bound that is reached drops the oldest messages. The bounds are settings,
//! so they alone may differ in a stream that exists: the service that owns the domain changes them at its start, and nobody
//! else does. A message that is scheduled for later stands in its stream until then, and holds end well within the least age.
//! Who missed what was dropped is told the present state by the owner (`store::snapshots`).

use std::time::Duration;

use async_nats::jetstream::stream::{Config, DiscardPolicy, Info, RetentionPolicy, StorageType};

use super::{Bus, BusError};
use crate::events::{DomainEvent, ExpirationEvent, InventoryEvent, OrderEvent, PaymentEvent, TicketEvent, UserEvent};

/// Within this time a second message with the same id is dropped.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(600);

/// How far each stream may grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamBounds {
    /// How long a message is kept.
    pub age: Duration,
    /// How many bytes all messages of a stream may take. A server reserves so much for each stream.
    pub bytes: u64,
}

/// How full a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// How many messages it has.
    pub messages: u64,
    /// How many bytes they take.
    pub bytes: u64,
    /// How many they may take; `None` if any number.
    pub limit: Option<u64>,
}

impl Fill {
    /// Which part of its size is taken, from 0 to 1.
    #[expect(
        clippy::cast_precision_loss,
        clippy::float_arithmetic,
        reason = "a part is a float; no stream has 2^53 bytes"
    )]
    pub fn ratio(&self) -> f64 {
        self.limit.map_or(0.0, |limit| self.bytes as f64 / limit.max(1) as f64)
    }
}

impl From<Info> for Fill {
    fn from(Info { config, state, .. }: Info) -> Self {
        let limit = u64::try_from(config.max_bytes).ok().filter(|limit| *limit > 0);
        Self { messages: state.messages, bytes: state.bytes, limit }
    }
}

/// One domain's stream.
#[derive(Clone, Copy, Debug)]
pub struct DomainStream {
    /// The domain.
    pub domain: &'static str,
    /// Whether messages may be scheduled for later in it.
    pub scheduled: bool,
}

/// Every domain there is.
pub const DOMAINS: &[DomainStream] = &[
    DomainStream { domain: UserEvent::DOMAIN, scheduled: false },
    DomainStream { domain: TicketEvent::DOMAIN, scheduled: false },
    DomainStream { domain: OrderEvent::DOMAIN, scheduled: false },
    DomainStream { domain: InventoryEvent::DOMAIN, scheduled: false },
    DomainStream { domain: ExpirationEvent::DOMAIN, scheduled: true },
    DomainStream { domain: PaymentEvent::DOMAIN, scheduled: false },
];

impl Bus {
    /// Makes the streams that are missing and checks the ones that exist.
    ///
    /// # Errors
    /// [`BusError::Drift`] if one has other settings; [`BusError::Stream`] if the broker refuses.
    pub async fn ensure_streams(&self, replicas: usize) -> Result<(), BusError> {
        for stream in DOMAINS {
            let declared = self.declaration(stream, replicas);
            let found = self
                .jetstream
                .get_or_create_stream(declared.clone())
                .await
                .map_err(|error| BusError::stream(&declared.name, error))?;
            check(&declared, &found.cached_info().config)?;
        }
        Ok(())
    }

    /// Gives the streams of these domains the bounds of the settings, should they have others. Everything else, and what the
    /// streams hold within the bounds, stays.
    ///
    /// # Errors
    /// [`BusError::Stream`] if the broker refuses, as it does when it has no room for so much.
    pub(crate) async fn bound_streams(&self, domains: &[&'static str]) -> Result<(), BusError> {
        let Some(bounds) = self.bounds else { return Ok(()) };
        for domain in domains {
            let found = self.info_of(domain).await?.config;
            let wanted = bounds.of(found.clone());
            if (wanted.max_age, wanted.max_bytes) != (found.max_age, found.max_bytes) {
                self.jetstream.update_stream(&wanted).await.map_err(|error| self.about(domain, error))?;
                tracing::info!(domain, ?bounds, "a stream has other bounds than before");
            }
        }
        Ok(())
    }

    /// How full the stream of a domain is.
    ///
    /// # Errors
    /// If the broker does not answer.
    pub(crate) async fn fill(&self, domain: &str) -> Result<Fill, BusError> {
        Ok(self.info_of(domain).await?.into())
    }

    /// Checks the stream of a domain as it is, and tells how full it is.
    ///
    /// # Errors
    /// [`BusError::Drift`] if it has other settings; [`BusError::Stream`] if there is none.
    pub(crate) async fn check_stream(&self, stream: &DomainStream, replicas: usize) -> Result<Fill, BusError> {
        let found = self.info_of(stream.domain).await?;
        check(&self.declaration(stream, replicas), &found.config)?;
        Ok(found.into())
    }

    /// What the broker says of the stream of a domain at this moment.
    pub(super) async fn info_of(&self, domain: &str) -> Result<Info, BusError> {
        let found = self.jetstream.get_stream(self.namespace.stream(domain)).await;
        Ok(found.map_err(|error| self.about(domain, error))?.cached_info().clone())
    }

    fn declaration(&self, stream: &DomainStream, replicas: usize) -> Config {
        let mut subjects = vec![self.namespace.subject(stream.domain, ">")];
        if stream.scheduled {
            subjects.push(self.namespace.schedule_subject(stream.domain, ">"));
        }
        let declared = Config {
            name: self.namespace.stream(stream.domain),
            subjects,
            retention: RetentionPolicy::Limits,
            storage: StorageType::File,
            discard: DiscardPolicy::Old,
            num_replicas: replicas,
            duplicate_window: DUPLICATE_WINDOW,
            allow_message_schedules: stream.scheduled,
            allow_rollup: stream.scheduled,
            ..Config::default()
        };
        match self.bounds {
            Some(bounds) => bounds.of(declared),
            None => declared,
        }
    }
}

impl StreamBounds {
    fn of(self, stream: Config) -> Config {
        Config { max_age: self.age, max_bytes: i64::try_from(self.bytes).unwrap_or(i64::MAX), ..stream }
    }
}

fn check(declared: &Config, found: &Config) -> Result<(), BusError> {
    let compared = [
        ("subjects", format!("{:?}", declared.subjects), format!("{:?}", found.subjects)),
        ("retention", format!("{:?}", declared.retention), format!("{:?}", found.retention)),
        ("storage", format!("{:?}", declared.storage), format!("{:?}", found.storage)),
        ("num_replicas", declared.num_replicas.to_string(), found.num_replicas.to_string()),
        ("duplicate_window", format!("{:?}", declared.duplicate_window), format!("{:?}", found.duplicate_window)),
        (
            "allow_msg_schedules",
            declared.allow_message_schedules.to_string(),
            found.allow_message_schedules.to_string(),
        ),
    ];
    match compared.into_iter().find(|(_, declared, found)| declared != found) {
        Some((field, declared_as, found_as)) => {
            Err(BusError::Drift { stream: declared.name.clone(), field, found: found_as, declared: declared_as })
        }
        None => Ok(()),
    }
}
