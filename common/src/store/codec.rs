//! Values to documents and back, the way the driver itself does it.
//!
//! bson's `serialize_to_document` calls itself human-readable and would write times as text; then no date range, no TTL
//! index and no typed read would find them. The raw serializer writes dates.

use bson::Document;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The document of a value.
///
/// # Errors
/// If the value has no document form.
pub fn to_document<T: Serialize>(value: &T) -> Result<Document, bson::error::Error> {
    Document::try_from(bson::serialize_to_raw_document_buf(value)?)
}

/// The value of a document.
///
/// # Errors
/// If the document does not fit the type.
pub fn from_document<T: DeserializeOwned>(document: &Document) -> Result<T, bson::error::Error> {
    bson::deserialize_from_slice(&document.to_vec()?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::clock::Time;

    #[test]
    fn times_are_dates() {
        let times = BTreeMap::from([("at".to_owned(), Time::from_millis(1_795_000_000_123))]);
        let document = to_document(&times).unwrap();
        assert_eq!(document.get_datetime("at").unwrap().timestamp_millis(), 1_795_000_000_123);
        assert_eq!(from_document::<BTreeMap<String, Time>>(&document).unwrap(), times);
    }
}
