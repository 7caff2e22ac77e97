//! What Stripe answers, in the words of this service.

use common::id::{OrderId, RefundId};
use common::money::{Currency, Money, charge};
use stripe::{ApiErrors, ApiErrorsCode, ApiErrorsType, StripeError};
use stripe_core::{DisputeStatus, PaymentIntent, PaymentIntentStatus};

use super::{ORDER, REFUND};
use crate::dispute::{Dispute, DisputeState};
use crate::payment::Standing;

/// A PaymentIntent as far as it matters here.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Intent {
    /// Its id at Stripe.
    pub(crate) id: String,
    /// How it stands.
    pub(crate) standing: Standing,
    /// What lets a browser pay it. Never stored, never logged.
    pub(crate) client_secret: Option<String>,
    /// Where the buyer must go to authenticate.
    pub(crate) next_action: Option<String>,
    /// The order it pays.
    pub(crate) order: Option<OrderId>,
}

impl std::fmt::Debug for Intent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Intent").field("id", &self.id).field("standing", &self.standing).finish_non_exhaustive()
    }
}

impl From<PaymentIntent> for Intent {
    fn from(intent: PaymentIntent) -> Self {
        let error = intent.last_payment_error.as_deref().map(code_of);
        let next_action =
            intent.next_action.and_then(|action| action.redirect_to_url).and_then(|redirect| redirect.url);
        Self {
            id: intent.id.to_string(),
            standing: standing(&intent.status, error),
            client_secret: intent.client_secret,
            next_action,
            order: intent.metadata.get(ORDER).and_then(|id| id.parse().ok()),
        }
    }
}

fn standing(status: &PaymentIntentStatus, error: Option<String>) -> Standing {
    match status {
        PaymentIntentStatus::RequiresPaymentMethod | PaymentIntentStatus::RequiresConfirmation => {
            Standing::Open { error }
        }
        PaymentIntentStatus::RequiresAction => Standing::RequiresAction,
        PaymentIntentStatus::Succeeded => Standing::Succeeded,
        PaymentIntentStatus::Canceled => Standing::Cancelled,
        // What is not known to be decided is not decided.
        _ => Standing::Processing,
    }
}

/// Where a refund stands at Stripe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StripeRefundState {
    /// Not decided yet.
    Pending,
    /// The money went back.
    Done,
    /// The money came back again, or never left.
    Failed(String),
}

/// A dispute of a payment of which `paid` was paid. What a bank disputes in another currency is all of it.
pub(super) fn dispute(dispute: stripe_core::Dispute, paid: Money) -> Dispute {
    let same = dispute.currency.to_string().eq_ignore_ascii_case(&paid.currency().to_string());
    let amount = if same { charge::money(dispute.amount, paid.currency()) } else { paid };
    let state = dispute_state(&dispute);
    Dispute { id: dispute.id.to_string(), reason: dispute.reason, amount, state }
}

fn dispute_state(dispute: &stripe_core::Dispute) -> DisputeState {
    match dispute.status {
        DisputeStatus::Lost => DisputeState::Lost,
        // One that was prevented is a refund, which Stripe lists among the refunds.
        DisputeStatus::Won | DisputeStatus::WarningClosed | DisputeStatus::Prevented => DisputeState::Won,
        _ if dispute.is_charge_refundable => DisputeState::Inquiry,
        _ => DisputeState::Open,
    }
}

/// A dispute of some payment of the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SomeDispute {
    /// Its id at Stripe.
    pub(crate) id: String,
    /// The intent that was paid.
    pub(crate) intent: String,
    /// Where it stands.
    pub(crate) state: DisputeState,
}

impl SomeDispute {
    /// None if what is disputed was not paid by an intent.
    pub(super) fn of(dispute: &stripe_core::Dispute) -> Option<Self> {
        let intent = dispute.payment_intent.as_ref()?.id().to_string();
        Some(Self { id: dispute.id.to_string(), intent, state: dispute_state(dispute) })
    }
}

