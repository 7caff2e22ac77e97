//! Time zones by their IANA names: in which one a show is announced, and in which one a business day begins.

use std::fmt;
use std::sync::LazyLock;

use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Serialize};

use crate::clock::Time;

/// A day of a calendar, written as `2026-11-21`.
pub use jiff::civil::Date as Day;

/// The names that this build knows: the machine's own may be others, or there may be none.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// The text names no time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a time zone such as UTC or Europe/Rome")]
pub struct NotAZone;

/// The rules of the zone with this name.
///
/// # Errors
/// If there is none.
pub(crate) fn rules(name: &str) -> Result<TimeZone, NotAZone> {
    ZONES.get(name).ok().filter(|zone| !zone.is_unknown()).ok_or(NotAZone)
}

// Only `parse` checks it: what is read from an event or a document may be newer than this build's zones.
/// The name of a time zone, such as `Europe/Rome`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Zone(String);

impl Zone {
    /// Reads a name in any case.
    ///
    /// # Errors
    /// [`NotAZone`].
    pub fn parse(name: &str) -> Result<Self, NotAZone> {
        rules(name.trim()).map(Self::from)
    }

    /// The name as the database of zones writes it.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// The day that it is here at `time`.
    pub fn day_of(&self, time: Time) -> Day {
        timestamp(time).to_zoned(self.rules()).date()
    }

    /// When a day begins here.
    pub fn start_of(&self, day: Day) -> Time {
        let start = day.to_zoned(self.rules()).map(|start| start.timestamp());
        Time::from_millis(start.unwrap_or_default().as_millisecond())
    }

    /// A zone that this build does not know is as good as UTC.
    fn rules(&self) -> TimeZone {
        rules(&self.0).unwrap_or(TimeZone::UTC)
    }
}

/// A time that no calendar has is that of the epoch.
fn timestamp(time: Time) -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(time.millis()).unwrap_or_default()
}

impl From<TimeZone> for Zone {
    /// Zones without a name, which no setting or field can give, are UTC.
    fn from(rules: TimeZone) -> Self {
        Self(rules.iana_name().unwrap_or("UTC").to_owned())
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Time {
        text.parse().unwrap()
    }

    #[test]
    fn a_name_is_one_of_the_database() {
        assert_eq!(Zone::parse(" europe/ROME ").unwrap().name(), "Europe/Rome");
        assert_eq!(Zone::parse("utc").unwrap().name(), "UTC");
        for name in ["", "Mars/Base", "+02:00", "Etc/Unknown", "../etc/passwd", "CET-1CEST,M3.5.0,M10.5.0/3"] {
            assert_eq!(Zone::parse(name), Err(NotAZone), "{name}");
        }
    }

    #[test]
    fn days_begin_at_local_midnight_or_the_first_moment_after_it() {
        let rome = Zone::parse("Europe/Rome").unwrap();
        assert_eq!(rome.day_of(at("2026-07-01T21:59:59Z")).to_string(), "2026-07-01");
        assert_eq!(rome.day_of(at("2026-07-01T22:00:00Z")).to_string(), "2026-07-02");
        assert_eq!(rome.start_of("2026-12-02".parse().unwrap()), at("2026-12-01T23:00:00Z"));
        // In this year the clocks in Beirut went from midnight straight to one.
        let beirut = Zone::parse("Asia/Beirut").unwrap();
        assert_eq!(beirut.start_of("2025-03-30".parse().unwrap()), at("2025-03-29T22:00:00Z"));
    }

    #[test]
    fn a_zone_of_tomorrow_is_kept_and_counted_as_utc() {
        let unknown: Zone = serde_json::from_str("\"Luna/Tranquillity\"").unwrap();
        assert_eq!(serde_json::to_string(&unknown).unwrap(), "\"Luna/Tranquillity\"");
        assert_eq!(unknown.day_of(at("2026-07-01T23:59:59Z")).to_string(), "2026-07-01");
    }
}
