//! What the PaymentIntent and PaymentMethod calls take, as far as the stand-in cares. Fields it does not know are ignored.

use std::collections::BTreeMap;

use serde::Deserialize;

/// `POST /v1/payment_intents`.
#[derive(Debug, Deserialize)]
pub(crate) struct CreateIntent {
    pub(crate) amount: Option<i64>,
    pub(crate) currency: Option<String>,
    #[serde(default)]
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) description: Option<String>,
    pub(crate) receipt_email: Option<String>,
    pub(crate) automatic_payment_methods: Option<Automatic>,
    pub(crate) payment_method_types: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) excluded_payment_method_types: Vec<String>,
    #[serde(default)]
    pub(crate) confirm: bool,
    pub(crate) payment_method: Option<String>,
    pub(crate) payment_method_data: Option<MethodData>,
    pub(crate) return_url: Option<String>,
    #[serde(default)]
    pub(crate) error_on_requires_action: bool,
    #[serde(default)]
    pub(crate) expand: Vec<String>,
}

/// `POST /v1/payment_intents/{id}/confirm`.
#[derive(Debug, Deserialize)]
pub(crate) struct ConfirmIntent {
    pub(crate) payment_method: Option<String>,
    pub(crate) payment_method_data: Option<MethodData>,
    pub(crate) return_url: Option<String>,
    #[serde(default)]
    pub(crate) error_on_requires_action: bool,
    #[serde(default)]
    pub(crate) expand: Vec<String>,
}

/// `POST /v1/payment_intents/{id}/cancel`.
#[derive(Debug, Deserialize)]
pub(crate) struct CancelIntent {
    pub(crate) cancellation_reason: Option<String>,
    #[serde(default)]
    pub(crate) expand: Vec<String>,
}

/// The query of any `GET` of one object.
#[derive(Debug, Deserialize)]
pub(crate) struct Retrieve {
    #[serde(default)]
    pub(crate) expand: Vec<String>,
}

/// `automatic_payment_methods[…]`.
#[derive(Debug, Deserialize)]
pub(crate) struct Automatic {
    pub(crate) enabled: bool,
    pub(crate) allow_redirects: Option<Redirects>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Redirects {
    Always,
    Never,
}

/// `payment_method_data[…]`, and the body of `POST /v1/payment_methods`.
#[derive(Debug, Deserialize)]
pub(crate) struct MethodData {
    pub(crate) card: Option<CardData>,
}

/// A token that stands for a card, or its number.
#[derive(Debug, Deserialize)]
pub(crate) struct CardData {
    pub(crate) token: Option<String>,
    pub(crate) number: Option<String>,
}
