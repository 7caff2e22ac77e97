//! What an aggregate is, and what a rule decides to do to it.

use bson::{Document, doc};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{StoreError, to_document};
use crate::events::{DomainEvent, Raised};

/// Something with an identity that changes one version at a time, and is never deleted.
///
/// Its document has the fields of the type, and beside them `_id`, `version`, `schema` and `outbox`.
pub trait Aggregate: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    /// The events it raises.
    type Event: DomainEvent;

    /// What it is called in message ids.
    const KIND: &'static str;

    /// Where it is stored.
    const COLLECTION: &'static str;

    /// The schema of its documents. A change that an earlier build cannot read makes it one more, with an upcaster.
    const SCHEMA: i32 = 1;

    /// Brings a stored document of the schema `from` to the next one.
    fn upcast(document: Document, from: i32) -> Document {
        let _ = from;
        document
    }

    /// Its id.
    fn id(&self) -> String;

    /// The event that tells its present state to those who missed earlier ones: the domain's
    /// [snapshot](DomainEvent::SNAPSHOT), or, where the newest event says all, that one. `None` where nobody keeps anything of it.
    fn snapshot(&self) -> Option<Self::Event> {
        None
    }
}

/// An aggregate as it was read, with the version that the next write compares.
#[derive(Clone, Debug, PartialEq)]
pub struct Versioned<A> {
    /// Counts the writes, from 1.
    pub version: i64,
    /// The state.
    pub value: A,
}

/// What a rule decided to do to an aggregate.
#[derive(Debug)]
pub struct Change<A: Aggregate> {
    /// The state after it.
    pub next: A,
    /// The event that says so.
    pub event: Raised<A::Event>,
    pub(super) push: Result<Document, bson::error::Error>,
}

impl<A: Aggregate> Change<A> {
    /// A change to `next` that raises `event`.
    pub fn new(next: A, event: Raised<A::Event>) -> Self {
        Self { next, event, push: Ok(Document::new()) }
    }

    /// With an element pushed to the array `field` beside the state, in the same write: work for somebody who takes it out again.
    #[must_use]
    pub fn pushing(self, field: &str, element: &impl Serialize) -> Self {
        let push = to_document(element).map(|element| doc! { field: element });
        Self { push, ..self }
    }
}

/// Why [`Aggregates::change`] changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError<E> {
    /// There is no aggregate with this id.
    #[error("not found")]
    NotFound,
    /// The rule refused.
    #[error("{0}")]
    Refused(E),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
