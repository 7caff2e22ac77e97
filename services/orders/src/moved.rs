//! What an order says of its show: what holds by now, and beside it what its buyer was told instead when the places were held.
//! Pure.

use common::clock::Time;
use common::events::tickets::Listing;
use common::zone::Zone;
use serde::Serialize;
use utoipa::ToSchema;

use crate::order::Order;

/// What people go by who come to a show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Show {
    pub(crate) title: String,
    pub(crate) venue: Option<String>,
    pub(crate) starts_at: Option<Time>,
    /// The IANA name of the time zone in which the start is to be shown.
    pub(crate) time_zone: String,
}

impl Show {
    /// As the buyer was told when the places were held; `zone` is that of the business.
    pub(crate) fn told(order: &Order, zone: &Zone) -> Self {
        Self {
            title: order.title.clone(),
            venue: order.venue.clone(),
            starts_at: order.starts_at,
            time_zone: order.time_zone.as_ref().unwrap_or(zone).to_string(),
        }
    }

    /// As its seller says by now. Where no listing is known, what was said at the hold stands.
    pub(crate) fn now(order: &Order, listing: Option<&Listing>, zone: &Zone) -> Self {
        listing.map_or_else(|| Self::told(order, zone), |listing| Self::present(listing, zone))
    }

    /// As a listing says.
    fn present(listing: &Listing, zone: &Zone) -> Self {
        Self {
            title: listing.title.clone(),
            venue: listing.venue.clone(),
            starts_at: listing.starts_at,
            time_zone: listing.time_zone.as_ref().unwrap_or(zone).to_string(),
        }
    }
}

/// What the buyer was told when the places were held, as far as it is different by now. `null` says that nothing was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(min_properties = 1)]
pub(crate) struct Was {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    venue: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Time>)]
    starts_at: Option<Option<Time>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    time_zone: Option<String>,
}

impl Was {
    /// What of `told` is different in `present`, if anything is.
    pub(crate) fn of(told: Show, present: &Show) -> Option<Self> {
        fn other<T: PartialEq>(told: T, present: &T) -> Option<T> {
            (told != *present).then_some(told)
        }
        let was = Self {
            title: other(told.title, &present.title),
            venue: other(told.venue, &present.venue),
            starts_at: other(told.starts_at, &present.starts_at),
            time_zone: other(told.time_zone, &present.time_zone),
        };
        let Self { title, venue, starts_at, time_zone } = &was;
        let same = title.is_none() && venue.is_none() && starts_at.is_none() && time_zone.is_none();
        (!same).then_some(was)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn show(title: &str, venue: Option<&str>, starts_at: Option<i64>, zone: &str) -> Show {
        let (title, venue, time_zone) = (title.to_owned(), venue.map(str::to_owned), zone.to_owned());
        Show { title, venue, starts_at: starts_at.map(Time::from_millis), time_zone }
    }

    #[test]
    fn only_what_is_different_is_told_and_null_says_that_nothing_was() {
        let told = show("Jazz", Some("Old Mill"), Some(0), "Europe/Rome");
        let was = |present: Show| serde_json::to_value(Was::of(told.clone(), &present)).unwrap();
        assert_eq!(was(told.clone()), Value::Null);
        let moved = show("Jazz", Some("Pier 9"), Some(5), "Europe/Rome");
        assert_eq!(was(moved), json!({ "venue": "Old Mill", "startsAt": "1970-01-01T00:00:00.000Z" }));
        assert_eq!(
            was(show("Jazz!", None, Some(0), "UTC")),
            json!({ "title": "Jazz", "venue": "Old Mill", "timeZone": "Europe/Rome" })
        );
        let since = Was::of(show("Jazz", None, None, "UTC"), &show("Jazz", Some("Pier 9"), Some(5), "UTC"));
        assert_eq!(serde_json::to_value(since).unwrap(), json!({ "venue": null, "startsAt": null }));
    }
}
