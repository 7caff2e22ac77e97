//! Fixtures of stored documents, which the tests of the services read: `tests/stored/<collection>/<version>.json`.
//!
//! A file has documents of one collection as a build wrote them, in MongoDB's canonical extended JSON, and counts up where what is
//! written changed; none is ever changed or deleted. Each document is read with this build's types through its own way, upcasters
//! included, and written again. That must give what the fixture says it means, and without such a word the very same document.
//! Of the newest file nothing says otherwise, so what this build writes has the newest fixtures' shape. What the database itself
//! looks at, the keys of the indexes, must be in a stored document as it is in what that means.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use bson::raw::RawDocumentBuf;
use bson::{Bson, Document};
use mongodb::IndexModel;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::state::{Form, SCHEMA};
use super::{Aggregate, Indexes, StoreError, to_document};
use crate::bus::EventRecord;

#[derive(Deserialize)]
struct Fixture {
    stored: Document,
    #[serde(default)]
    means: Option<Document>,
}

/// A field beside the state: its name, and what becomes of it, or of its elements, when that is read and written.
type Beside<'a> = (&'a str, fn(&Bson) -> Result<Bson, StoreError>);

/// Reads what stands beside a state as a `T`, or an element of it, and writes it again.
///
/// # Errors
/// If it does not fit.
pub fn element<T: Serialize + DeserializeOwned>(stored: &Bson) -> Result<Bson, StoreError> {
    let stored = stored.as_document().ok_or_else(|| StoreError::codec("an element is no document"))?;
    Ok(Bson::Document(to_document(&super::from_document::<T>(stored)?)?))
}

/// The fixtures of one crate, and what is wrong with them so far.
#[derive(Debug)]
pub struct Fixtures {
    folder: PathBuf,
    indexes: Vec<Indexes>,
    unread: BTreeSet<String>,
    wrong: Vec<String>,
}

impl Fixtures {
    /// Those of the crate in the folder `manifest`, whose collections have these indexes.
    pub fn of(manifest: &str, indexes: Vec<Indexes>) -> Self {
        let folder = Path::new(manifest).join("tests/stored");
        let collections = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        let unread = collections.map(|found| found.file_name().to_string_lossy().into_owned()).collect();
        let wrong = indexes.iter().flat_map(read_whole).collect();
        Self { folder, indexes, unread, wrong }
    }

