//! The registry of events: every event that crosses the bus is a type here, with its name, its schema version and its JSON Schema.
//!
//! One file per domain. A domain is a stream; its events are one enum, so that a listener's `match` sees them all.

pub mod expiration;
pub mod inventory;
pub mod orders;
pub mod payments;
pub mod tickets;
pub mod users;

mod compatibility;

pub use compatibility::{Breaking, compatible};
pub use expiration::ExpirationEvent;
pub use inventory::InventoryEvent;
pub use orders::OrderEvent;
pub use payments::PaymentEvent;
pub use tickets::TicketEvent;
pub use users::UserEvent;

use schemars::Schema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::id::UserId;

/// The events of one domain.
pub trait DomainEvent: Sized + Clone + Send + Sync + 'static {
    /// The domain: the name of its stream and the first token of its subjects.
    const DOMAIN: &'static str;

    /// The names of all its events, such as `order.created`.
    const NAMES: &'static [&'static str];

    /// Whether the newest event of an aggregate says all that the earlier ones said. Its outbox keeps the newest only, so
    /// versions may be missing on the bus, and who listens takes the newest one for the truth.
    const NEWEST_SAYS_ALL: bool = false;

    /// The name of the event that tells the present state of an aggregate, for those who missed earlier ones. It raises no
    /// version: it says what the aggregate is in the version that it names, and stands for all events up to that one.
    const SNAPSHOT: Option<&'static str> = None;

    /// The name and schema version under which this event is published.
    fn kind(&self) -> EventKind;

    /// The payload as JSON.
    ///
    /// # Errors
    /// If the payload has no JSON form (a map with keys that are not text).
    fn encode(&self) -> Result<String, serde_json::Error>;

    /// Reads a payload of any version that was ever published.
    ///
    /// # Errors
    /// If the type or version is unknown, or the payload is not what its schema says.
    fn decode(name: &str, version: u16, payload: &[u8]) -> Result<Self, DecodeError>;

    /// All events of the domain.
    fn catalogue() -> Vec<EventSpec>;
}

/// The name and the schema version of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventKind {
    /// Such as `order.created`.
    pub name: &'static str,
    /// The version of the payload's schema, from 1.
    pub version: u16,
}

/// An entry of the registry.
#[derive(Clone, Debug)]
pub struct EventSpec {
    /// The stream that carries it.
    pub domain: &'static str,
    /// Its name and current version.
    pub kind: EventKind,
    /// The JSON Schema of the current version.
    pub schema: Schema,
    /// What the event says happened.
    pub description: String,
    /// Whether the newest event of an aggregate says all: see [`DomainEvent::NEWEST_SAYS_ALL`].
    pub newest_says_all: bool,
    /// Whether it tells the present state of an aggregate: see [`DomainEvent::SNAPSHOT`].
    pub is_snapshot: bool,
}

/// Why a message is not an event of the registry. Only a newer build mends it, and only where [`DecodeError::is_of_newer_build`].
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// A header that every event has is missing or malformed.
    #[error("header {0} is missing or malformed")]
    Header(&'static str),
    /// The domain has no such event.
    #[error("unknown event type {0:?}")]
    UnknownType(String),
    /// A version of the schema that only a newer build can read.
    #[error("{name} has schema version {version}, which is newer than this build")]
    NewerVersion {
        /// The event's name.
        name: &'static str,
        /// The version that the message claims.
        version: u16,
    },
    /// A version that nobody can read.
    #[error("{name} has no schema version {version}")]
    UnknownVersion {
        /// The event's name.
        name: &'static str,
        /// The version that the message claims.
        version: u16,
    },
    /// A value of an open enum that only a newer build knows, where the event cannot be handled without it.
    #[error("{name} says {value:?}, which is newer than this build")]
    UnknownValue {
        /// The event's name.
        name: &'static str,
        /// The value.
        value: String,
    },
    /// The payload breaks its schema.
    #[error("payload of {name} is malformed: {source}")]
    Payload {
        /// The event's name.
        name: &'static str,
        /// Where and how.
        source: serde_path_to_error::Error<serde_json::Error>,
    },
}

impl DecodeError {
    /// Whether a newer build may have published the message: in a roll-out both run side by side.
    pub fn is_of_newer_build(&self) -> bool {
        matches!(self, Self::UnknownType(_) | Self::NewerVersion { .. } | Self::UnknownValue { .. })
    }
}

