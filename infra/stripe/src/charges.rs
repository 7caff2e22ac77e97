//! Charges, the payment methods they are made with, and disputes about them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::call::Call;
use crate::cards::{Behaviour, Decline};
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

/// A customer asking their bank for the money back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Dispute {
    pub(crate) id: String,
    pub(crate) charge: String,
    pub(crate) intent: String,
    pub(crate) amount: i64,
    pub(crate) currency: String,
    pub(crate) created: i64,
    pub(crate) reason: String,
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
        "succeeded": of(ChargeStatus::Succeeded),
        "failed": of(ChargeStatus::Failed),
        "pending": of(ChargeStatus::Pending),
        "captured": found.iter().map(|charge| charge.captured()).sum::<i64>(),
        "refunded": found.iter().map(|charge| charge.refunded).sum::<i64>(),
        "charges": found.iter().map(|charge| render::charge(&call.view(), charge)).collect::<Vec<_>>(),
    }))
}
