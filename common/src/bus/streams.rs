//! The streams, declared once. A stream that differs from its declaration is an error at start, never silently kept.

use std::time::Duration;

use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};

use super::{Bus, BusError};
use crate::events::{DomainEvent, ExpirationEvent, InventoryEvent, OrderEvent, PaymentEvent, TicketEvent, UserEvent};

/// Within this time a second message with the same id is dropped.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(600);

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

    /// Checks the stream of a domain as it is, and tells how many messages it has.
    ///
    /// # Errors
    /// [`BusError::Drift`] if it has other settings; [`BusError::Stream`] if there is none.
    pub(crate) async fn check_stream(&self, stream: &DomainStream, replicas: usize) -> Result<u64, BusError> {
        let declared = self.declaration(stream, replicas);
        let found = self.jetstream.get_stream(&declared.name).await;
        let found = found.map_err(|error| BusError::stream(&declared.name, error))?;
        check(&declared, &found.cached_info().config)?;
        Ok(found.cached_info().state.messages)
    }

    fn declaration(&self, stream: &DomainStream, replicas: usize) -> Config {
        let mut subjects = vec![self.namespace.subject(stream.domain, ">")];
        if stream.scheduled {
            subjects.push(self.namespace.schedule_subject(stream.domain, ">"));
        }
        Config {
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
        }
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