/// Brings a payload of an older version to the next one.
pub type Upcaster = fn(from: u16, payload: Value) -> Value;

/// Reads one payload, through the upcasters if it is of an older version.
pub(crate) fn decode_payload<T: DeserializeOwned>(
    kind: EventKind,
    version: u16,
    payload: &[u8],
    upcaster: Option<Upcaster>,
) -> Result<T, DecodeError> {
    let malformed = |source| DecodeError::Payload { name: kind.name, source };
    if version == kind.version {
        // Only an error needs to know its path, and keeping track of that costs as much as the reading.
        if let Ok(event) = serde_json::from_slice(payload) {
            return Ok(event);
        }
        let mut reader = serde_json::Deserializer::from_slice(payload);
        return serde_path_to_error::deserialize(&mut reader).map_err(malformed);
    }
    if version > kind.version {
        return Err(DecodeError::NewerVersion { name: kind.name, version });
    }
    let Some(upcaster) = upcaster.filter(|_| (1..kind.version).contains(&version)) else {
        return Err(DecodeError::UnknownVersion { name: kind.name, version });
    };
    let mut reader = serde_json::Deserializer::from_slice(payload);
    let old: Value = serde_path_to_error::deserialize(&mut reader).map_err(malformed)?;
    let current = (version..kind.version).fold(old, |value, from| upcaster(from, value));
    serde_path_to_error::deserialize(current).map_err(malformed)
}

/// An event and who caused it.
#[derive(Clone, Debug)]
pub struct Raised<E> {
    /// What happened.
    pub event: E,
    /// The person who did it; none if the system did.
    pub actor: Option<UserId>,
    /// The trace of the work that caused it (W3C Trace Context).
    pub traceparent: Option<String>,
}

/// Says who caused an event, and remembers the current trace.
pub trait By: Sized {
    /// This event, caused by a person.
    fn by(self, actor: UserId) -> Raised<Self>;

    /// This event, caused by no person: a deadline, another event, a job.
    fn by_system(self) -> Raised<Self>;
}

impl<E: DomainEvent> By for E {
    fn by(self, actor: UserId) -> Raised<Self> {
        Raised { event: self, actor: Some(actor), traceparent: crate::telemetry::current_traceparent() }
    }

    fn by_system(self) -> Raised<Self> {
        Raised { event: self, actor: None, traceparent: crate::telemetry::current_traceparent() }
    }
}

