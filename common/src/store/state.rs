//! States as they stand in documents, with their version beside them.

use std::collections::BTreeMap;

use bson::raw::{RawBsonRef, RawDocument, RawDocumentBuf};
use bson::{cstr, rawdoc};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{StoreError, Versioned};

/// The state as it is stored, with the id and the version beside it.
pub(super) fn state(value: &impl Serialize, id: &str, version: i64) -> Result<RawDocumentBuf, StoreError> {
    let mut document = bson::serialize_to_raw_document_buf(value)?;
    // Of some types the id is a field.
    if document.get("_id").ok().flatten().is_none() {
        document.append(cstr!("_id"), id);
    }
    document.append(cstr!("version"), version);
    Ok(document)
}

/// Reads the state and version out of a stored document; what stands beside the state is passed over.
pub(super) fn decode<A: DeserializeOwned>(document: &RawDocument) -> Result<Versioned<A>, StoreError> {
    let version = document.get_i64("version").map_err(|error| StoreError::Codec(error.into()))?;
    Ok(Versioned { version, value: bson::deserialize_from_slice(document.as_bytes())? })
}

/// The update from one state to the next. It names the fields that differ and no others: MongoDB looks after the indexes of
/// each field that is named.
pub(super) fn difference<A: Serialize>(before: &A, after: &A, version: i64) -> Result<RawDocumentBuf, StoreError> {
    let (before, after) = (bson::serialize_to_raw_document_buf(before)?, bson::serialize_to_raw_document_buf(after)?);
    let mut known: BTreeMap<_, RawBsonRef<'_>> = before.iter().collect::<Result<_, _>>()?;
    let mut set = rawdoc! { "version": version };
    for field in &after {
        let (name, value) = field?;
        if known.remove(name) != Some(value) {
            set.append(name, value);
        }
    }
    let mut update = rawdoc! { "$set": set };
    if !known.is_empty() {
        let mut unset = RawDocumentBuf::new();
        known.into_keys().for_each(|name| unset.append(name, true));
        update.append(cstr!("$unset"), unset);
    }
    Ok(update)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Show {
        title: &'static str,
        places: Vec<i32>,
        #[serde(skip_serializing_if = "Option::is_none")]
        note: Option<&'static str>,
    }

    #[test]
    fn only_what_differs_is_written_and_what_is_gone_is_taken_out() {
        let before = Show { title: "Jazz", places: vec![1, 2], note: Some("late") };
        let more = Show { places: vec![1, 2, 3], ..before };
        let written = |after: &Show| difference(&before, after, 8).unwrap();
        assert_eq!(written(&more), rawdoc! { "$set": { "version": 8_i64, "places": [1, 2, 3] } });
        let silent = Show { title: "Jazz", places: vec![1, 2], note: None };
        assert_eq!(written(&silent), rawdoc! { "$set": { "version": 8_i64 }, "$unset": { "note": true } });
    }
}
