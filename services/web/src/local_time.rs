//! What a person says as day and time at a place, and the moment that it is. Pure.
//!
//! Where clocks go back, they show an hour twice: the first of the two is meant. Where they go forward, they skip an hour:
//! what they never show is no time, and the person is asked again.

use common::clock::Time;
use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone};

use crate::format::civil_time;

/// Why there is no such moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoMoment {
    #[error("say the day as well")]
    NoDay,
    #[error("must be a day such as 2026-11-21")]
    NotADay,
    #[error("say the time as well")]
    NoTime,
    #[error("must be a time such as 20:00")]
    NotATime,
    #[error("must be a time zone such as UTC or Europe/Rome")]
    NoSuchZone,
    #[error("clocks there go forward on that day and skip this time")]
    Skipped,
}

impl NoMoment {
    /// The field of a form that is to be mended.
    pub(crate) fn field(self) -> &'static str {
        match self {
            Self::NoDay | Self::NotADay => "date",
            Self::NoTime | Self::NotATime | Self::Skipped => "time",
            Self::NoSuchZone => "timeZone",
        }
    }
}

/// The moment at which clocks of that zone show this; none if nothing is said.
///
/// # Errors
/// If they never do.
pub(crate) fn moment(date: &str, time: &str, zone: &str) -> Result<Option<Time>, NoMoment> {
    if date.is_empty() && time.is_empty() {
        return Ok(None);
    }
    if date.is_empty() {
        return Err(NoMoment::NoDay);
    }
    let _: Date = date.parse().map_err(|_| NoMoment::NotADay)?;
    if time.is_empty() {
        return Err(NoMoment::NoTime);
    }
    let shown: DateTime = format!("{date}T{time}").parse().map_err(|_| NoMoment::NotATime)?;
    let zone = TimeZone::get(zone).ok().filter(|zone| !zone.is_unknown()).ok_or(NoMoment::NoSuchZone)?;
    let ambiguous = zone.to_ambiguous_timestamp(shown);
    if matches!(ambiguous.offset(), AmbiguousOffset::Gap { .. }) {
        return Err(NoMoment::Skipped);
    }
    let first = ambiguous.earlier().map_err(|_| NoMoment::NotADay)?;
    Ok(Some(Time::from_millis(first.as_millisecond())))
}

/// Day and time as the fields of a form have them.
pub(crate) fn typed(at: Time, zone: &str) -> (String, String) {
    let shown = civil_time(at, zone);
    (shown.date().to_string(), shown.strftime("%H:%M").to_string())
}

/// The names of places that have a time of their own, for choosing one.
pub(crate) fn zones() -> Vec<String> {
    const REGIONS: [&str; 10] = [
        "Africa/",
        "America/",
        "Antarctica/",
        "Asia/",
        "Atlantic/",
        "Australia/",
        "Europe/",
        "Indian/",
        "Pacific/",
        "UTC",
    ];
    let names = jiff::tz::db().available().map(|name| name.as_str().to_owned());
    let mut places: Vec<String> = names.filter(|name| REGIONS.iter().any(|region| name.starts_with(region))).collect();
    places.sort();
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(date: &str, time: &str, zone: &str) -> Result<String, NoMoment> {
        moment(date, time, zone).map(|moment| moment.unwrap().to_string())
    }

    #[test]
    fn a_time_is_that_of_the_place() {
        assert_eq!(at("2026-11-27", "20:00", "Europe/Rome").unwrap(), "2026-11-27T19:00:00.000Z");
        assert_eq!(at("2026-07-27", "20:00", "Europe/Rome").unwrap(), "2026-07-27T18:00:00.000Z");
        assert_eq!(at("2026-11-27", "20:00:30", "Asia/Kathmandu").unwrap(), "2026-11-27T14:15:30.000Z");
        assert_eq!(moment("", "", ""), Ok(None));
    }

    #[test]
    fn of_an_hour_that_comes_twice_the_first_is_meant() {
        assert_eq!(at("2026-10-25", "02:30", "Europe/Rome").unwrap(), "2026-10-25T00:30:00.000Z");
        assert_eq!(at("2026-11-01", "01:30", "America/New_York").unwrap(), "2026-11-01T05:30:00.000Z");
    }

    #[test]
    fn an_hour_that_is_skipped_is_no_time() {
        assert_eq!(at("2026-03-29", "02:30", "Europe/Rome"), Err(NoMoment::Skipped));
        assert_eq!(at("2026-03-29", "03:00", "Europe/Rome").unwrap(), "2026-03-29T01:00:00.000Z");
        assert_eq!(at("2026-03-29", "02:30", "UTC").unwrap(), "2026-03-29T02:30:00.000Z");
    }

    #[test]
    fn what_is_wrong_is_told_at_its_field() {
        for (date, time, zone, wrong, field) in [
            ("", "20:00", "UTC", NoMoment::NoDay, "date"),
            ("2026-02-30", "20:00", "UTC", NoMoment::NotADay, "date"),
            ("2026-11-27", "", "UTC", NoMoment::NoTime, "time"),
            ("2026-11-27", "25:00", "UTC", NoMoment::NotATime, "time"),
            ("2026-11-27", "20:00", "Mars/Base", NoMoment::NoSuchZone, "timeZone"),
            ("2026-11-27", "20:00", "", NoMoment::NoSuchZone, "timeZone"),
        ] {
            let told = moment(date, time, zone).unwrap_err();
            assert_eq!((told, told.field()), (wrong, field), "{date} {time} {zone}");
        }
    }

    #[test]
    fn a_moment_is_typed_as_it_was_said() {
        let moment = moment("2026-11-27", "20:05", "America/New_York").unwrap().unwrap();
        assert_eq!(typed(moment, "America/New_York"), ("2026-11-27".to_owned(), "20:05".to_owned()));
    }

    #[test]
    fn places_can_be_chosen_by_name() {
        let zones = zones();
        for name in ["Europe/Rome", "America/Argentina/Buenos_Aires", "UTC"] {
            assert!(zones.iter().any(|zone| zone == name), "{name}");
        }
        assert!(zones.is_sorted() && !zones.iter().any(|zone| zone.starts_with("posix")));
    }
}
