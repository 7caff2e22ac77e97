//! A collection whose reads and writes of single documents go together in few commands.
//!
//! What MongoDB does for a command costs more than what it does for a document in it, so the tasks of a process share
//! commands. Each still gets the answer to what it asked for.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use bson::raw::{RawArrayBuf, RawDocumentBuf};
use bson::{Document, doc, rawdoc};
use futures::TryStreamExt;
use mongodb::error::{Error, ErrorKind};
use mongodb::options::FindOptions;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::gather::{BATCH, Gather};

use super::away::{away, says_away};
use super::error::DUPLICATE_KEY;
use super::limit::{Calls, PATIENCE, in_time};
use super::state::Form;
use super::together::{Together, broken_off};
use super::{Collection, Database, StoreError};

/// A command is a document, and MongoDB takes none of more than 16 MiB.
const COMMAND_BYTES: usize = 8 * 1024 * 1024;

/// A document to be stored, or a change of one.
enum Write {
    Insert(RawDocumentBuf),
    Update(RawDocumentBuf),
}

type Found = Option<Arc<RawDocumentBuf>>;
type Written = Result<(), StoreError>;

/// A collection, by the ids of its documents.
#[derive(Clone)]
pub struct Table {
    collection: Collection<Document>,
    finds: Together<String, Found>,
    writes: Gather<Write, Written>,
}

impl Table {
    /// The table over the collection `name`.
    pub fn new(database: &Database, name: &str) -> Self {
        Self::over(database, name, None)
    }

    /// The table over a collection of documents with outboxes, which are left out when the documents are read.
    pub(super) fn beside_outboxes(database: &Database, name: &str) -> Self {
        Self::over(database, name, Some(doc! { "outbox": 0 }))
    }

    fn over(database: &Database, name: &str, fields: Option<Document>) -> Self {
        let writer = Shelf::new(database, name, fields);
        let finder = writer.clone();
        Self {
            collection: database.collection::<Document>(name).beside_states(),
            finds: Together::new(move |ids| finder.clone().find(ids)),
            writes: Gather::new(move |writes| writer.clone().write(writes)),
        }
    }

    /// The collection, for counts, and for writes whose number of matches counts.
    pub fn collection(&self) -> &Collection<Document> {
        &self.collection
    }

    /// The documents, read as `R`.
    pub fn documents<R: Send + Sync>(&self) -> Collection<R> {
        self.collection.states(Form::FIRST)
    }

    /// Reads a document.
    ///
    /// # Errors
    /// If the database does not answer or the document does not fit the type.
    pub async fn get<T: DeserializeOwned>(&self, id: impl Into<String>) -> Result<Option<T>, StoreError> {
        let found = self.find(id.into()).await?;
        found.map(|document| Form::FIRST.read(&document)).transpose()
    }

    pub(super) async fn find(&self, id: String) -> Result<Found, StoreError> {
        self.finds.ask(id).await
    }

    /// Stores a new document.
    ///
    /// # Errors
    /// [`StoreError::Exists`] if there is one with this id or another unique value.
    pub async fn insert<T: Serialize>(&self, value: &T) -> Result<(), StoreError> {
        self.insert_raw(bson::serialize_to_raw_document_buf(value)?).await
    }

    pub(super) async fn insert_raw(&self, document: RawDocumentBuf) -> Result<(), StoreError> {
        self.write(Write::Insert(document)).await
    }

    /// Stores a document in the place of the one with this id, or as a new one.
    ///
    /// # Errors
    /// [`StoreError::Exists`] if another unique value is taken; if the database does not answer.
    pub async fn put<T: Serialize>(&self, id: &str, value: &T) -> Result<(), StoreError> {
        let document = bson::serialize_to_raw_document_buf(value)?;
        self.write(Write::Update(rawdoc! { "q": { "_id": id }, "u": document, "upsert": true })).await
    }

