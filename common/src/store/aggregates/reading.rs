//! Aggregates as they are read: one, a part of one, many.

use std::fmt::Display;

use bson::{Document, doc};
use serde::de::DeserializeOwned;

use super::Aggregates;
use crate::store::state::SCHEMA;
use crate::store::{Aggregate, StoreError, Versioned};

impl<A: Aggregate> Aggregates<A> {
    /// Reads one.
    ///
    /// # Errors
    /// If the database does not answer or the document does not fit the type.
    pub async fn get(&self, id: impl Display) -> Result<Option<Versioned<A>>, StoreError> {
        self.table.find(id.to_string()).await?.map(|document| Self::FORM.decode(&document)).transpose()
    }

    /// Reads what stands beside the state of one, whatever the schema of that.
    ///
    /// # Errors
    /// If the database does not answer or it does not fit the type.
    pub async fn beside_state<R: DeserializeOwned>(&self, id: impl Display) -> Result<Option<R>, StoreError> {
        let found = self.table.find(id.to_string()).await?;
        Ok(found.map(|document| bson::deserialize_from_slice(document.as_bytes())).transpose()?)
    }

    /// Reads those that match and can be read, in the order of `sort`, `limit` at most.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn find(&self, filter: Document, sort: Document, limit: i64) -> Result<Vec<Versioned<A>>, StoreError> {
        self.found(filter, sort, limit, false).await
    }

    /// [`Aggregates::find`] for work that is looked for again and again: the database leaves out what a later build wrote, so
    /// that it is not read at each look, and what this build can do does not stand behind it.
    ///
    /// # Errors
    /// As [`Aggregates::find`].
    pub async fn find_work(
        &self,
        mut filter: Document,
        sort: Document,
        limit: i64,
    ) -> Result<Vec<Versioned<A>>, StoreError> {
        filter.insert(SCHEMA, doc! { "$not": { "$gt": A::SCHEMA } });
        self.found(filter, sort, limit, false).await
    }

    /// [`Aggregates::find`] where none that matches may be passed over.
    ///
    /// # Errors
    /// As [`Aggregates::get`].
    pub async fn find_all(
        &self,
        filter: Document,
        sort: Document,
        limit: i64,
    ) -> Result<Vec<Versioned<A>>, StoreError> {
        self.found(filter, sort, limit, true).await
    }

    async fn found(
        &self,
        filter: Document,
        sort: Document,
        limit: i64,
        whole: bool,
    ) -> Result<Vec<Versioned<A>>, StoreError> {
        let found = self.collection().find(filter).sort(sort).limit(limit).projection(doc! { "outbox": 0 });
        let found = if whole { found.whole() } else { found };
        found.read_by(|document| Self::FORM.decode(document)).await
    }

    /// Reads the one that a unique value names. One that cannot be read is not said to be missing.
    ///
    /// # Errors
    /// As [`Aggregates::get`].
    pub async fn find_one(&self, filter: Document) -> Result<Option<Versioned<A>>, StoreError> {
        Ok(self.find_all(filter, Document::new(), 1).await?.pop())
    }
}
