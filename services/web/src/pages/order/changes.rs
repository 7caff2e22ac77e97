//! What a buyer was told of a show and is different by now, in the words of the visitor. Pure.

use crate::format::{Words, zone_name};
use crate::model::Order;

/// Something that was told otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// What has happened.
    pub(crate) label: &'static str,
    /// What was told before, if anything.
    pub(crate) before: Option<String>,
}

impl Change {
    /// The label says that it is `changed`, or `set` where nothing was told before.
    fn new(changed: &'static str, set: &'static str, before: Option<String>) -> Self {
        Self { label: if before.is_some() { changed } else { set }, before }
    }
}

/// All that was told otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    pub(crate) title: Option<Change>,
    pub(crate) when: Option<Change>,
    pub(crate) venue: Option<Change>,
}

impl Changes {
    pub(crate) fn of(order: &Order, words: &Words) -> Self {
        let was = &order.was;
        let title = was.title.clone().map(|title| Change::new("Renamed", "Renamed", Some(title)));
        let venue = was.venue.clone().map(|venue| Change::new("Venue changed", "Venue set", venue));
        Self { title, when: moved(order, words), venue }
    }

    /// All of them, in the order in which they stand on a page.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Change> {
        [&self.title, &self.when, &self.venue].into_iter().flatten()
    }
}

/// When it was to begin, as clocks of the place showed it that was told. A time zone alone moves nothing that has no date.
fn moved(order: &Order, words: &Words) -> Option<Change> {
    let zone = order.was.time_zone.as_ref();
    let before = match (order.was.starts_at, zone) {
        (Some(before), _) => before,
        (None, Some(_)) => Some(order.starts_at?),
        (None, None) => return None,
    };
    let told = before.map(|at| {
        let shown = words.moment(at, zone.unwrap_or(&order.time_zone));
        zone.map_or(shown.clone(), |zone| format!("{shown} ({} time)", zone_name(zone)))
    });
    Some(Change::new("Moved", "Date set", told))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn changes(was: Value, starts_at: Value) -> Vec<(&'static str, Option<String>)> {
        let at = "2026-11-27T19:00:00Z";
        let order = json!({ "id": "1", "ticketId": "2", "title": "Jazz", "startsAt": starts_at, "timeZone": "Europe/Rome", "was": was,
            "quantity": 2, "price": "5.00", "total": "10.00", "currency": "eur", "status": "complete", "refundPolicy": "never",
            "expiresAt": at, "createdAt": at });
        let order: Order = serde_json::from_value(order).unwrap();
        let changes = Changes::of(&order, &Words::for_languages("en-GB"));
        changes.all().map(|change| (change.label, change.before.clone())).collect()
    }

    fn before(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn what_changed_is_told_with_what_it_was_before() {
        let now = json!("2026-12-06T19:00:00Z");
        assert_eq!(changes(json!({}), now.clone()), []);
        let all = json!({ "title": "Rock", "startsAt": "2026-12-05T19:00:00Z", "venue": "Old Mill" });
        let told = [
            ("Renamed", before("Rock")),
            ("Moved", before("Sat, 5 Dec 2026, 20:00")),
            ("Venue changed", before("Old Mill")),
        ];
        assert_eq!(changes(all, now.clone()), told);
        let none = json!({ "startsAt": null, "venue": null });
        assert_eq!(changes(none, now.clone()), [("Date set", None), ("Venue set", None)]);
        let away = json!({ "startsAt": "2026-12-05T19:00:00Z" });
        assert_eq!(changes(away, Value::Null), [("Moved", before("Sat, 5 Dec 2026, 20:00"))]);
    }

    #[test]
    fn a_time_of_another_place_names_it() {
        let (now, zone) = (json!("2026-12-06T19:00:00Z"), json!({ "timeZone": "Asia/Tokyo" }));
        assert_eq!(changes(zone.clone(), now), [("Moved", before("Mon, 7 Dec 2026, 04:00 (Tokyo time)"))]);
        assert_eq!(changes(zone, Value::Null), [], "without a date a zone means nothing");
    }
}
