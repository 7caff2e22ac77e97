//! What goes wrong between a service and its database, and what may be concluded from it.

use std::sync::Arc;
use std::time::Duration;

use mongodb::error::{ErrorKind, WriteFailure};

use super::away::is_away;
use crate::http::Problem;

/// After this it may have passed.
const SOON: Duration = Duration::from_secs(1);

/// What went wrong between a service and its database.
#[derive(Clone, Debug, thiserror::Error)]
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
    /// Its outbox is full: the broker has not taken its events for long.
    #[error("the broker has not taken the last events of it")]
    Full,
    /// A later build wrote the document, and this one would lose what it does not know.
    #[error("the document has schema {stored}, written by a later build; this one knows {known}")]
    Newer {
        /// The schema that it has.
        stored: i32,
        /// The latest schema that this build reads.
        known: i32,
    },
    /// A document cannot be read or written as its type says.
    #[error("document does not fit its type: {0}")]
    Codec(Arc<dyn std::error::Error + Send + Sync>),
    /// The database refused or did not answer.
    #[error("database: {0}")]
    Database(mongodb::error::Error),
}

pub(super) const DUPLICATE_KEY: i32 = 11000;

impl From<mongodb::error::Error> for StoreError {
    fn from(error: mongodb::error::Error) -> Self {
        if is_duplicate(&error) { Self::Exists } else { Self::Database(error) }
    }
}

impl StoreError {
    /// A document does not fit its type.
    pub fn codec(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Codec(error.into().into())
    }

    /// Whether it passes by itself, so that a later try may work.
    pub fn passes(&self) -> bool {
        match self {
            // Everybody writes at once; the next try may be the fastest.
            Self::Conflict => true,
            Self::Unheard => true,
            // The broker comes back, and the roll-out ends.
            Self::Full | Self::Newer { .. } => true,
            Self::Database(error) => is_away(error),
            Self::Exists | Self::Codec(_) => false,
        }
    }

    /// The answer to a request that failed by it: 503 if it passes, else 500. `cause` is what the log says of it.
    pub fn problem(&self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Problem {
        match self {
            Self::Database(error) if is_away(error) => Problem::database_silent(SOON).caused_by(cause),
            other if other.passes() => Problem::unavailable(SOON).caused_by(cause),
            _ => Problem::internal(cause),
        }
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
        Self::codec(error)
    }
}

impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> Self {
        Self::codec(error)
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
