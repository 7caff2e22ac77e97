//! A database and its collections, of which every call has a limit.
//!
//! The driver's own types stay within the store: its calls wait for ever for a connection that is stalled. A
//! [`Collection`] has the few calls that the services need, and each of them, with the reading of what it found, ends
//! within [`PATIENCE`](super::PATIENCE). Of a [stream](Find::stream) each step does. Documents become values in one place
//! ([`Collection::read`]), so none of a later schema is read, wherever it is found; `find` says what becomes of many.

use bson::Document;
use bson::raw::{RawDocument, RawDocumentBuf};
use futures::TryStreamExt;
use mongodb::options::{AggregateOptions, Hint, ReturnDocument, UpdateModifications};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::StoreError;
use super::connection::CONNECTIONS;
use super::find::{Find, passed_over};
use super::limit::{Calls, PATIENCE};
use super::state::Form;

/// The database of a service.
#[derive(Clone, Debug)]
pub struct Database {
    pub(super) driver: mongodb::Database,
    pub(super) calls: Calls,
}

/// A database of a client that is not [`Client`](super::Client), with turns for itself alone.
impl From<mongodb::Database> for Database {
    fn from(database: mongodb::Database) -> Self {
        Self::new(database, Calls::over(CONNECTIONS))
    }
}

impl Database {
    pub(super) fn new(driver: mongodb::Database, calls: Calls) -> Self {
        Self { driver, calls }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.driver.name()
    }

    /// One of its collections.
    pub fn collection<T: Send + Sync>(&self, name: &str) -> Collection<T> {
        Collection { driver: self.driver.collection(name), calls: self.calls.clone(), form: Some(Form::FIRST) }
    }

    /// Has it do a command of administration.
    ///
    /// # Errors
    /// If the database refuses or does not answer.
    pub async fn run_command(&self, command: Document) -> Result<Document, StoreError> {
        Ok(self.calls.in_time(async { self.driver.run_command(command).await }).await?)
    }
}

/// A collection of documents that are read as `T`.
#[derive(Debug)]
pub struct Collection<T: Send + Sync = Document> {
    pub(super) driver: mongodb::Collection<T>,
    calls: Calls,
    /// None if what is read is no state but stands beside one, and so is of no schema.
    pub(super) form: Option<Form>,
}

impl<T: Send + Sync> Clone for Collection<T> {
    fn clone(&self) -> Self {
        Self { driver: self.driver.clone(), calls: self.calls.clone(), form: self.form }
    }
}

/// How many documents an update found, and how many of them it made different.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Updated {
    /// Those that the filter found.
    pub matched_count: u64,
    /// Those that are different from before.
    pub modified_count: u64,
}

impl<T: Send + Sync> Collection<T> {
    /// Its name.
    pub fn name(&self) -> &str {
        self.driver.name()
    }

    /// The same collection, read as something else.
    pub(super) fn clone_with_type<U: Send + Sync>(&self) -> Collection<U> {
        self.read_as(self.form)
    }

    /// The same collection, read as the states that have this form.
    pub(super) fn states<U: Send + Sync>(&self, form: Form) -> Collection<U> {
        self.read_as(Some(form))
    }

    /// The same collection, of whose documents that is read which stands beside the state: work that waits in arrays, ids. It is
    /// read whatever the schema of the state.
    pub fn beside_states<U: Send + Sync>(&self) -> Collection<U> {
        self.read_as(None)
    }

    fn read_as<U: Send + Sync>(&self, form: Option<Form>) -> Collection<U> {
        Collection { driver: self.driver.clone_with_type(), calls: self.calls.clone(), form }
    }

    /// Makes a call in its turn and in time.
    pub(super) async fn bounded<V>(
        &self,
        call: impl Future<Output = mongodb::error::Result<V>>,
    ) -> Result<V, StoreError> {
        Ok(self.calls.in_time(call).await?)
    }

