//! Time is injected: rules take a [`Time`], services hold a [`Clock`], only [`SystemClock`] asks the machine.

use std::borrow::Cow;
use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point in time in milliseconds since the Unix epoch: what MongoDB dates and JetStream schedules can both carry.
///
/// JSON shows it as RFC 3339 in UTC with milliseconds; BSON stores a date, so that TTL indexes and ranges work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

impl Time {
    /// The point `millis` milliseconds after the Unix epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down: the unit of JWT claims.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// How long after `earlier` this is; zero if it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0 - earlier.0).unwrap_or(0))
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, after: Duration) -> Self {
        Self(self.0.saturating_add(millis_of(after)))
    }
}

impl Sub<Duration> for Time {
    type Output = Self;

    fn sub(self, before: Duration) -> Self {
        Self(self.0.saturating_sub(millis_of(before)))
    }
}

fn millis_of(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(timestamp) => write!(f, "{timestamp:.3}"),
            Err(_) => write!(f, "{}ms", self.0),
        }
    }
}

/// The text is not a time as RFC 3339 writes it.
#[derive(Debug, thiserror::Error)]
#[error("must be a time such as 2026-11-21T20:00:00Z")]
pub struct NotATime;

impl FromStr for Time {
    type Err = NotATime;

    fn from_str(text: &str) -> Result<Self, NotATime> {
        let timestamp: jiff::Timestamp = text.parse().map_err(|_| NotATime)?;
        Ok(Self(timestamp.as_millisecond()))
    }
}

impl From<Time> for bson::DateTime {
    fn from(time: Time) -> Self {
        Self::from_millis(time.0)
    }
}

impl From<Time> for bson::Bson {
    fn from(time: Time) -> Self {
        Self::DateTime(time.into())
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            bson::DateTime::from(*self).serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = Cow::<'de, str>::deserialize(deserializer)?;
            text.parse().map_err(serde::de::Error::custom)
        } else {
            bson::DateTime::deserialize(deserializer).map(|date| Self(date.timestamp_millis()))
        }
    }
}

impl schemars::JsonSchema for Time {
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "date-time" })
    }
}

impl utoipa::PartialSchema for Time {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .format(Some(utoipa::openapi::SchemaFormat::KnownFormat(utoipa::openapi::KnownFormat::DateTime)))
            .into()
    }
}

impl utoipa::ToSchema for Time {
    fn name() -> Cow<'static, str> {
        "Time".into()
    }
}

/// Where the time comes from.
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Time;
}

/// A clock that many share.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's clock, the only one outside tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the machine for the time")]
    fn now(&self) -> Time {
        Time(jiff::Timestamp::now().as_millisecond())
    }
}

/// The machine's clock, but wrong by a fixed time: for tests of what processes do whose clocks differ.
#[derive(Clone, Copy, Debug)]
pub struct WrongClock {
    offset_ms: i64,
}

impl WrongClock {
    /// A clock that is so many milliseconds ahead, or behind if it is negative.
    pub const fn by_millis(offset_ms: i64) -> Self {
        Self { offset_ms }
    }
}

impl Clock for WrongClock {
    fn now(&self) -> Time {
        Time(SystemClock.now().0.saturating_add(self.offset_ms))
    }
}

/// A clock that stands still until it is told to move: for tests of rules about time.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that shows `time`.
    pub fn at(time: Time) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(time.0)))
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(millis_of(by), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Time {
        Time(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_shows_rfc_3339() {
        let time: Time = "2026-11-21T20:00:00.5Z".parse().unwrap();
        assert_eq!(serde_json::to_string(&time).unwrap(), "\"2026-11-21T20:00:00.500Z\"");
        assert_eq!(serde_json::from_str::<Time>("\"2026-11-21T20:00:00.500Z\"").unwrap(), time);
    }

    #[test]
    fn a_text_that_is_no_time_is_refused() {
        assert!("tomorrow".parse::<Time>().is_err());
        assert!(serde_json::from_str::<Time>("12").is_err());
    }
}
