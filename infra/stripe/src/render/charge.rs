//! Charges and the cards they are made with.

use serde_json::{Value, json};

use super::{View, add_nulls};
use crate::books::Books;
use crate::charges::{Charge, Method};

fn nobody() -> Value {
    let address = json!({
        "city": null, "country": null, "line1": null, "line2": null, "postal_code": null, "state": null,
    });
    json!({ "address": address, "email": null, "name": null, "phone": null, "tax_id": null })
}

pub(crate) fn method(it: &Method) -> Value {
    json!({
        "id": it.id,
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": nobody(),
        "card": {
            "brand": it.brand,
            "checks": { "address_line1_check": null, "address_postal_code_check": null, "cvc_check": "pass" },
            "country": "US",
            "display_brand": it.brand,
            "exp_month": 12,
            "exp_year": 2099,
            "fingerprint": "docketteststandin",
            "funding": "credit",
            "generated_from": null,
            "last4": it.last4,
            "networks": { "available": [it.brand], "preferred": null },
            "three_d_secure_usage": { "supported": true },
            "wallet": null,
        },
        "created": it.created,
        "customer": null,
        "livemode": false,
        "metadata": {},
        "type": it.kind.name(),
    })
}

fn outcome(it: &Charge) -> Value {
    let (kind, network, message) = match it.decline {
        Some(_) => ("issuer_declined", "declined_by_network", "The bank returned a decline code."),
        None => ("authorized", "approved_by_network", "Payment complete."),
    };
    json!({
        "network_status": network,
        "reason": it.decline.map(|decline| decline.decline_code()),
        "risk_level": "normal",
        "risk_score": 20,
        "seller_message": message,
        "type": kind,
    })
}

fn paid_with(books: &Books, it: &Charge) -> Value {
    let Some(method) = books.methods.get(&it.method) else { return Value::Null };
    json!({
        "type": "card",
        "card": {
            "amount_authorized": it.amount,
            "brand": method.brand,
            "checks": { "address_line1_check": null, "address_postal_code_check": null, "cvc_check": "pass" },
            "country": "US",
            "exp_month": 12,
            "exp_year": 2099,
            "funding": "credit",
            "last4": method.last4,
            "network": method.brand,
            "three_d_secure": null,
            "wallet": null,
        },
    })
}

pub(crate) fn charge(view: &View<'_>, it: &Charge) -> Value {
    let mut object = json!({
        "id": it.id,
        "object": "charge",
        "amount": it.amount,
        "amount_captured": it.captured(),
        "amount_refunded": it.refunded,
        "billing_details": nobody(),
        "captured": it.is_paid(),
        "created": it.created,
        "currency": it.currency,
        "disputed": it.disputed,
        "failure_code": it.decline.map(|decline| decline.code()),
        "failure_message": it.decline.map(|decline| decline.message()),
        "fraud_details": {},
        "livemode": false,
        "metadata": it.metadata,
        "outcome": outcome(it),
        "paid": it.is_paid(),
        "payment_intent": it.intent,
        "payment_method": it.method,
        "payment_method_details": paid_with(view.books, it),
        "refunded": it.is_paid() && it.refunded == it.amount,
        "status": it.status.name(),
    });
    add_nulls(&mut object, CHARGE_NULLS);
    object
}

const CHARGE_NULLS: &[&str] = &[
    "application",
    "application_fee",
    "application_fee_amount",
    "balance_transaction",
    "customer",
    "description",
    "on_behalf_of",
    "receipt_email",
    "receipt_number",
    "receipt_url",
    "review",
    "shipping",
    "source_transfer",
    "statement_descriptor",
    "statement_descriptor_suffix",
    "transfer_data",
    "transfer_group",
];