    /// Reads the aggregates `A`, with fields beside their states.
    #[must_use]
    pub fn aggregate<A: Aggregate>(self, beside: &[Beside<'_>]) -> Self {
        let outbox: Beside<'_> = ("outbox", element::<EventRecord>);
        let form = Form { schema: A::SCHEMA, upcast: A::upcast };
        self.states::<A>(A::COLLECTION, form, &[&[outbox], beside].concat())
    }

    /// Reads the states of others' aggregates that a projection of the first schema keeps.
    #[must_use]
    pub fn projection<T: Serialize + DeserializeOwned>(self, collection: &str) -> Self {
        self.states::<T>(collection, Form::FIRST, &[])
    }

    /// Reads documents that have neither version nor schema.
    #[must_use]
    pub fn documents<T: Serialize + DeserializeOwned>(self, collection: &str) -> Self {
        self.read(collection, |stored| {
            let mut written = to_document(&Form::FIRST.read::<T>(&RawDocumentBuf::try_from(stored)?)?)?;
            // Where nobody asks for ids, MongoDB makes them.
            if let (None, Some(id)) = (written.get("_id"), stored.get("_id")) {
                written.insert("_id", id.clone());
            }
            Ok(written)
        })
    }

    fn states<T: Serialize + DeserializeOwned>(self, collection: &str, form: Form, beside: &[Beside<'_>]) -> Self {
        self.read(collection, |stored| {
            let id = stored.get_str("_id").unwrap_or_default().to_owned();
            let read = form.decode::<T>(&RawDocumentBuf::try_from(stored)?)?;
            let mut written = Document::try_from(form.state(&read.value, &id, read.version)?)?;
            for (field, again) in beside {
                match stored.get(field) {
                    Some(Bson::Array(elements)) => {
                        written.insert(*field, elements.iter().map(again).collect::<Result<Vec<_>, _>>()?);
                    }
                    Some(part) => {
                        written.insert(*field, again(part)?);
                    }
                    None => {}
                }
            }
            Ok(written)
        })
    }

    fn read(mut self, collection: &str, again: impl Fn(&Document) -> Result<Document, StoreError>) -> Self {
        self.unread.remove(collection);
        let keys: Vec<String> =
            self.indexes.iter().filter(|indexes| indexes.collection == collection).flat_map(keys).collect();
        let files = files(&self.folder.join(collection));
        let newest = files.keys().max().copied();
        if newest.is_none() {
            self.wrong.push(format!("{collection} has no fixture"));
        }
        for (version, text) in files {
            let fixtures: Vec<Fixture> = match serde_json::from_str(&text) {
                Ok(fixtures) => fixtures,
                Err(error) => {
                    self.wrong.push(format!("{collection}/{version}.json: {error}"));
                    continue;
                }
            };
            for (nth, fixture) in fixtures.into_iter().enumerate() {
                let compared = compare(fixture, Some(version) == newest, &keys, &again);
                self.wrong.extend(
                    compared.err().map(|wrong| format!("{collection}/{version}.json, document {nth}: {wrong}")),
                );
            }
        }
        self
    }

    /// What is wrong with any of them, and the fixtures that nobody has read.
    pub fn wrong(self) -> Vec<String> {
        let unread = self.unread.into_iter().map(|collection| format!("nobody reads the fixtures of {collection}"));
        self.wrong.into_iter().chain(unread).collect()
    }
}

/// The indexes of which MongoDB reads the whole, whatever is asked for: see [`Indexes::partial`].
fn read_whole(indexes: &Indexes) -> Vec<String> {
    let says_or = |model: &&IndexModel| {
        let filter = model.options.as_ref().and_then(|options| options.partial_filter_expression.as_ref());
        filter.is_some_and(|filter| filter.contains_key("$or"))
    };
    indexes
        .models
        .iter()
        .filter(says_or)
        .map(|model| format!("the filter of {}'s index over {} says $or", indexes.collection, model.keys))
        .collect()
}

/// The files of a collection, by their versions.
fn files(folder: &Path) -> BTreeMap<u32, String> {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|file| file.path());
    let version = |path: &Path| path.file_stem()?.to_str()?.parse().ok();
    files.filter_map(|path| Some((version(&path)?, std::fs::read_to_string(&path).ok()?))).collect()
}

fn compare(
    fixture: Fixture,
    is_newest: bool,
    keys: &[String],
    again: &impl Fn(&Document) -> Result<Document, StoreError>,
) -> Result<(), String> {
    if is_newest && fixture.means.is_some() {
        return Err("what the newest fixture means is what is stored".to_owned());
    }
    let stored = fixture.stored;
    let mut means = fixture.means.unwrap_or_else(|| stored.clone());
    let written = again(&stored).map_err(|error| format!("it cannot be read: {error}"))?;
    // The first builds wrote no schema, which means the first one.
    if let (None, Some(schema)) = (means.get(SCHEMA), written.get(SCHEMA)) {
        means.insert(SCHEMA, schema.clone());
    }
    if means != written {
        return Err(format!("it means\n{means}\nand is read and written as\n{written}"));
    }
    let differs = |key: &&String| {
        let [stored, means] = [&stored, &means].map(|document| at(&Bson::Document(document.clone()), key));
        stored != means && (stored.is_some() || !means.as_ref().is_none_or(says_nothing))
    };
    match keys.iter().find(differs) {
        Some(key) => Err(format!("an index has {key}, which is not in it as in what it means")),
        None => Ok(()),
    }
}

/// The fields that the indexes of a collection name.
fn keys(indexes: &Indexes) -> Vec<String> {
    indexes.models.iter().flat_map(|model| model.keys.keys().cloned()).collect()
}

/// What an index finds in a document.
fn at(value: &Bson, key: &str) -> Option<Bson> {
    match value {
        Bson::Array(values) => {
            let found: Vec<Bson> = values.iter().filter_map(|value| at(value, key)).collect();
            (!found.is_empty()).then_some(Bson::Array(found))
        }
        Bson::Document(fields) => match key.split_once('.') {
            Some((field, rest)) => at(fields.get(field)?, rest),
            None => fields.get(key).cloned(),
        },
        _ => None,
    }
}

/// What is found where a build did not write the field, by comparisons and sums alike.
fn says_nothing(value: &Bson) -> bool {
    matches!(value, Bson::Null | Bson::Int32(0) | Bson::Int64(0) | Bson::Boolean(false))
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;
    use crate::bus::{DeadLetter, DeadLetters, ParkedEvent, ParkedEvents};
    use crate::http::{IdempotencyStore, StoredRecord};
    use crate::store::EventArchive;
    use crate::store::events::Bundle;

    #[test]
    fn what_every_service_stores_is_read_in_each_version() {
        let indexes = vec![EventArchive::indexes(), ParkedEvents::indexes(), IdempotencyStore::indexes()];
        let fixtures = Fixtures::of(env!("CARGO_MANIFEST_DIR"), indexes)
            .documents::<Bundle<EventRecord>>(EventArchive::COLLECTION)
            .documents::<DeadLetter>(DeadLetters::COLLECTION)
            .documents::<ParkedEvent>(ParkedEvents::COLLECTION)
            .documents::<StoredRecord>(IdempotencyStore::COLLECTION);
        assert_eq!(fixtures.wrong(), Vec::<String>::new());
    }

    #[derive(Serialize, Deserialize)]
    struct Show {
        title: String,
        places: i32,
    }

    fn compared(fixture: Fixture, is_newest: bool, keys: &[&str]) -> Result<(), String> {
        let form = Form {
            schema: 2,
            upcast: |mut document, _| {
                let seats = document.remove("seats").unwrap_or(Bson::Null);
                document.insert("places", seats);
                document
            },
        };
        let again = |stored: &Document| {
            let read = form.decode::<Show>(&RawDocumentBuf::try_from(stored)?)?;
            Ok(Document::try_from(form.state(&read.value, "1", read.version)?)?)
        };
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        compare(fixture, is_newest, &keys, &again)
    }

    #[test]
    fn an_earlier_document_means_what_its_fixture_says() {
        let first = || doc! { "_id": "1", "version": 3_i64, "title": "Jazz", "seats": 7 };
        let second =
            |places: i32| doc! { "_id": "1", "version": 3_i64, "schema": 2, "title": "Jazz", "places": places };
        let fixture = |stored, means| Fixture { stored, means };
        assert_eq!(compared(fixture(first(), Some(second(7))), false, &["title"]), Ok(()));
        assert_eq!(compared(fixture(second(7), None), true, &["title", "places"]), Ok(()));
        let wrong = compared(fixture(first(), Some(second(8))), false, &[]).unwrap_err();
        assert!(wrong.starts_with("it means"), "{wrong}");
        let wrong = compared(fixture(first(), Some(second(7))), false, &["places"]).unwrap_err();
        assert_eq!(wrong, "an index has places, which is not in it as in what it means");
        let mut more = second(7);
        more.insert("hall", "large");
        assert!(compared(fixture(more, None), true, &[]).is_err(), "this build does not write that");
        let untitled = doc! { "_id": "1", "version": 3_i64, "schema": 2, "places": 7 };
        let wrong = compared(fixture(untitled, None), true, &[]).unwrap_err();
        assert!(wrong.starts_with("it cannot be read: "), "{wrong}");
    }
}
