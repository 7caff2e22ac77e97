//! Refunds: never more than what came in.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::call::Call;
use crate::charges::Charge;
use crate::error::ApiError;
use crate::page::OfPayment;
use crate::{currencies, disputes, ids, render};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RefundStatus {
    Succeeded,
    Failed,
}

impl RefundStatus {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }
}

/// Money on its way back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Refund {
    pub(crate) id: String,
    pub(crate) charge: String,
    pub(crate) intent: String,
    pub(crate) amount: i64,
    pub(crate) currency: String,
    pub(crate) created: i64,
    pub(crate) status: RefundStatus,
    pub(crate) reason: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("Charge {0} has already been refunded.")]
    NothingLeft(String),
    #[error("Charge {0} has been charged back; cannot issue a refund.")]
    Disputed(String),
    #[error("Refund amount ({asked}) is greater than unrefunded amount on charge ({left}).")]
    TooMuch { asked: i64, left: i64 },
}

impl Refusal {
    fn code(&self) -> &'static str {
        match self {
            Self::NothingLeft(_) => "charge_already_refunded",
            Self::Disputed(_) => "charge_disputed",
            Self::TooMuch { .. } => "amount_too_large",
        }
    }
}

/// How much a refund of `asked` (or of everything) takes from the charge.
pub(crate) fn refundable(charge: &Charge, is_with_the_bank: bool, asked: Option<i64>) -> Result<i64, Refusal> {
    let left = charge.amount - charge.refunded;
    match asked.unwrap_or(left) {
        _ if left <= 0 => Err(Refusal::NothingLeft(charge.id.clone())),
        _ if is_with_the_bank => Err(Refusal::Disputed(charge.id.clone())),
        asked if asked > left => Err(Refusal::TooMuch { asked, left }),
        asked => Ok(asked),
    }
}

/// `POST /v1/refunds`.
#[derive(Debug, Deserialize)]
pub(crate) struct CreateRefund {
    payment_intent: Option<String>,
    charge: Option<String>,
    amount: Option<i64>,
    reason: Option<String>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    #[serde(default)]
    expand: Vec<String>,
}

pub(crate) fn create(call: &mut Call<'_>, params: CreateRefund) -> Result<Value, ApiError> {
    let mut charge = charge_to_refund(call, &params)?;
    if let Some(amount) = params.amount {
        currencies::check_amount(amount, &charge.currency)?;
    }
    let amount = refundable(&charge, disputes::blocks_refunds(call, &charge.id), params.amount)
        .map_err(|refusal| ApiError::refund(Some(refusal.code()), &refusal.to_string()))?;
    charge.refunded += amount;
    let refund = Refund {
        id: ids::fresh("re"),
        charge: charge.id.clone(),
        intent: charge.intent.clone(),
        amount,
        currency: charge.currency.clone(),
        created: call.now,
        status: RefundStatus::Succeeded,
        reason: params.reason,
        metadata: params.metadata,
    };
    call.books.put(charge.clone());
    call.books.put(refund.clone());
    call.raise("refund.created", render::refund(&call.view(), &refund, &[]));
    call.raise("charge.refunded", render::charge(&call.view(), &charge));
    Ok(render::refund(&call.view(), &refund, &params.expand))
}

fn charge_to_refund(call: &Call<'_>, params: &CreateRefund) -> Result<Charge, ApiError> {
    let id = match (&params.payment_intent, &params.charge) {
        (Some(id), _) => {
            let intent = call.intent(id, "payment_intent")?;
            intent.latest_charge.unwrap_or_default()
        }
        (None, Some(id)) => call.charge(id)?.id,
        (None, None) => return Err(ApiError::missing("payment_intent")),
    };
    let paid = call.books.charges.get(&id).filter(|charge| charge.is_paid());
    paid.cloned().ok_or_else(|| {
        let what = params.payment_intent.as_deref().unwrap_or(&id);
        ApiError::refund(None, &format!("This PaymentIntent ({what}) does not have a successful charge to refund."))
    })
}

/// `POST /v1/refunds/{id}`.
#[derive(Debug, Deserialize)]
pub(crate) struct UpdateRefund {
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    #[serde(default)]
    expand: Vec<String>,
}

pub(crate) fn update(call: &mut Call<'_>, id: &str, params: UpdateRefund) -> Result<Value, ApiError> {
    let mut refund = call.refund(id)?;
    let before = refund.metadata.clone();
    refund.metadata.extend(params.metadata);
    refund.metadata.retain(|_, value| !value.is_empty());
    call.books.put(refund.clone());
    let object = render::refund(&call.view(), &refund, &[]);
    call.raise_update("refund.updated", object, serde_json::json!({ "metadata": before }));
    Ok(render::refund(&call.view(), &refund, &params.expand))
}

/// The bank sends the money back to the merchant after all, as banks do days later.
pub(crate) fn bounce(call: &mut Call<'_>, id: &str) -> Result<Value, ApiError> {
    let mut refund = call.refund(id)?;
    if refund.status == RefundStatus::Failed {
        return Err(ApiError::refund(None, "This refund has failed already."));
    }
    let mut charge = call.charge(&refund.charge)?;
    charge.refunded -= refund.amount;
    refund.status = RefundStatus::Failed;
    call.books.put(charge);
    call.books.put(refund.clone());
    let object = render::refund(&call.view(), &refund, &[]);
    call.raise_update("refund.updated", object.clone(), serde_json::json!({ "status": "succeeded" }));
    call.raise("refund.failed", object.clone());
    Ok(object)
}

pub(crate) fn retrieve(call: &mut Call<'_>, id: &str, expand: &[String]) -> Result<Value, ApiError> {
    let refund = call.refund(id)?;
    Ok(render::refund(&call.view(), &refund, expand))
}

/// `GET /v1/refunds`.
pub(crate) fn list(call: &mut Call<'_>, params: OfPayment) -> Result<Value, ApiError> {
    let rows = call.books.refunds.iter().rev().filter(|(_, refund)| params.wants(&refund.intent, &refund.charge));
    Ok(params.page()?.of("/v1/refunds", rows, |refund| render::refund(&call.view(), refund, &[])))
}
