//! What is known of an order's payment.

pub(crate) use common::events::payments::PaymentStatus;

use common::events::payments::DisputeStanding;
use common::open_enum::open_enum;
use serde::Deserialize;

/// A payment.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Payment {
    pub(crate) status: PaymentStatus,
    pub(crate) client_secret: Option<String>,
    pub(crate) next_action: Option<String>,
    pub(crate) last_decline: Option<Decline>,
    pub(crate) amount: String,
    /// How much went back, or is on its way.
    pub(crate) refunded: String,
    pub(crate) refunds: Vec<Refund>,
    pub(crate) dispute: Option<DisputeStanding>,
    pub(crate) dispute_reason: Option<String>,
}

impl Payment {
    /// Whether there is money that can be given back.
    pub(crate) fn is_refundable(&self) -> bool {
        matches!(self.status, PaymentStatus::Succeeded | PaymentStatus::PartiallyRefunded)
            && self.refunded != self.amount
            && self.dispute != Some(DisputeStanding::Open)
    }

    /// What its dispute means for the seller, if there is one.
    pub(crate) fn disputed(&self) -> Option<&'static str> {
        Some(match self.dispute? {
            DisputeStanding::Open => "The buyer’s bank has the money until it decides",
            DisputeStanding::Inquiry => "The buyer’s bank asks; if you give the money back, that ends it",
            DisputeStanding::Won => "Decided for you",
            DisputeStanding::Lost => "Decided for the buyer: the bank kept the money",
            DisputeStanding::Unknown(_) => "The buyer’s bank is at it",
        })
    }
}

/// Money that went back.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct Refund {
    pub(crate) amount: String,
    pub(crate) status: RefundStatus,
    pub(crate) reason: Option<String>,
}

open_enum! {
    /// How a refund stands.
    pub(crate) enum RefundStatus {
        /// The payment provider is asked.
        Started = "started",
        /// The money went back.
        Succeeded = "succeeded",
        /// The money could not be given back.
        Failed = "failed",
    }
}

impl RefundStatus {
    /// In a word or two.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Succeeded => "Given back",
            Self::Failed => "Failed",
            Self::Started | Self::Unknown(_) => "On its way",
        }
    }
}

/// Why the bank said no.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct Decline {
    pub(crate) message: String,
}

/// What a page must know before it can take payments.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PaymentConfig {
    pub(crate) test_mode: bool,
    pub(crate) publishable_key: Option<String>,
}
