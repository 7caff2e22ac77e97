//! One call of the API at work on the books.

use serde_json::Value;

use crate::books::Books;
use crate::charges::Charge;
use crate::error::ApiError;
use crate::events::Event;
use crate::intents::{Intent, Unexpected};
use crate::refunds::Refund;
use crate::render::View;
use crate::webhooks::Webhooks;
use crate::{ids, render};

/// Who asks, when, and what came of it so far.
pub(crate) struct Call<'a> {
    pub(crate) books: &'a mut Books,
    pub(crate) now: i64,
    pub(crate) pages: &'a str,
    pub(crate) request: Option<String>,
    pub(crate) idempotency_key: Option<String>,
    pub(crate) webhooks: &'a Webhooks,
    /// The events that are to be sent.
    pub(crate) raised: Vec<String>,
}

impl Call<'_> {
    pub(crate) fn view(&self) -> View<'_> {
        View { books: self.books, pages: self.pages }
    }

    pub(crate) fn intent(&self, id: &str, param: &str) -> Result<Intent, ApiError> {
        self.books.intents.get(id).cloned().ok_or_else(|| ApiError::no_such("payment_intent", param, id))
    }

    pub(crate) fn charge(&self, id: &str) -> Result<Charge, ApiError> {
        self.books.charges.get(id).cloned().ok_or_else(|| ApiError::no_such("charge", "charge", id))
    }

    pub(crate) fn refund(&self, id: &str) -> Result<Refund, ApiError> {
        self.books.refunds.get(id).cloned().ok_or_else(|| ApiError::no_such("refund", "refund", id))
    }

    pub(crate) fn unexpected(&self, intent: &Intent, why: &Unexpected) -> ApiError {
        ApiError::unexpected_state(&why.to_string(), render::intent(&self.view(), intent, &[]))
    }

    /// Writes the intent down and says what happened to it.
    pub(crate) fn record(&mut self, intent: &Intent, event: &str) {
        self.books.put(intent.clone());
        let object = render::intent(&self.view(), intent, &[]);
        self.raise(event, object);
    }

    pub(crate) fn raise(&mut self, kind: &str, object: Value) {
        self.raise_event(kind, object, None);
    }

    pub(crate) fn raise_update(&mut self, kind: &str, object: Value, previous: Value) {
        self.raise_event(kind, object, Some(previous));
    }

    fn raise_event(&mut self, kind: &str, object: Value, previous: Option<Value>) {
        let event = Event {
            id: ids::fresh("evt"),
            kind: kind.to_owned(),
            created: self.now,
            object,
            previous,
            request: self.request.clone(),
            idempotency_key: self.idempotency_key.clone(),
            pending_webhooks: self.webhooks.endpoints(kind),
        };
        if event.pending_webhooks > 0 {
            self.raised.push(event.id.clone());
        }
        self.books.put(event);
    }
}
