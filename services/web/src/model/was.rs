//! What the buyer of an order was told of the show, where it is different by now.

use common::clock::Time;
use serde::{Deserialize, Deserializer};

/// What was told when the places were held, as far as it is different by now. Where there is nothing inside, nothing was told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Was {
    pub(crate) title: Option<String>,
    #[serde(deserialize_with = "told")]
    pub(crate) venue: Option<Option<String>>,
    #[serde(deserialize_with = "told")]
    pub(crate) starts_at: Option<Option<Time>>,
    pub(crate) time_zone: Option<String>,
}

/// A field that is there, be it null.
fn told<'de, T: Deserialize<'de>, D: Deserializer<'de>>(field: D) -> Result<Option<T>, D::Error> {
    T::deserialize(field).map(Some)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn null_is_told_from_what_is_not_there() {
        let was: Was = serde_json::from_value(json!({ "venue": null })).unwrap();
        assert_eq!((was.venue, was.starts_at), (Some(None), None));
    }
}
