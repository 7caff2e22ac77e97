//! The objects as Stripe writes them: every field its clients insist on, null where there is nothing.

mod charge;

use serde_json::{Value, json};

pub(crate) use charge::{charge, method};

use crate::books::Books;
use crate::disputes::Dispute;
use crate::intents::{Accepts, Failure, Intent, Status};
use crate::refunds::Refund;

/// What rendering needs beside the object itself.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) books: &'a Books,
    /// Where the browser finds the 3-D Secure page.
    pub(crate) pages: &'a str,
}

fn asked(expand: &[String], field: &str) -> bool {
    expand.iter().any(|path| path == field)
}

/// Automatic methods come down to cards here, as in an account that has enabled nothing else.
fn method_types(accepts: &Accepts) -> Value {
    match accepts {
        Accepts::Automatic { .. } => json!(["card"]),
        Accepts::Listed(types) => json!(types),
    }
}

fn automatic(accepts: &Accepts) -> Value {
    match accepts {
        Accepts::Automatic { redirects: true } => json!({ "enabled": true, "allow_redirects": "always" }),
        Accepts::Automatic { redirects: false } => json!({ "enabled": true, "allow_redirects": "never" }),
        Accepts::Listed(_) => Value::Null,
    }
}

fn next_action(view: &View<'_>, intent: &Intent) -> Value {
    if intent.status != Status::RequiresAction {
        return Value::Null;
    }
    let url = format!("{}/test/3ds/{}", view.pages, intent.id);
    json!({ "type": "redirect_to_url", "redirect_to_url": { "url": url, "return_url": intent.return_url } })
}

fn latest_charge(view: &View<'_>, intent: &Intent, expand: &[String]) -> Value {
    let found = intent.latest_charge.as_ref().and_then(|id| view.books.charges.get(id));
    match found {
        Some(found) if asked(expand, "latest_charge") => charge(view, found),
        _ => json!(intent.latest_charge),
    }
}

fn intent_method(view: &View<'_>, intent: &Intent, expand: &[String]) -> Value {
    let found = intent.method.as_ref().and_then(|id| view.books.methods.get(id));
    match found {
        Some(found) if asked(expand, "payment_method") => method(found),
        _ => json!(intent.method),
    }
}

pub(crate) fn intent(view: &View<'_>, it: &Intent, expand: &[String]) -> Value {
    let mut object = json!({
        "id": it.id,
        "object": "payment_intent",
        "amount": it.amount,
        "amount_capturable": 0,
        "amount_received": it.received,
        "automatic_payment_methods": automatic(&it.accepts),
        "canceled_at": it.canceled_at,
        "cancellation_reason": it.cancellation_reason,
        "capture_method": "automatic_async",
        "client_secret": it.client_secret,
        "confirmation_method": "automatic",
        "created": it.created,
        "currency": it.currency,
        "description": it.description,
        "last_payment_error": it.last_failure.as_ref().map(|why| failure(view.books, why)),
        "latest_charge": latest_charge(view, it, expand),
        "livemode": false,
        "metadata": it.metadata,
        "next_action": next_action(view, it),
        "payment_method": intent_method(view, it, expand),
        "payment_method_options": { "card": { "request_three_d_secure": "automatic" } },
        "payment_method_types": method_types(&it.accepts),
        "processing": null,
        "receipt_email": it.receipt_email,
        "status": it.status.name(),
    });
    add_nulls(&mut object, INTENT_NULLS);
    object
}

const INTENT_NULLS: &[&str] = &[
    "amount_details",
    "application",
    "application_fee_amount",
    "customer",
    "on_behalf_of",
    "review",
    "setup_future_usage",
    "shipping",
    "source",
    "statement_descriptor",
    "statement_descriptor_suffix",
    "transfer_data",
    "transfer_group",
];

fn add_nulls(object: &mut Value, fields: &[&str]) {
    for field in fields {
        object[*field] = Value::Null;
    }
}

/// A failed attempt as an error object, for `last_payment_error` and for the 402 itself.
pub(crate) fn failure(books: &Books, why: &Failure) -> Value {
    let (mut error, id) = match why {
        Failure::Declined { decline, charge, method } => (
            json!({
                "type": "card_error",
                "code": decline.code(),
                "decline_code": decline.decline_code(),
                "message": decline.message(),
                "charge": charge,
            }),
            method,
        ),
        Failure::NotAuthenticated { method } => (
            json!({
                "type": "invalid_request_error",
                "code": "payment_intent_authentication_failure",
                "message": "We are unable to authenticate your payment method. \
                            Please choose a different payment method and try again.",
            }),
            method,
        ),
    };
    let code = error["code"].as_str().unwrap_or_default();
    error["doc_url"] = json!(format!("https://docs.stripe.com/error-codes#{code}"));
    error["payment_method"] = books.methods.get(id).map_or(Value::Null, method);
    error
}

pub(crate) fn refund(view: &View<'_>, it: &Refund, expand: &[String]) -> Value {
    let charge = match view.books.charges.get(&it.charge).filter(|_| asked(expand, "charge")) {
        Some(found) => charge(view, found),
        None => json!(it.charge),
    };
    let paid = match view.books.intents.get(&it.intent).filter(|_| asked(expand, "payment_intent")) {
        Some(found) => intent(view, found, &[]),
        None => json!(it.intent),
    };
    json!({
        "id": it.id,
        "object": "refund",
        "amount": it.amount,
        "balance_transaction": null,
        "charge": charge,
        "created": it.created,
        "currency": it.currency,
        "failure_reason": (it.status.name() == "failed").then_some("expired_or_canceled_card"),
        "metadata": it.metadata,
        "payment_intent": paid,
        "reason": it.reason,
        "receipt_number": null,
        "source_transfer_reversal": null,
        "status": it.status.name(),
        "transfer_reversal": null,
    })
}

pub(crate) fn dispute(it: &Dispute) -> Value {
    json!({
        "id": it.id,
        "object": "dispute",
        "amount": it.amount,
        "balance_transactions": [],
        "charge": it.charge,
        "created": it.created,
        "currency": it.currency,
        "enhanced_eligibility_types": [],
        "evidence": { "enhanced_evidence": {} },
        "evidence_details": {
            "due_by": it.created + 7 * 24 * 60 * 60,
            "enhanced_eligibility": {},
            "has_evidence": false,
            "past_due": false,
            "submission_count": 0,
        },
        "is_charge_refundable": it.status.leaves_refundable(),
        "livemode": false,
        "metadata": {},
        "payment_intent": it.intent,
        "reason": it.reason,
        "status": it.status.name(),
    })
}
