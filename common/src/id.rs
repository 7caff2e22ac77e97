//! Ids are UUIDv7: unique without a coordinator, and in the order of their making, so lists need no other key.

use std::borrow::Cow;

use uuid::{NoContext, Uuid};

use crate::clock::Time;

/// The text is not an id.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an id (a UUID)")]
pub struct NotAnId;

/// A new UUIDv7 for the given moment.
pub fn uuid_at(now: Time) -> Uuid {
    let millis = u64::try_from(now.millis()).unwrap_or(0);
    let nanos = u32::try_from(millis % 1000).unwrap_or(0) * 1_000_000;
    Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, millis / 1000, nanos))
}

/// The id that always belongs to `name` within `parent`: what is derived twice is the same thing.
pub fn uuid_derived(parent: Uuid, name: &str) -> Uuid {
    Uuid::new_v5(&parent, name.as_bytes())
}

fn parse(text: &str) -> Result<Uuid, NotAnId> {
    // Only the hyphenated form: one id has one spelling, so ids can be compared as text.
    let parsed = Uuid::try_parse(text).map_err(|_| NotAnId)?;
    (parsed.to_string() == text).then_some(parsed).ok_or(NotAnId)
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident,)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id for the given moment.
            pub fn generate(now: Time) -> Self {
                Self(uuid_at(now))
            }

            /// The id that always belongs to `name` within `parent`.
            pub fn derived(parent: Uuid, name: &str) -> Self {
                Self(uuid_derived(parent, name))
            }

            /// The id as a UUID.
            pub fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                parse(text).map(Self)
            }
        }

        impl From<$name> for bson::Bson {
            fn from(id: $name) -> Self {
                Self::String(id.to_string())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "format": "uuid" })
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                uuid_schema()
            }
        }

        impl utoipa::ToSchema for $name {
            fn name() -> Cow<'static, str> {
                stringify!($name).into()
            }
        }
    )*};
}

/// The one spelling of an id.
const PATTERN: &str = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$";

fn uuid_schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
    use utoipa::openapi::{ObjectBuilder, SchemaFormat, schema::Type};
    let format = SchemaFormat::Custom("uuid".to_owned());
    ObjectBuilder::new().schema_type(Type::String).format(Some(format)).pattern(Some(PATTERN)).into()
}

ids! {
    /// A person who signed up.
    UserId,
    /// One sign-in of a person on one device.
    SessionId,
    /// A machine's key to the API.
    ApiKeyId,
    /// A listing in the catalogue: a kind of place on sale.
    TicketId,
    /// A hold and what becomes of it. The payment of an order has the id of the order.
    OrderId,
    /// One admitted place.
    PassId,
    /// One refund of a payment.
    RefundId,
    /// Deadlines of holds that are told together.
    DeadlinesId,
    /// A mail that is to be sent, also if it takes several tries.
    MailId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_ids_sort_after_earlier_ones() {
        let first = OrderId::generate(Time::from_millis(1_000));
        let second = OrderId::generate(Time::from_millis(1_001));
        assert!(first.to_string() < second.to_string());
    }

    #[test]
    fn only_the_one_spelling_is_an_id() {
        let id = OrderId::generate(Time::from_millis(1_000));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.to_string().to_uppercase().parse::<OrderId>(), Err(NotAnId));
        assert_eq!("{\"$ne\":null}".parse::<OrderId>(), Err(NotAnId));
    }
}
