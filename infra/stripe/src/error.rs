//! Refusals in Stripe's words: a status and an `error` object.

use serde_json::{Value, json};

/// An answer that is not 2xx.
#[derive(Debug, thiserror::Error)]
#[error("{status}: {error}")]
pub(crate) struct ApiError {
    status: u16,
    error: Value,
    /// Whether a repetition with the same idempotency key gets this answer again.
    saved: bool,
}

impl ApiError {
    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    pub(crate) fn is_saved(&self) -> bool {
        self.saved
    }

    pub(crate) fn body(&self) -> Value {
        json!({ "error": self.error })
    }

    fn invalid(status: u16, code: Option<&str>, message: &str) -> Self {
        let mut error = json!({ "type": "invalid_request_error", "message": message });
        if let Some(code) = code {
            error["code"] = json!(code);
            error["doc_url"] = json!(format!("https://docs.stripe.com/error-codes#{code}"));
        }
        Self { status, error, saved: false }
    }

    fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.error[field] = value.into();
        self
    }

    fn saved(mut self) -> Self {
        self.saved = true;
        self
    }

    pub(crate) fn missing_key() -> Self {
        Self::invalid(401, None, "You did not provide an API key.")
    }

    /// The key may be a real one, typed into the wrong settings: only its ends are repeated.
    pub(crate) fn wrong_key(key: &str) -> Self {
        let start: String = key.chars().take(8).collect();
        Self::invalid(401, None, &format!("Invalid API Key provided: {start}****"))
    }

    pub(crate) fn unknown_url(method: &str, path: &str) -> Self {
        Self::invalid(404, None, &format!("Unrecognized request URL ({method}: {path})."))
    }

    pub(crate) fn malformed(message: &str) -> Self {
        Self::invalid(400, None, message)
    }

    pub(crate) fn missing(param: &str) -> Self {
        let message = format!("Missing required param: {param}.");
        Self::invalid(400, Some("parameter_missing"), &message).with("param", param)
    }

    pub(crate) fn bad_param(code: &str, param: &str, message: &str) -> Self {
        Self::invalid(400, Some(code), message).with("param", param)
    }

    /// The object that the path names does not exist.
    pub(crate) fn no_such(what: &str, param: &str, id: &str) -> Self {
        let message = format!("No such {what}: '{id}'");
        Self::invalid(404, Some("resource_missing"), &message).with("param", param)
    }

    pub(crate) fn incompatible_method(kind: &str) -> Self {
        let message = format!("The PaymentMethod provided ({kind}) is not allowed for this PaymentIntent.");
        let code = "payment_intent_incompatible_payment_method";
        Self::invalid(400, Some(code), &message).with("param", "payment_method")
    }

    pub(crate) fn no_such_method(id: &str) -> Self {
        let message = format!("No such PaymentMethod: '{id}'");
        Self::invalid(400, Some("resource_missing"), &message).with("param", "payment_method")
    }

    pub(crate) fn unexpected_state(message: &str, intent: Value) -> Self {
        Self::invalid(400, Some("payment_intent_unexpected_state"), message).with("payment_intent", intent).saved()
    }

    pub(crate) fn refund(code: Option<&str>, message: &str) -> Self {
        Self::invalid(400, code, message).saved()
    }

    /// A decline: `error` is the intent's `last_payment_error`.
    pub(crate) fn card(error: Value, intent: Value) -> Self {
        Self { status: 402, error, saved: true }.with("payment_intent", intent)
    }

    pub(crate) fn key_in_use(key: &str) -> Self {
        let message = format!("There is currently another in-progress request using this Idempotency Key: {key}.");
        Self::invalid(409, Some("idempotency_key_in_use"), &message).with("type", "idempotency_error")
    }

    pub(crate) fn key_reused(key: &str) -> Self {
        let message = format!("Idempotency key '{key}' was first used with other parameters or another endpoint.");
        let error = json!({ "type": "idempotency_error", "message": message });
        Self { status: 400, error, saved: false }
    }

    pub(crate) fn unavailable(status: u16) -> Self {
        let error = json!({ "type": "api_error", "message": "An unknown error occurred" });
        Self { status, error, saved: false }
    }
}
