//! The life of a PaymentIntent. Pure: what may follow what, and what each step leaves behind.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::cards::Decline;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    RequiresPaymentMethod,
    RequiresConfirmation,
    RequiresAction,
    Processing,
    Succeeded,
    Canceled,
}

impl Status {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::RequiresPaymentMethod => "requires_payment_method",
            Self::RequiresConfirmation => "requires_confirmation",
            Self::RequiresAction => "requires_action",
            Self::Processing => "processing",
            Self::Succeeded => "succeeded",
            Self::Canceled => "canceled",
        }
    }

    /// Still waiting for somebody: no money is on its way and none has come.
    fn is_open(self) -> bool {
        matches!(self, Self::RequiresPaymentMethod | Self::RequiresConfirmation | Self::RequiresAction)
    }
}

/// Why the last attempt to pay came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "why")]
pub(crate) enum Failure {
    Declined { decline: Decline, charge: Option<String>, method: String },
    NotAuthenticated { method: String },
}

/// Which payment methods an intent takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Accepts {
    Automatic { redirects: bool },
    Listed(Vec<String>),
}

/// A step that the intent's state does not allow.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unexpected {
    #[error("You cannot {verb} this PaymentIntent because it has a status of {}.", status.name())]
    Status { verb: &'static str, status: Status },
    #[error(
        "You cannot confirm this PaymentIntent because it's missing a payment method. \
         Update the PaymentIntent with a payment method and then confirm it again."
    )]
    NoMethod,
}

/// One attempt to collect one amount.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Intent {
    pub(crate) id: String,
    pub(crate) client_secret: String,
    pub(crate) amount: i64,
    pub(crate) currency: String,
    pub(crate) created: i64,
    pub(crate) status: Status,
    pub(crate) accepts: Accepts,
    #[serde(default)]
    pub(crate) excluded: Vec<String>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) description: Option<String>,
    pub(crate) receipt_email: Option<String>,
    pub(crate) return_url: Option<String>,
    pub(crate) method: Option<String>,
    pub(crate) latest_charge: Option<String>,
    pub(crate) received: i64,
    pub(crate) last_failure: Option<Failure>,
    pub(crate) canceled_at: Option<i64>,
    pub(crate) cancellation_reason: Option<String>,
}

impl Intent {
    fn require(&self, verb: &'static str, allowed: bool) -> Result<(), Unexpected> {
        match allowed {
            true => Ok(()),
            false => Err(Unexpected::Status { verb, status: self.status }),
        }
    }

    /// Whether it takes no payment method of this type.
    pub(crate) fn excludes(&self, kind: &str) -> bool {
        self.excluded.iter().any(|excluded| excluded == kind)
    }

    pub(crate) fn may_confirm(&self) -> Result<(), Unexpected> {
        self.require("confirm", self.status.is_open())
    }

    pub(crate) fn may_authenticate(&self) -> Result<(), Unexpected> {
        self.require("authenticate", self.status == Status::RequiresAction)
    }

    pub(crate) fn may_settle(&self) -> Result<(), Unexpected> {
        self.require("settle", self.status == Status::Processing)
    }

    /// The customer chose how to pay, without confirming yet.
    pub(crate) fn attach(&mut self, method: &str) {
        self.method = Some(method.to_owned());
        self.status = Status::RequiresConfirmation;
    }

    /// The bank wants to hear from the customer.
    pub(crate) fn await_customer(&mut self, method: &str) {
        self.method = Some(method.to_owned());
        self.last_failure = None;
        self.status = Status::RequiresAction;
    }

    /// The bank will answer later.
    pub(crate) fn await_bank(&mut self, method: &str, charge: &str) {
        self.method = Some(method.to_owned());
        self.latest_charge = Some(charge.to_owned());
        self.last_failure = None;
        self.status = Status::Processing;
    }

    pub(crate) fn succeed(&mut self, method: &str, charge: &str) {
        self.method = Some(method.to_owned());
        self.latest_charge = Some(charge.to_owned());
        self.last_failure = None;
        self.received = self.amount;
        self.status = Status::Succeeded;
    }

    /// The attempt failed: the intent waits for another payment method.
    pub(crate) fn fail(&mut self, failure: Failure) {
        if let Failure::Declined { charge: Some(charge), .. } = &failure {
            self.latest_charge = Some(charge.clone());
        }
        self.method = None;
        self.last_failure = Some(failure);
        self.status = Status::RequiresPaymentMethod;
    }

    /// Money that has come, or is on its way, cannot be cancelled away.
    pub(crate) fn cancel(&mut self, reason: Option<String>, now: i64) -> Result<(), Unexpected> {
        self.require("cancel", self.status.is_open())?;
        self.status = Status::Canceled;
        self.canceled_at = Some(now);
        self.cancellation_reason = reason;
        Ok(())
    }
}
