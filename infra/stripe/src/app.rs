//! What every handler shares, and the one way by which a call reaches the books.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::call::Call;
use crate::calls::Calls;
use crate::clock::Clock;
use crate::error::ApiError;
use crate::faults::Faults;
use crate::idempotency::{Reply, SavedReply};
use crate::store::{Claim, SharedStore, Store};
use crate::webhooks::Webhooks;

/// The stand-in's state.
pub(crate) struct App {
    pub(crate) secret_key: String,
    pub(crate) clock: Clock,
    pub(crate) pages: String,
    pub(crate) store: SharedStore,
    pub(crate) faults: Mutex<Faults>,
    pub(crate) calls: Mutex<Calls>,
    pub(crate) webhooks: Arc<Webhooks>,
}

/// Who caused a change: an API request, or a test's own hand.
#[derive(Default)]
pub(crate) struct Origin<'a> {
    pub(crate) request: Option<String>,
    pub(crate) claim: Option<&'a Claim>,
    /// What to answer, and to remember, in place of the true result.
    pub(crate) instead: Option<Reply>,
}

impl App {
    pub(crate) fn now(&self) -> i64 {
        (self.clock)()
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps an answer for a key without any work.
    pub(crate) fn save(&self, claim: &Claim, reply: Reply) {
        let mut store = self.store.lock();
        store.books.put(self.saved(claim, reply));
        if let Err(error) = store.flush(self.now()) {
            tracing::error!(error = &error as &dyn std::error::Error, "an answer could not be written down");
        }
    }

    fn saved(&self, claim: &Claim, reply: Reply) -> SavedReply {
        SavedReply { key: claim.key.clone(), fingerprint: claim.fingerprint.clone(), created: self.now(), reply }
    }

    /// Does the work, writes it down together with its answer, then lets the webhooks know.
    pub(crate) fn run(
        &self,
        origin: &Origin<'_>,
        work: impl FnOnce(&mut Call<'_>) -> Result<Value, ApiError>,
    ) -> Reply {
        let mut store = self.store.lock();
        let mut call = Call {
            books: &mut store.books,
            now: self.now(),
            pages: &self.pages,
            request: origin.request.clone(),
            idempotency_key: origin.claim.map(|claim| claim.key.clone()),
            webhooks: &self.webhooks,
            raised: Vec::new(),
        };
        let answer = work(&mut call);
        let raised = std::mem::take(&mut call.raised);
        let reply = self.conclude(&mut store, origin, answer);
        drop(store);
        self.webhooks.send(raised);
        reply
    }

    fn conclude(&self, store: &mut Store, origin: &Origin<'_>, answer: Result<Value, ApiError>) -> Reply {
        let (reply, saved) = match answer {
            Ok(body) => (Reply { status: 200, body }, true),
            Err(error) => (Reply { status: error.status(), body: error.body() }, error.is_saved()),
        };
        let reply = origin.instead.clone().filter(|_| saved).unwrap_or(reply);
        if let Some(claim) = origin.claim.filter(|_| saved) {
            store.books.put(self.saved(claim, reply.clone()));
        }
        if let Err(error) = store.flush(self.now()) {
            tracing::error!(error = &error as &dyn std::error::Error, "a change could not be written down");
            return Reply { status: 500, body: ApiError::unavailable(500).body() };
        }
        reply
    }
}