    /// Changes the document that `filter` finds. That there is none is no error.
    ///
    /// # Errors
    /// [`StoreError::Exists`] if another unique value is taken; if the database does not answer.
    pub async fn update(&self, filter: Document, change: Document) -> Result<(), StoreError> {
        let statement = doc! { "q": filter, "u": change };
        self.write(Write::Update(RawDocumentBuf::try_from(&statement)?)).await
    }

    /// Changes all documents that `filter` finds.
    ///
    /// # Errors
    /// As [`Table::update`]; some may have been changed then.
    pub async fn update_many(&self, filter: Document, change: Document) -> Result<(), StoreError> {
        let statement = doc! { "q": filter, "u": change, "multi": true };
        self.write(Write::Update(RawDocumentBuf::try_from(&statement)?)).await
    }

    /// Changes the document that `filter`, the id and more, finds; stores a new one if there is none with this id.
    ///
    /// Of several statements MongoDB tells how many matched, not which. As an upsert, the one whose id is there while the rest of
    /// its filter does not match tries to insert that id again, and so is the one that fails.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if there is one with this id that `filter` does not match.
    pub(super) async fn compare_and_set(
        &self,
        filter: RawDocumentBuf,
        change: RawDocumentBuf,
    ) -> Result<(), StoreError> {
        self.write(Write::Update(rawdoc! { "q": filter, "u": change, "upsert": true })).await
    }

    async fn write(&self, write: Write) -> Written {
        in_time(async { self.writes.ask(write).await.unwrap_or_else(|| Err(broken_off())) }).await
    }
}

/// The collection as the gatherers use it.
#[derive(Clone)]
struct Shelf {
    database: mongodb::Database,
    calls: Calls,
    collection: mongodb::Collection<RawDocumentBuf>,
    /// The fields that are read of a document, if not all.
    fields: Option<Document>,
}

impl Shelf {
    fn new(database: &Database, name: &str, fields: Option<Document>) -> Self {
        let Database { driver, calls } = database.clone();
        Self { collection: driver.collection(name), database: driver, calls, fields }
    }

    async fn find(self, ids: Vec<String>) -> Result<Vec<Found>, StoreError> {
        let found = self.calls.in_time(self.find_all(&ids)).await?;
        Ok(ids.iter().map(|id| found.get(id).cloned()).collect())
    }

    async fn find_all(&self, ids: &[String]) -> Result<HashMap<String, Arc<RawDocumentBuf>>, Error> {
        let wanted = doc! { "_id": { "$in": ids } };
        let size = u32::try_from(BATCH).unwrap_or(u32::MAX);
        let options = FindOptions::builder().batch_size(size).projection(self.fields.clone()).max_time(PATIENCE);
        let mut cursor = self.collection.find(wanted).with_options(options.build()).await?;
        let mut found = HashMap::with_capacity(ids.len());
        while let Some(document) = cursor.try_next().await? {
            if let Ok(id) = document.get_str("_id") {
                found.insert(id.to_owned(), Arc::new(document));
            }
        }
        Ok(found)
    }

    async fn write(self, writes: Vec<Write>) -> Vec<Written> {
        let mut answers: Vec<Written> = writes.iter().map(|_| Ok(())).collect();
        let (mut inserts, mut updates) = (Lot::default(), Lot::default());
        for (place, write) in writes.into_iter().enumerate() {
            match write {
                Write::Insert(document) => inserts.add(place, document),
                Write::Update(statement) => updates.add(place, statement),
            }
        }
        let (inserted, updated) = tokio::join!(self.insert_all(inserts), self.update_all(updates));
        for (place, answer) in inserted.into_iter().chain(updated) {
            answers[place] = answer;
        }
        answers
    }

    async fn insert_all(&self, Lot { places, documents }: Lot) -> Vec<(usize, Written)> {
        if documents.is_empty() {
            return Vec::new();
        }
        let insert = async { self.collection.insert_many(&documents).ordered(false).await.map(drop) };
        let inserted = self.calls.in_time(insert).await;
        let failed = match inserted {
            Ok(()) => Vec::new(),
            Err(error) => insert_failures(&error).unwrap_or_else(|| all(places.len(), &error)),
        };
        placed(&places, failed)
    }

