//! What clients send and see.

use common::clock::Time;
use common::events::payments::DisputeStanding;
use common::http::Principal;
use common::http::schema::nullable;
use common::id::{OrderId, RefundId, UserId};
use common::money::decimal_schema;
use common::store::Versioned;
use serde::{Deserialize, Serialize};
use utoipa::openapi::Schema;

use crate::decline;
use crate::payment::{Payment, PaymentState};
use crate::refund::{Refund, RefundState};

/// A wish to pay.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Pay {
    /// The order to pay.
    pub(crate) order_id: OrderId,
    /// A PaymentMethod of Stripe's, such as `pm_card_visa`: charges at once.
    #[schema(pattern = "^[A-Za-z0-9_]+$", min_length = 1, max_length = 100)]
    pub(crate) payment_method: Option<String>,
    /// A card token of Stripe's, such as `tok_visa`: charges at once. Not together with `paymentMethod`.
    #[schema(pattern = "^[A-Za-z0-9_]+$", min_length = 1, max_length = 100)]
    pub(crate) token: Option<String>,
}

/// A wish to give money back.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct GiveBack {
    /// How much, such as `"19.99"`; all that is left if not said.
    #[schema(schema_with = amount_schema)]
    pub(crate) amount: Option<Amount>,
    /// Why, on one line.
    #[schema(min_length = 1, max_length = 200)]
    pub(crate) reason: Option<String>,
}

fn amount_schema() -> Schema {
    nullable(decimal_schema())
}

/// A decimal number as text, or as a JSON number.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "must be a decimal number, such as \"19.99\"")]
pub(crate) enum Amount {
    /// Such as `"19.99"`.
    Text(String),
    /// Such as `19.99`.
    Number(serde_json::Number),
}

impl Amount {
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
        }
    }
}

/// Which payments to list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct ListFilter {
    /// Only the payment of this order.
    pub(crate) order_id: Option<OrderId>,
}

/// What a page must know before it can take payments.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Config {
    /// Whether only test cards work and no real money moves.
    pub(crate) test_mode: bool,
    /// The key with which a browser talks to Stripe; null if browsers do not, as with the stand-in for Stripe.
    pub(crate) publishable_key: Option<String>,
}

/// Why the last attempt was declined.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct DeclineView {
    /// Stripe's decline or error code, such as `insufficient_funds`; `generic_decline` where no more may be said.
    code: String,
    /// What the buyer may be told, and what they can do.
    message: &'static str,
}

impl DeclineView {
    fn of(code: &str) -> Self {
        Self { code: decline::told(code).to_owned(), message: decline::message(code) }
    }
}

/// A refund.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RefundView {
    id: RefundId,
    /// Such as `"19.99"`.
    amount: String,
    status: RefundState,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reason: Option<String>,
}

impl From<&Refund> for RefundView {
    fn from(refund: &Refund) -> Self {
        Self { id: refund.id, amount: refund.amount.decimal(), status: refund.state, reason: refund.reason.clone() }
    }
}

/// A payment.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PaymentView {
    /// The same as that of the order.
    id: OrderId,
    order_id: OrderId,
    /// Not shown to the seller.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    buyer_id: Option<UserId>,
    status: PaymentState,
    /// Such as `"19.99"`.
    amount: String,
    /// Such as `usd`.
    currency: String,
    /// Which attempt is the current one, from 1.
    attempt: u32,
    /// Why the last attempt was declined, until another one is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    last_decline: Option<DeclineView>,
    /// How much went back.
    refunded: String,
    refunds: Vec<RefundView>,
    /// How the disputes of the buyer's bank stand, if there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    dispute: Option<DisputeStanding>,
    /// Why the buyer's bank has disputed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    dispute_reason: Option<String>,
    created_at: Time,
    version: i64,
    /// What lets the buyer's browser go on with Stripe's elements.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    client_secret: Option<String>,
    /// The bank's page, where the buyer must go on while the status is `requires_action`. It sends them back to the
    /// order's page. Shown in the answer to `POST` alone, which without a method or token tells it again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next_action: Option<String>,
}

impl PaymentView {
    /// The payment as `who` may see it.
    pub(crate) fn of(payment: &Versioned<Payment>, who: &Principal) -> Self {
        let Versioned { version, value } = payment;
        Self {
            id: value.order_id,
            order_id: value.order_id,
            buyer_id: (who.is_admin() || who.user == value.buyer_id).then_some(value.buyer_id),
            status: value.state,
            amount: value.amount.decimal(),
            currency: value.amount.currency().to_string(),
            attempt: value.attempt,
            last_decline: value.decline_code.as_deref().map(DeclineView::of),
            refunded: value.returned_money().decimal(),
            refunds: value.refunds.iter().map(RefundView::from).collect(),
            dispute: value.dispute_standing(),
            dispute_reason: value.dispute.clone(),
            created_at: value.created_at,
            version: *version,
            client_secret: None,
            next_action: None,
        }
    }

    /// With what the buyer alone gets to see.
    pub(crate) fn with_secret(self, client_secret: Option<String>, next_action: Option<String>) -> Self {
        Self { client_secret, next_action, ..self }
    }

    /// Whether it has what lets its reader pay.
    pub(crate) fn lets_pay(&self) -> bool {
        self.client_secret.is_some() || self.next_action.is_some()
    }
}
