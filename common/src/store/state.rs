//! States as they stand in documents, with their version beside them, and the schema by which they are written.
//!
//! A document is read by the build that wrote it, by a later one through the upcasters of its type, and by an earlier one not
//! at all: it cannot know what it would lose, so it says that it cannot read it and leaves it to the later builds.
//!
//! Queries, indexes and sums are made by the database, which knows no upcasters. So a field that one of them names keeps its name
//! and its meaning in all schemas; the stored fixtures of each service are compared with that ([`fixtures`](super::fixtures)).

use std::collections::BTreeMap;

use bson::raw::{RawBsonRef, RawDocument, RawDocumentBuf};
use bson::{Document, cstr, rawdoc};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{StoreError, Versioned};

/// Brings a stored document of the schema `from` to the next one.
pub type Upcast = fn(document: Document, from: i32) -> Document;

/// The field that says by which schema the state is written.
pub(super) const SCHEMA: &str = "schema";

/// How the documents of a type are written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    /// The schema that is written. Documents without the field are of the first one.
    pub(super) schema: i32,
    pub(super) upcast: Upcast,
}

impl Form {
    /// That of types which were never written otherwise.
    pub(super) const FIRST: Self = Self { schema: 1, upcast: |document, _| document };

    /// The state as it is stored, with the id, the version and the schema beside it.
    pub(super) fn state(&self, value: &impl Serialize, id: &str, version: i64) -> Result<RawDocumentBuf, StoreError> {
        let mut document = bson::serialize_to_raw_document_buf(value)?;
        // Of some types the id is a field.
        if document.get("_id").ok().flatten().is_none() {
            document.append(cstr!("_id"), id);
        }
        document.append(cstr!("version"), version);
        document.append(cstr!("schema"), self.schema);
        Ok(document)
    }

    /// Reads the state and version out of a stored document; what stands beside the state is passed over.
    ///
    /// # Errors
    /// [`StoreError::Newer`] if a later build wrote it; if it does not fit the type.
    pub(super) fn decode<A: DeserializeOwned>(&self, document: &RawDocument) -> Result<Versioned<A>, StoreError> {
        let version = document.get_i64("version").map_err(StoreError::codec)?;
        Ok(Versioned { version, value: self.read(document)? })
    }

    /// Reads a state, or a part of it.
    ///
    /// # Errors
    /// As [`Form::decode`].
    pub(super) fn read<T: DeserializeOwned>(&self, document: &RawDocument) -> Result<T, StoreError> {
        let stored = document.get_i32(SCHEMA).unwrap_or(1);
        if stored > self.schema {
            return Err(StoreError::Newer { stored, known: self.schema });
        }
        if stored == self.schema {
            return Ok(bson::deserialize_from_slice(document.as_bytes())?);
        }
        let current = (stored..self.schema).fold(Document::try_from(document)?, self.upcast);
        Ok(bson::deserialize_from_slice(&current.to_vec()?)?)
    }

    /// Whether there are documents of an earlier schema.
    pub(super) fn has_earlier(&self) -> bool {
        self.schema > 1
    }

    /// The update from one state to the next. It names the fields that differ and no others: MongoDB looks after the indexes
    /// of each field that is named. Where there was an earlier schema it names all, as what was read may have been brought up
    /// from that.
    pub(super) fn difference<A: Serialize>(&self, before: &A, after: &A, version: i64) -> Result<Update, StoreError> {
        let (before, after) =
            (bson::serialize_to_raw_document_buf(before)?, bson::serialize_to_raw_document_buf(after)?);
        let mut known: BTreeMap<_, RawBsonRef<'_>> = before.iter().collect::<Result<_, _>>()?;
        let mut set = rawdoc! { "version": version };
        let whole = self.has_earlier();
        if whole {
            set.append(cstr!("schema"), self.schema);
        }
        for field in &after {
            let (name, value) = field?;
            let same = known.remove(name) == Some(value);
            if (whole && name != "_id") || !same {
                set.append(name, value);
            }
        }
        let mut unset = RawDocumentBuf::new();
        known.into_keys().for_each(|name| unset.append(name, true));
        Ok(Update { set, unset })
    }
}

/// The fields that an update sets, and those that it takes out.
pub(super) struct Update {
    pub(super) set: RawDocumentBuf,
    unset: RawDocumentBuf,
}

impl Update {
    pub(super) fn into_document(self) -> RawDocumentBuf {
        let mut update = rawdoc! { "$set": self.set };
        if !self.unset.is_empty() {
            update.append(cstr!("$unset"), self.unset);
        }
        update
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;
    use serde::Deserialize;

    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Show {
        title: String,
        places: Vec<i32>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    }

    fn show(note: Option<&str>) -> Show {
        Show { title: "Jazz".to_owned(), places: vec![1, 2], note: note.map(str::to_owned) }
    }

    /// A form after two changes: `seats` became `places`, and then `name` became `title`.
    const THIRD: Form = Form {
        schema: 3,
        upcast: |mut document, from| {
            let (old, new) = if from == 1 { ("seats", "places") } else { ("name", "title") };
            if let Some(value) = document.remove(old) {
                document.insert(new, value);
            }
            document
        },
    };

    fn stored(document: Document) -> RawDocumentBuf {
        RawDocumentBuf::try_from(&document).unwrap()
    }

    #[test]
    fn only_what_differs_is_written_and_what_is_gone_is_taken_out() {
        let before = show(Some("late"));
        let written = |after: &Show| Form::FIRST.difference(&before, after, 8).unwrap().into_document();
        let more = Show { places: vec![1, 2, 3], ..before.clone() };
        assert_eq!(written(&more), rawdoc! { "$set": { "version": 8_i64, "places": [1, 2, 3] } });
        assert_eq!(written(&show(None)), rawdoc! { "$set": { "version": 8_i64 }, "$unset": { "note": true } });
    }

    #[test]
    fn a_document_of_every_earlier_schema_is_read_and_then_written_in_the_present_one() {
        for old in [
            doc! { "_id": "1", "version": 7_i64, "name": "Jazz", "seats": [1, 2] },
            doc! { "_id": "1", "version": 7_i64, "schema": 2, "name": "Jazz", "places": [1, 2] },
            doc! { "_id": "1", "version": 7_i64, "schema": 3, "title": "Jazz", "places": [1, 2] },
        ] {
            let read: Versioned<Show> = THIRD.decode(&stored(old)).unwrap();
            assert_eq!(read, Versioned { version: 7, value: show(None) });
        }
        let written = THIRD.difference(&show(None), &show(None), 8).unwrap().into_document();
        let whole = rawdoc! { "$set": { "version": 8_i64, "schema": 3, "title": "Jazz", "places": [1, 2] } };
        assert_eq!(written, whole, "although nothing differs: it may have been read from an earlier form");
        assert_eq!(THIRD.state(&show(None), "1", 1).unwrap().get_i32("schema").unwrap(), 3);
    }

    #[test]
    fn what_a_later_build_wrote_is_not_read_and_may_be_asked_for_again() {
        let later = stored(doc! { "_id": "1", "version": 7_i64, "schema": 4, "heading": "Jazz" });
        let error = THIRD.decode::<Show>(&later).unwrap_err();
        assert!(matches!(error, StoreError::Newer { stored: 4, known: 3 }), "{error}");
        assert!(error.passes());
    }
}