    async fn update_all(&self, lot: Lot) -> Vec<(usize, Written)> {
        let mut answers = Vec::new();
        for Lot { places, documents } in lot.in_commands() {
            let failed = match self.calls.in_time(self.update(&documents)).await {
                Ok(failed) => failed,
                Err(error) => all(places.len(), &error),
            };
            answers.extend(placed(&places, failed));
        }
        answers
    }

    async fn update(&self, statements: &[RawDocumentBuf]) -> Result<Vec<(usize, StoreError)>, Error> {
        let mut updates = RawArrayBuf::new();
        statements.iter().for_each(|statement| updates.push(statement.clone()));
        // Of the client's write concern the driver tells nothing to commands that it does not know.
        let command = rawdoc! {
            "update": self.collection.name(), "updates": updates, "ordered": false,
            "writeConcern": { "w": "majority" },
        };
        let answer = self.database.run_raw_command(command).await?;
        if let Ok(failed) = answer.get_document("writeConcernError") {
            return Err(away(io::ErrorKind::Other, format!("not known to be stored: {failed}")));
        }
        let errors = answer.get_array("writeErrors").map(Vec::as_slice).unwrap_or_default();
        Ok(errors.iter().filter_map(bson::Bson::as_document).filter_map(update_failure).collect())
    }
}

/// Documents for one command, and the places of their askers.
#[derive(Default)]
struct Lot {
    places: Vec<usize>,
    documents: Vec<RawDocumentBuf>,
}

impl Lot {
    fn add(&mut self, place: usize, document: RawDocumentBuf) {
        self.places.push(place);
        self.documents.push(document);
    }

    fn in_commands(self) -> Vec<Lot> {
        let (mut lots, mut bytes) = (Vec::<Lot>::new(), COMMAND_BYTES);
        for (place, document) in self.places.into_iter().zip(self.documents) {
            let size = document.as_bytes().len();
            if bytes + size > COMMAND_BYTES {
                lots.push(Lot::default());
                bytes = 0;
            }
            bytes += size;
            if let Some(lot) = lots.last_mut() {
                lot.add(place, document);
            }
        }
        lots
    }
}

fn placed(places: &[usize], failed: Vec<(usize, StoreError)>) -> Vec<(usize, Written)> {
    failed.into_iter().filter_map(|(nth, error)| Some((*places.get(nth)?, Err(error)))).collect()
}

fn all(count: usize, error: &Error) -> Vec<(usize, StoreError)> {
    (0..count).map(|nth| (nth, StoreError::Database(error.clone()))).collect()
}

/// Which documents were not inserted; `None` if that is not known of each.
fn insert_failures(error: &Error) -> Option<Vec<(usize, StoreError)>> {
    let ErrorKind::InsertMany(many) = &*error.kind else { return None };
    if many.write_concern_error.is_some() {
        return None;
    }
    let failed = many.write_errors.as_ref()?.iter();
    Some(failed.map(|write| (write.index, refused(write.code, &write.message, StoreError::Exists))).collect())
}

fn update_failure(error: &Document) -> Option<(usize, StoreError)> {
    let index = usize::try_from(error.get_i32("index").ok()?).ok()?;
    let of_id = error.get_document("keyPattern").is_ok_and(|keys| keys.contains_key("_id"));
    let doubled = if of_id { StoreError::Conflict } else { StoreError::Exists };
    Some((index, refused(error.get_i32("code").unwrap_or(0), &error.to_string(), doubled)))
}

fn refused(code: i32, message: &str, doubled: StoreError) -> StoreError {
    let refused = format!("write refused ({code}): {message}");
    match code {
        DUPLICATE_KEY => doubled,
        code if says_away(code) => StoreError::Database(away(io::ErrorKind::Other, refused)),
        _ => StoreError::Database(Error::custom(refused)),
    }
}
