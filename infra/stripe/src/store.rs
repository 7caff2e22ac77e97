//! The books and their journal, shared by everything that runs.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::books::Books;
use crate::journal::{Journal, JournalError};

/// The books, and the file they are kept in, if any.
pub(crate) struct Store {
    pub(crate) books: Books,
    journal: Option<Journal>,
}

impl Store {
    /// Writes down what has changed since the last time. Now and then what is settled and old at `now` is forgotten.
    pub(crate) fn flush(&mut self, now: i64) -> Result<(), JournalError> {
        if let Some(journal) = &mut self.journal {
            journal.append(self.books.changes())?;
        }
        self.books.changes_written();
        self.books.forget_now_and_then(now);
        if let Some(journal) = self.journal.as_mut().filter(|journal| journal.is_full()) {
            self.books.forget(now);
            if let Err(error) = journal.compact(&self.books) {
                tracing::warn!(error = &error as &dyn std::error::Error, "the journal grows: it was not written anew");
            }
        }
        Ok(())
    }
}

/// A handle on the one store.
#[derive(Clone)]
pub(crate) struct SharedStore(Arc<Mutex<Store>>);

impl SharedStore {
    pub(crate) fn open(journal: Option<&Path>, now: i64) -> Result<Self, JournalError> {
        let store = match journal {
            Some(path) => {
                let (journal, books) = Journal::open(path, now)?;
                Store { books, journal: Some(journal) }
            }
            None => Store { books: Books::default(), journal: None },
        };
        Ok(Self(Arc::new(Mutex::new(store))))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Store> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A claimed idempotency key; whoever drops it gives the key back.
pub(crate) struct Claim {
    store: SharedStore,
    pub(crate) key: String,
    pub(crate) fingerprint: String,
}

impl Claim {
    pub(crate) fn new(store: SharedStore, key: String, fingerprint: String) -> Self {
        Self { store, key, fingerprint }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.store.lock().books.idempotency.release(&self.key);
    }
}
