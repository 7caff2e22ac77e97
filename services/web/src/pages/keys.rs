//! The keys with which programs act in one's name, as the profile shows and makes them.

use common::clock::Time;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::format::Words;

/// A key.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Key {
    pub(super) id: String,
    pub(super) name: String,
    scopes: Vec<String>,
    created_at: Time,
    last_used_at: Option<Time>,
}

/// The same in words.
pub(super) struct KeyRow {
    pub(super) key: Key,
    pub(super) scopes: String,
    pub(super) made: String,
    /// None as long as it was not used.
    pub(super) used: Option<String>,
}

impl KeyRow {
    pub(super) fn of(key: Key, words: &Words) -> Self {
        let used = key.last_used_at.map(|at| words.moment(at, "UTC"));
        Self { scopes: key.scopes.join(", "), made: words.day(key.created_at, "UTC"), used, key }
    }
}

/// A key that was just made.
#[derive(Debug, Deserialize)]
pub(super) struct MadeKey {
    pub(super) key: String,
}

/// What a form wants a key to be: of each area of the API, what the program may do there.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct NewKey {
    pub(super) name: String,
    tickets: String,
    orders: String,
    passes: String,
    payments: String,
}

/// What may be chosen for an area.
pub(super) const ACCESS: [(&str, &str); 3] = [("", "Nothing"), ("read", "Look"), ("write", "Look and change")];

/// An area of the API, and what is chosen for it.
pub(super) struct Area<'a> {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    chosen: &'a str,
}

impl Area<'_> {
    pub(super) fn has_chosen(&self, access: &str) -> bool {
        self.chosen == access
    }
}

impl NewKey {
    /// The areas of the form.
    pub(super) fn areas(&self) -> [Area<'_>; 4] {
        let area = |name, label, chosen| Area { name, label, chosen };
        [
            area("tickets", "Listings", &self.tickets),
            area("orders", "Orders and sales", &self.orders),
            area("passes", "Check-in", &self.passes),
            area("payments", "Payments and refunds", &self.payments),
        ]
    }

    /// The same as the API is asked.
    pub(super) fn asked(&self) -> Value {
        let chosen = self.areas().into_iter().filter(|area| !area.chosen.is_empty());
        let scopes: Vec<String> = chosen.map(|area| format!("{}:{}", area.name, area.chosen)).collect();
        json!({ "name": self.name.trim(), "scopes": scopes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_chosen_is_asked_for() {
        let form = "name=+Till+&tickets=&orders=write&passes=write&payments=read";
        let wish: NewKey = serde_urlencoded::from_str(form).unwrap();
        let asked = json!({ "name": "Till", "scopes": ["orders:write", "passes:write", "payments:read"] });
        assert_eq!(wish.asked(), asked);
        assert_eq!(NewKey::default().asked()["scopes"], json!([]));
    }
}