/// A refund as Stripe has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StripeRefund {
    /// Its id at Stripe.
    pub(crate) stripe_id: String,
    /// Its id here, if it was made here.
    pub(crate) id: Option<RefundId>,
    /// How much.
    pub(crate) amount: Money,
    /// Where it stands.
    pub(crate) state: StripeRefundState,
}

impl StripeRefund {
    /// What Stripe says of a refund. It is in the currency of its charge.
    pub(super) fn of(refund: stripe_core::Refund, currency: Currency) -> Self {
        let id = refund.metadata.as_ref().and_then(|metadata| metadata.get(REFUND)).and_then(|id| id.parse().ok());
        let failure =
            || StripeRefundState::Failed(refund.failure_reason.clone().unwrap_or_else(|| "unknown".to_owned()));
        let state = match refund.status.as_deref() {
            Some("succeeded") => StripeRefundState::Done,
            Some("failed" | "canceled") => failure(),
            _ => StripeRefundState::Pending,
        };
        Self { stripe_id: refund.id.to_string(), id, amount: charge::money(refund.amount, currency), state }
    }
}

/// Why Stripe did not do what was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum GatewayError {
    /// The bank declined.
    #[error("declined: {code}")]
    Declined {
        /// The decline code, or Stripe's error code where the bank gave none.
        code: String,
    },
    /// The intent's state does not allow it.
    #[error("the intent is in another state: {0:?}")]
    Unexpected(Box<Intent>),
    /// Stripe will never do it.
    #[error("refused: {code}: {message}")]
    Refused {
        /// Stripe's error code.
        code: String,
        /// For people.
        message: String,
    },
    /// Stripe did not answer, or not sensibly. Whether it did the work is unknown.
    #[error("Stripe is not available: {reason}")]
    Unavailable {
        /// What happened.
        reason: String,
        /// Whether the same idempotency key might get the same failure for ever.
        sticky: bool,
    },
    /// The settings are wrong.
    #[error("{0}")]
    Misconfigured(String),
}

impl From<StripeError> for GatewayError {
    fn from(error: StripeError) -> Self {
        match error {
            StripeError::Stripe(error, status) => answered(*error, status),
            StripeError::ConfigError(reason) => Self::Misconfigured(reason),
            error => Self::Unavailable { reason: error.to_string(), sticky: false },
        }
    }
}

fn answered(error: ApiErrors, status: u16) -> GatewayError {
    let code = code_of(&error);
    let message = error.message.unwrap_or_else(|| "Stripe gives no reason.".to_owned());
    match (status, error.type_, error.code, error.payment_intent) {
        (402, ..) | (_, ApiErrorsType::CardError, ..) => GatewayError::Declined { code },
        // Before the type: a key whose first use is still at work is an idempotency error too, and answers well later.
        (409 | 424 | 429, ..) => GatewayError::Unavailable { reason: format!("{code}: {message}"), sticky: false },
        (_, _, Some(ApiErrorsCode::PaymentIntentUnexpectedState), Some(intent)) => {
            GatewayError::Unexpected(Box::new(intent.into()))
        }
        (_, _, Some(ApiErrorsCode::PaymentIntentUnexpectedState), None) => {
            GatewayError::Unavailable { reason: message, sticky: false }
        }
        (_, ApiErrorsType::IdempotencyError, ..) => GatewayError::Unavailable { reason: message, sticky: true },
        (500.., ..) => GatewayError::Unavailable { reason: format!("{status}: {message}"), sticky: true },
        (401 | 403, ..) => GatewayError::Misconfigured(message),
        _ => GatewayError::Refused { code, message },
    }
}

fn code_of(error: &ApiErrors) -> String {
    let code = error.code.as_ref().map(ApiErrorsCode::as_str);
    error.decline_code.as_deref().or(code).unwrap_or(error.type_.as_str()).to_owned()
}
