//! The store: MongoDB is the record. Every change is a compare-and-set, and carries its event in the same write.

mod aggregates;
mod away;
mod backlog;
mod codec;
mod events;
mod guard;
mod meter;
mod projections;
mod relay;
mod state;
mod table;

pub use aggregates::{Aggregate, Aggregates, Change, ChangeError, Versioned};
pub use backlog::Backlog;
pub use codec::{from_document, to_document};
pub use events::{EventArchive, Published};
pub use projections::{Applied, Projection};
pub use relay::{HeldBack, Outbox, Relay, RelayWork};
pub use table::Table;

use std::sync::Arc;
use std::time::Duration;

use bson::{Document, doc};
use mongodb::error::{ErrorKind, WriteFailure};
use mongodb::options::IndexOptions;
use mongodb::{Database, IndexModel};

use self::away::is_away;
use crate::http::Problem;

/// After this it may have passed.
const SOON: Duration = Duration::from_secs(1);

/// What went wrong between a service and its database.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The document was changed by somebody else since it was read.
    #[error("the document was changed meanwhile")]
    Conflict,
    /// A document with this id or another unique value exists.
    #[error("a document with this id or unique value exists")]
    Exists,
    /// It was made so lately that its event may be on its way still.
    #[error("nothing has been heard of it yet")]
    Unheard,
    /// A document cannot be read or written as its type says.
    #[error("document does not fit its type: {0}")]
    Codec(Box<dyn std::error::Error + Send + Sync>),
    /// The database refused or did not answer.
    #[error("database: {0}")]
    Database(mongodb::error::Error),
}

const DUPLICATE_KEY: i32 = 11000;

impl From<mongodb::error::Error> for StoreError {
    fn from(error: mongodb::error::Error) -> Self {
        if is_duplicate(&error) { Self::Exists } else { Self::Database(error) }
    }
}

impl StoreError {
    /// Whether it passes by itself, so that a later try may work.
    pub fn passes(&self) -> bool {
        match self {
            // Everybody writes at once; the next try may be the fastest.
            Self::Conflict => true,
            Self::Unheard => true,
            Self::Database(error) => is_away(error),
            Self::Exists | Self::Codec(_) => false,
        }
    }

    /// The answer to a request that failed by it: 503 if it passes, else 500. `cause` is what the log says of it.
    pub fn problem(&self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Problem {
        if self.passes() { Problem::unavailable(SOON).caused_by(cause) } else { Problem::internal(cause) }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Arc::new(error).into()
    }
}

impl From<Arc<StoreError>> for Problem {
    fn from(error: Arc<StoreError>) -> Self {
        error.problem(error.clone())
    }
}

impl From<bson::error::Error> for StoreError {
    fn from(error: bson::error::Error) -> Self {
        Self::Codec(error.into())
    }
}

impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> Self {
        Self::Codec(error.into())
    }
}

fn is_duplicate(error: &mongodb::error::Error) -> bool {
    match &*error.kind {
        ErrorKind::Write(WriteFailure::WriteError(write)) => write.code == DUPLICATE_KEY,
        ErrorKind::InsertMany(many) => {
            let errors = many.write_errors.as_deref().unwrap_or_default();
            many.write_concern_error.is_none()
                && !errors.is_empty()
                && errors.iter().all(|write| write.code == DUPLICATE_KEY)
        }
        ErrorKind::Command(command) => command.code == DUPLICATE_KEY,
        _ => false,
    }
}

/// What the index of the relay's sweep is over.
fn outbox_keys() -> Document {
    doc! { "outbox.at": 1 }
}

/// The indexes of one collection, declared by its service and made at its start.
#[derive(Clone, Debug)]
pub struct Indexes {
    /// The collection.
    pub collection: &'static str,
    /// What is made.
    pub models: Vec<IndexModel>,
}

impl Indexes {
    /// A collection without an index yet.
    pub fn of(collection: &'static str) -> Self {
        Self { collection, models: Vec::new() }
    }

    /// With an index over `keys`.
    #[must_use]
    pub fn on(self, keys: Document) -> Self {
        self.with(keys, IndexOptions::default())
    }

    /// With an index that lets no two documents have the same `keys`.
    #[must_use]
    pub fn unique(self, keys: Document) -> Self {
        self.with(keys, IndexOptions::builder().unique(true).build())
    }

    /// With an index over `keys` that holds only the documents which match `filter`.
    #[must_use]
    pub fn partial(self, keys: Document, filter: Document) -> Self {
        self.with(keys, IndexOptions::builder().partial_filter_expression(filter).build())
    }

    /// With an index that deletes documents some time after the date in `field`.
    #[must_use]
    pub fn ttl(self, field: &str, after: Duration) -> Self {
        self.with(doc! { field: 1 }, IndexOptions::builder().expire_after(after).build())
    }

    /// With the index that the relay's sweep reads: documents whose outbox is not empty.
    #[must_use]
    pub fn outbox(self) -> Self {
        self.partial(outbox_keys(), doc! { "outbox.0": { "$exists": true } })
    }

    /// Whether its documents have outboxes.
    pub(crate) fn have_outbox(&self) -> bool {
        self.models.iter().any(|model| model.keys == outbox_keys())
    }

    /// With the index by which letters are found that stand in the documents: see [`crate::mail::Letters`].
    #[must_use]
    pub fn letters(self) -> Self {
        self.partial(doc! { "letters.dueAt": 1 }, doc! { "letters.0": { "$exists": true } })
    }

    fn with(mut self, keys: Document, options: IndexOptions) -> Self {
        self.models.push(IndexModel::builder().keys(keys).options(options).build());
        self
    }

    /// Makes what is missing.
    ///
    /// # Errors
    /// If the database refuses, as it does when an index of the same name has other options.
    pub async fn ensure(&self, database: &Database) -> Result<(), StoreError> {
        database.collection::<Document>(self.collection).create_indexes(self.models.clone()).await?;
        Ok(())
    }
}