/// Declares a domain: `Variant(Payload) = "event.name", schema version`, with `, upcast function` where older versions exist.
macro_rules! domain_events {
    (
        $(#[doc = $doc:literal])*
        $enum:ident in $domain:literal $(, snapshot: $snapshot:literal)? $(, newest says all: $all:literal)? {
            $( $variant:ident($payload:ty) = $name:literal, $version:literal $(, upcast $upcast:path)?; )*
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub enum $enum {
            $(
                #[doc = concat!("`", $name, "`")]
                $variant($payload),
            )*
        }

        $(
            impl From<$payload> for $enum {
                fn from(payload: $payload) -> Self {
                    Self::$variant(payload)
                }
            }
        )*

        impl $crate::events::DomainEvent for $enum {
            const DOMAIN: &'static str = $domain;
            const NAMES: &'static [&'static str] = &[$( $name ),*];
            $( const NEWEST_SAYS_ALL: bool = $all; )?
            $( const SNAPSHOT: Option<&'static str> = Some($snapshot); )?

            fn kind(&self) -> $crate::events::EventKind {
                match self {
                    $( Self::$variant(_) => $crate::events::EventKind { name: $name, version: $version }, )*
                }
            }

            fn encode(&self) -> Result<String, serde_json::Error> {
                match self {
                    $( Self::$variant(payload) => serde_json::to_string(payload), )*
                }
            }

            fn decode(name: &str, version: u16, payload: &[u8]) -> Result<Self, $crate::events::DecodeError> {
                match name {
                    $(
                        $name => {
                            let kind = $crate::events::EventKind { name: $name, version: $version };
                            let upcaster: Option<$crate::events::Upcaster> = None $(.or(Some($upcast)))?;
                            $crate::events::decode_payload(kind, version, payload, upcaster).map(Self::$variant)
                        }
                    )*
                    _ => Err($crate::events::DecodeError::UnknownType(name.to_owned())),
                }
            }

            fn catalogue() -> Vec<$crate::events::EventSpec> {
                vec![$(
                    $crate::events::spec::<Self, $payload>(
                        $crate::events::EventKind { name: $name, version: $version },
                    ),
                )*]
            }
        }
    };
}
pub(crate) use domain_events;

pub(crate) fn spec<E: DomainEvent, T: schemars::JsonSchema>(kind: EventKind) -> EventSpec {
    let schema = schemars::schema_for!(T);
    let description = schema.get("description").and_then(Value::as_str).unwrap_or_default().to_owned();
    let is_snapshot = E::SNAPSHOT == Some(kind.name);
    EventSpec { domain: E::DOMAIN, kind, schema, description, newest_says_all: E::NEWEST_SAYS_ALL, is_snapshot }
}

/// Every event of every domain.
pub fn registry() -> Vec<EventSpec> {
    [
        UserEvent::catalogue(),
        TicketEvent::catalogue(),
        OrderEvent::catalogue(),
        InventoryEvent::catalogue(),
        ExpirationEvent::catalogue(),
        PaymentEvent::catalogue(),
    ]
    .concat()
}

/// What of a domain decides which of its events may overtake others.
struct Domain {
    name: &'static str,
    newest_says_all: bool,
    snapshot: Option<&'static str>,
}

const fn domain<E: DomainEvent>() -> Domain {
    Domain { name: E::DOMAIN, newest_says_all: E::NEWEST_SAYS_ALL, snapshot: E::SNAPSHOT }
}

const ALL: [Domain; 6] = [
    domain::<UserEvent>(),
    domain::<TicketEvent>(),
    domain::<OrderEvent>(),
    domain::<InventoryEvent>(),
    domain::<ExpirationEvent>(),
    domain::<PaymentEvent>(),
];

/// Whether the events of a domain are such that the newest one says all: see [`DomainEvent::NEWEST_SAYS_ALL`].
pub(crate) fn newest_says_all(domain: &str) -> bool {
    ALL.iter().any(|known| known.name == domain && known.newest_says_all)
}

/// Whether an event of a domain tells the present state of its aggregate: see [`DomainEvent::SNAPSHOT`].
pub(crate) fn is_snapshot(domain: &str, event: &str) -> bool {
    ALL.iter().any(|known| known.name == domain && known.snapshot == Some(event))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// Every version that was ever published has a fixture, and is still understood.
    fn understands_its_fixtures<E: DomainEvent>() {
        for EventSpec { domain, kind, .. } in E::catalogue() {
            for version in 1..=kind.version {
                let fixture = format!("{}/fixtures/{domain}/{}/{version}.json", env!("CARGO_MANIFEST_DIR"), kind.name);
                let payload = fs::read(Path::new(&fixture)).unwrap_or_else(|error| panic!("{fixture}: {error}"));
                let event = E::decode(kind.name, version, &payload).unwrap();
                assert_eq!(event.kind(), kind);
                if version == kind.version {
                    let (said, meant) = (event.encode().unwrap(), serde_json::from_slice::<Value>(&payload).unwrap());
                    assert_eq!(serde_json::from_str::<Value>(&said).unwrap(), meant, "{fixture}");
                }
            }
        }
    }

    #[test]
    fn every_published_version_is_still_understood() {
        understands_its_fixtures::<UserEvent>();
        understands_its_fixtures::<TicketEvent>();
        understands_its_fixtures::<OrderEvent>();
        understands_its_fixtures::<InventoryEvent>();
        understands_its_fixtures::<ExpirationEvent>();
        understands_its_fixtures::<PaymentEvent>();
    }

    /// Calls `change` for each place of `payload` that has an enum's schema.
    fn each_enum(schema: &Value, root: &Value, payload: &mut Value, change: &mut dyn FnMut(&Value, &mut Value)) {
        let schema = match schema["$ref"].as_str() {
            Some(reference) => root.pointer(reference.trim_start_matches('#')).unwrap(),
            None => schema,
        };
        let arms = ["oneOf", "anyOf"].iter().find_map(|keyword| schema[keyword].as_array());
        if schema.get("enum").is_some() || arms.is_some_and(|arms| arms.iter().any(|arm| arm.get("const").is_some())) {
            return change(schema, payload);
        }
        arms.into_iter().flatten().for_each(|arm| each_enum(arm, root, payload, change));
        let items = payload.as_array_mut().into_iter().flatten();
        items.for_each(|item| each_enum(&schema["items"], root, item, change));
        for (name, part) in schema["properties"].as_object().into_iter().flatten() {
            if let Some(value) = payload.get_mut(name) {
                each_enum(part, root, value, change);
            }
        }
    }

    /// Every enum of every event is open: a value that a newer build brings is read, and written again as it was.
    fn keeps_newer_values<E: DomainEvent>() -> usize {
        let mut enums = 0;
        for EventSpec { domain, kind, schema, .. } in E::catalogue() {
            let schema = schema.to_value();
            let fixture =
                format!("{}/fixtures/{domain}/{}/{}.json", env!("CARGO_MANIFEST_DIR"), kind.name, kind.version);
            let mut payload = serde_json::from_slice(&fs::read(fixture).unwrap()).unwrap();
            each_enum(&schema, &schema, &mut payload, &mut |schema, value| {
                assert!(schema.get("anyOf").is_some(), "an enum of {} is closed: {schema}", kind.name);
                *value = "from-the-future".into();
                enums += 1;
            });
            let event = E::decode(kind.name, kind.version, payload.to_string().as_bytes()).unwrap();
            assert_eq!(serde_json::from_str::<Value>(&event.encode().unwrap()).unwrap(), payload, "{}", kind.name);
        }
        enums
    }

    #[test]
    fn a_value_of_a_newer_build_breaks_no_event_and_is_kept() {
        let enums = [
            keeps_newer_values::<UserEvent>(),
            keeps_newer_values::<TicketEvent>(),
            keeps_newer_values::<OrderEvent>(),
            keeps_newer_values::<InventoryEvent>(),
            keeps_newer_values::<ExpirationEvent>(),
            keeps_newer_values::<PaymentEvent>(),
        ];
        // Roles in three events of people, policies in three of listings, the reason in one of orders, and the status of an
        // order, and the status and how disputes stand in three of payments.
        assert_eq!(enums, [3, 3, 2, 0, 0, 3]);
    }

    #[test]
    fn snapshots_are_events_of_their_domains() {
        let names = |domain: &str| {
            registry().into_iter().filter(|spec| spec.domain == domain).map(|spec| spec.kind.name).collect::<Vec<_>>()
        };
        for Domain { name, snapshot, newest_says_all } in ALL {
            assert!(snapshot.is_none_or(|snapshot| names(name).contains(&snapshot)), "{name}");
            assert!(snapshot.is_none() || !newest_says_all, "{name} has its newest event for that");
        }
        assert!(is_snapshot("orders", "order.snapshot"));
        assert!(!is_snapshot("orders", "order.created") && !is_snapshot("payments", "order.snapshot"));
    }

    #[test]
    fn what_nobody_published_is_refused() {
        let unknown = OrderEvent::decode("order.eaten", 1, b"{}");
        assert!(matches!(unknown, Err(DecodeError::UnknownType(_))));
        let future = OrderEvent::decode("order.created", 2, b"{}");
        assert!(matches!(future, Err(DecodeError::NewerVersion { version: 2, .. })));
        let malformed = OrderEvent::decode("order.created", 1, b"{\"orderId\": 7}");
        assert!(matches!(malformed, Err(DecodeError::Payload { .. })));
        let never = OrderEvent::decode("order.created", 0, b"{}");
        assert!(matches!(never, Err(DecodeError::UnknownVersion { version: 0, .. })));
        let may_be_newer = [unknown, future, malformed, never].map(|found| found.unwrap_err().is_of_newer_build());
        assert_eq!(may_be_newer, [true, true, false, false]);
    }

    #[test]
    fn an_older_payload_climbs_the_upcasters() {
        let kind = EventKind { name: "test.event", version: 3 };
        let upcaster: Upcaster = |from, payload| Value::from(payload.as_i64().unwrap_or(0) * 10 + i64::from(from));
        let read = |version| decode_payload::<i64>(kind, version, b"7", Some(upcaster));
        assert_eq!(read(3).unwrap(), 7);
        assert_eq!(read(2).unwrap(), 72);
        assert_eq!(read(1).unwrap(), 712);
        assert!(matches!(read(0), Err(DecodeError::UnknownVersion { .. })));
    }
}