    /// How many documents `filter` finds; if there are more than `most`, that many.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn count(&self, filter: Document, most: Option<u64>) -> Result<u64, StoreError> {
        let count = self.driver.count_documents(filter).max_time(PATIENCE);
        self.bounded(async { if let Some(most) = most { count.limit(most).await } else { count.await } }).await
    }

    /// About how many documents there are, which the database knows without counting.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn estimated_count(&self) -> Result<u64, StoreError> {
        self.bounded(async { self.driver.estimated_document_count().max_time(PATIENCE).await }).await
    }

    /// What the stages make of the documents, by the index over the keys `hint` if one is named. What does not fit the type is
    /// passed over, as in a list. The stages may read what an index names and what stands beside the state, no more: only
    /// these mean the same in every schema.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn aggregate<R>(
        &self,
        stages: impl IntoIterator<Item = Document>,
        hint: impl Into<Option<Document>>,
    ) -> Result<Vec<R>, StoreError>
    where
        R: DeserializeOwned + Unpin + Send + Sync,
    {
        let by_index = AggregateOptions::builder().hint(hint.into().map(Hint::Keys)).max_time(PATIENCE).build();
        let made = self.driver.aggregate(stages).with_options(by_index).with_type::<RawDocumentBuf>();
        let made: Vec<RawDocumentBuf> = self.bounded(async { made.await?.try_collect().await }).await?;
        let (mut values, mut last) = (Vec::with_capacity(made.len()), None);
        for document in &made {
            match bson::deserialize_from_slice(document.as_bytes()) {
                Ok(value) => values.push(value),
                Err(error) => last = Some(StoreError::from(error)),
            }
        }
        if let Some(error) = last {
            passed_over(self.name(), made.len() - values.len(), &error);
        }
        Ok(values)
    }

    /// Changes the document that `filter` finds.
    ///
    /// # Errors
    /// [`StoreError::Exists`] if another unique value is taken; if the database does not answer.
    pub async fn update_one(
        &self,
        filter: Document,
        change: impl Into<UpdateModifications>,
    ) -> Result<Updated, StoreError> {
        self.bounded(async { self.driver.update_one(filter, change).await }).await.map(updated)
    }

    /// Changes all documents that `filter` finds.
    ///
    /// # Errors
    /// As [`Collection::update_one`]; some may have been changed then.
    pub async fn update_many(
        &self,
        filter: Document,
        change: impl Into<UpdateModifications>,
    ) -> Result<Updated, StoreError> {
        self.bounded(async { self.driver.update_many(filter, change).await }).await.map(updated)
    }

    /// Deletes the document that `filter` finds. Answers whether there was one.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn delete_one(&self, filter: Document) -> Result<bool, StoreError> {
        Ok(self.bounded(async { self.driver.delete_one(filter).await }).await?.deleted_count == 1)
    }

    /// Deletes all documents that `filter` finds. Answers how many there were.
    ///
    /// # Errors
    /// If the database does not answer; some may have been deleted then.
    pub async fn delete_many(&self, filter: Document) -> Result<u64, StoreError> {
        Ok(self.bounded(async { self.driver.delete_many(filter).await }).await?.deleted_count)
    }
}

impl<T: Serialize + Send + Sync> Collection<T> {
    /// Stores a new document.
    ///
    /// # Errors
    /// [`StoreError::Exists`] if there is one with this id or another unique value.
    pub async fn insert_one(&self, document: &T) -> Result<(), StoreError> {
        self.bounded(async { self.driver.insert_one(document).await }).await.map(drop)
    }

    /// Stores new documents.
    ///
    /// # Errors
    /// If the database does not answer; some may have been stored then.
    pub async fn insert_many(&self, documents: &[T]) -> Result<(), StoreError> {
        self.bounded(async { self.driver.insert_many(documents).await }).await.map(drop)
    }

    /// Stores a document in the place of the one that `filter` finds, or as a new one.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn put(&self, filter: Document, document: &T) -> Result<(), StoreError> {
        self.bounded(async { self.driver.replace_one(filter, document).upsert(true).await }).await.map(drop)
    }
}

impl<T: DeserializeOwned + Unpin + Send + Sync> Collection<T> {
    /// The document that `filter` finds.
    ///
    /// # Errors
    /// If the database does not answer or the document does not fit the type.
    pub async fn find_one(&self, filter: Document) -> Result<Option<T>, StoreError> {
        let documents = self.clone_with_type::<RawDocumentBuf>();
        let found = self.bounded(async { documents.driver.find_one(filter).max_time(PATIENCE).await }).await?;
        found.map(|document| self.read(&document)).transpose()
    }

    /// The documents that `filter` finds: awaited all of them that can be read, or [one after the other](Find::stream).
    pub fn find(&self, filter: Document) -> Find<'_, T> {
        Find::new(self, filter)
    }

    /// The value of a document.
    pub(super) fn read(&self, document: &RawDocument) -> Result<T, StoreError> {
        match &self.form {
            Some(form) => form.read(document),
            None => Ok(bson::deserialize_from_slice(document.as_bytes())?),
        }
    }

    /// Changes the document that `filter` finds, or stores a new one; answers what there is then.
    ///
    /// # Errors
    /// [`StoreError::Exists`] if somebody else stored a new one at this moment; as [`Collection::update_one`].
    pub async fn upsert_and_get(
        &self,
        filter: Document,
        change: impl Into<UpdateModifications>,
    ) -> Result<Option<T>, StoreError> {
        let documents = self.clone_with_type::<RawDocumentBuf>();
        let changed = documents.driver.find_one_and_update(filter, change).upsert(true);
        let changed = self.bounded(async { changed.return_document(ReturnDocument::After).await }).await?;
        changed.map(|document| self.read(&document)).transpose()
    }
}

fn updated(result: mongodb::results::UpdateResult) -> Updated {
    Updated { matched_count: result.matched_count, modified_count: result.modified_count }
}
