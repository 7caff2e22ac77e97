//! Charges, and the payment methods they are made with.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::call::Call;
use crate::cards::{Behaviour, Decline};
use crate::disputes::DisputeStatus;
use crate::error::ApiError;
use crate::render;

/// A card somebody pays with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Method {
    pub(crate) id: String,
    pub(crate) created: i64,
    pub(crate) brand: String,
    pub(crate) last4: String,
    pub(crate) behaviour: Behaviour,
    #[serde(default)]
    pub(crate) kind: Kind,
}

/// What kind of payment method it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    #[default]
    Card,
    UsBankAccount,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Card => "card",
            Self::UsBankAccount => "us_bank_account",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ChargeStatus {
    Pending,
    Succeeded,
    Failed,
}

impl ChargeStatus {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }
}

/// One attempt at the bank.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Charge {
    pub(crate) id: String,
    pub(crate) intent: String,
    pub(crate) method: String,
    pub(crate) amount: i64,
    pub(crate) currency: String,
    pub(crate) created: i64,
    pub(crate) status: ChargeStatus,
    pub(crate) decline: Option<Decline>,
    pub(crate) refunded: i64,
    pub(crate) disputed: bool,
    pub(crate) metadata: BTreeMap<String, String>,
}

impl Charge {
    pub(crate) fn is_paid(&self) -> bool {
        self.status == ChargeStatus::Succeeded
    }

    /// What the bank took, as far as it took anything.
    pub(crate) fn captured(&self) -> i64 {
        if self.is_paid() { self.amount } else { 0 }
    }
}

pub(crate) fn retrieve(call: &mut Call<'_>, id: &str) -> Result<Value, ApiError> {
    let charge = call.charge(id)?;
    Ok(render::charge(&call.view(), &charge))
}

/// `GET /test/charges`: how often somebody was charged, for a test to prove that it was once.
#[derive(Debug, Deserialize)]
pub(crate) struct CountCharges {
    payment_intent: Option<String>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
}

impl CountCharges {
    fn wants(&self, charge: &Charge) -> bool {
        self.payment_intent.as_ref().is_none_or(|intent| *intent == charge.intent)
            && self.metadata.iter().all(|(key, value)| charge.metadata.get(key) == Some(value))
    }
}

pub(crate) fn count(call: &mut Call<'_>, params: CountCharges) -> Result<Value, ApiError> {
    let found: Vec<&Charge> = call.books.charges.values().filter(|charge| params.wants(charge)).collect();
    let of = |status| found.iter().filter(|charge| charge.status == status).count();
    Ok(json!({
        "charged_back": found.iter().map(|charge| lost(call, charge)).sum::<i64>(),
        "succeeded": of(ChargeStatus::Succeeded),
        "failed": of(ChargeStatus::Failed),
        "pending": of(ChargeStatus::Pending),
        "captured": found.iter().map(|charge| charge.captured()).sum::<i64>(),
        "refunded": found.iter().map(|charge| charge.refunded).sum::<i64>(),
        "charges": found.iter().map(|charge| with_lost(call, charge)).collect::<Vec<_>>(),
    }))
}

/// The charge as Stripe shows it, and what the bank took back for good.
fn with_lost(call: &Call<'_>, charge: &Charge) -> Value {
    let mut shown = render::charge(&call.view(), charge);
    shown["charged_back"] = json!(lost(call, charge));
    shown
}

fn lost(call: &Call<'_>, charge: &Charge) -> i64 {
    let disputes = call.books.disputes.values().filter(|dispute| dispute.charge == charge.id);
    disputes.filter(|dispute| dispute.status == DisputeStatus::Lost).map(|dispute| dispute.amount).sum()
}
