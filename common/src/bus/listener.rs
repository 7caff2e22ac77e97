//! What a service gives to be called with events, and what it answers.

use std::sync::Arc;

use futures::future::BoxFuture;

use super::{BusError, Cause, EventRecord, Received};
use crate::events::{DecodeError, DomainEvent};
use crate::store::StoreError;

/// Why an event was not handled.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Its predecessor has not been seen yet: it waits for it.
    #[error("version {found} came before its predecessor; {seen} is the last one seen")]
    Early {
        /// The last version seen.
        seen: i64,
        /// The event's version.
        found: i64,
    },
    /// It may work later: the database or another server did not answer.
    #[error("{0}")]
    Transient(Box<dyn std::error::Error + Send + Sync>),
    /// It will never work: it becomes a dead letter at once.
    #[error("{0}")]
    Permanent(Box<dyn std::error::Error + Send + Sync>),
    /// A newer build published it: it waits for a build that knows it.
    #[error("{0}")]
    Unknown(DecodeError),
    /// The handler panicked.
    #[error("the handler panicked: {0}")]
    Panicked(String),
}

impl ListenError {
    /// A failure that a later try may not have.
    pub fn transient(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Transient(error.into())
    }

    /// A failure that every try will have.
    pub fn permanent(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Permanent(error.into())
    }

    /// What the event waits for; `None` if waiting does not help.
    pub(super) fn cause(&self) -> Option<Cause> {
        match self {
            Self::Early { .. } => Some(Cause::Early),
            Self::Transient(_) => Some(Cause::Failed),
            Self::Panicked(_) => Some(Cause::Panicked),
            Self::Unknown(_) => Some(Cause::NewerEvent),
            Self::Permanent(_) => None,
        }
    }
}

impl From<StoreError> for ListenError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Codec(_) => Self::permanent(error),
            error => Self::transient(error),
        }
    }
}

impl From<DecodeError> for ListenError {
    fn from(error: DecodeError) -> Self {
        if error.is_of_newer_build() { Self::Unknown(error) } else { Self::permanent(error) }
    }
}

impl From<BusError> for ListenError {
    fn from(error: BusError) -> Self {
        Self::transient(error)
    }
}

/// What handles one event.
pub type Handler = Arc<dyn Fn(EventRecord) -> BoxFuture<'static, Result<(), ListenError>> + Send + Sync>;

/// Whether an event of an aggregate, given by name, need not be handled when one with a greater version, given by name too, is.
pub type Overtaken = fn(earlier: &str, later: &str) -> bool;

/// A service's ear for one domain.
#[derive(Clone)]
pub struct Listener {
    /// The domain it hears.
    pub domain: &'static str,
    /// What it does.
    pub handler: Handler,
    /// Which events it passes over.
    pub overtaken: Overtaken,
}

impl Listener {
    /// A listener that gives each event of the domain `E`, decoded, to `handle`.
    pub fn new<S, E, F, Fut>(state: Arc<S>, handle: F) -> Self
    where
        S: Send + Sync + 'static,
        E: DomainEvent,
        F: Fn(Arc<S>, Received<E>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), ListenError>> + Send + 'static,
    {
        let handle = Arc::new(handle);
        let handler: Handler = Arc::new(move |record| {
            let (state, handle) = (state.clone(), handle.clone());
            Box::pin(async move { handle(state, record.decode::<E>()?).await })
        });
        Self { domain: E::DOMAIN, handler, overtaken: |_, _| false }
    }

    /// A listener that passes over what a greater version of the same aggregate in the same batch overtakes.
    #[must_use]
    pub fn passing_over(self, overtaken: Overtaken) -> Self {
        Self { overtaken, ..self }
    }
}
