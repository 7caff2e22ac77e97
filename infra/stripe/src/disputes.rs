//! Disputes: a customer asks their bank for the money back, and the bank decides.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::call::Call;
use crate::control::Complaint;
use crate::error::ApiError;
use crate::page::OfPayment;
use crate::{ids, render};

/// Where a dispute stands. While it is a warning the bank only asks, and the money is where it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DisputeStatus {
    WarningNeedsResponse,
    WarningClosed,
    #[default]
    NeedsResponse,
    Won,
    Lost,
}

impl DisputeStatus {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::WarningNeedsResponse => "warning_needs_response",
            Self::WarningClosed => "warning_closed",
            Self::NeedsResponse => "needs_response",
            Self::Won => "won",
            Self::Lost => "lost",
        }
    }

    fn is_closed(self) -> bool {
        matches!(self, Self::WarningClosed | Self::Won | Self::Lost)
    }

    /// Whether the charge can be refunded nevertheless.
    pub(crate) fn leaves_refundable(self) -> bool {
        !matches!(self, Self::NeedsResponse | Self::Lost)
    }
}

/// One dispute.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Dispute {
    pub(crate) id: String,
    pub(crate) charge: String,
    pub(crate) intent: String,
    pub(crate) amount: i64,
    pub(crate) currency: String,
    pub(crate) created: i64,
    pub(crate) reason: String,
    #[serde(default)]
    pub(crate) status: DisputeStatus,
}

/// The customer complains at their bank. Unless it only asks, it takes the money back until it has decided.
pub(crate) fn open(call: &mut Call<'_>, intent: &str, complaint: Complaint) -> Result<Value, ApiError> {
    let intent = call.intent(intent, "intent")?;
    let mut charge = call.charge(intent.latest_charge.as_deref().unwrap_or_default())?;
    if !charge.is_paid() || charge.disputed {
        return Err(ApiError::malformed("Only a paid charge can be disputed, and only once."));
    }
    charge.disputed = true;
    let dispute = Dispute {
        id: ids::fresh("du"),
        charge: charge.id.clone(),
        intent: intent.id,
        amount: complaint.amount.unwrap_or(charge.amount - charge.refunded),
        currency: charge.currency.clone(),
        created: call.now,
        reason: complaint.reason.unwrap_or_else(|| "fraudulent".to_owned()),
        status: if complaint.inquiry { DisputeStatus::WarningNeedsResponse } else { DisputeStatus::NeedsResponse },
    };
    call.books.put(charge);
    call.books.put(dispute.clone());
    let object = render::dispute(&dispute);
    call.raise("charge.dispute.created", object.clone());
    if !complaint.inquiry {
        call.raise("charge.dispute.funds_withdrawn", object.clone());
    }
    Ok(object)
}

/// The bank decides.
pub(crate) fn close(call: &mut Call<'_>, id: &str, won: bool) -> Result<Value, ApiError> {
    let mut dispute = find(call, id)?;
    if dispute.status.is_closed() {
        return Err(ApiError::malformed("This dispute is already closed."));
    }
    dispute.status = match (dispute.status, won) {
        (DisputeStatus::WarningNeedsResponse, true) => DisputeStatus::WarningClosed,
        (_, true) => DisputeStatus::Won,
        (_, false) => DisputeStatus::Lost,
    };
    call.books.put(dispute.clone());
    let object = render::dispute(&dispute);
    call.raise("charge.dispute.closed", object.clone());
    if dispute.status == DisputeStatus::Won {
        call.raise("charge.dispute.funds_reinstated", object.clone());
    }
    Ok(object)
}

fn find(call: &Call<'_>, id: &str) -> Result<Dispute, ApiError> {
    call.books.disputes.get(id).cloned().ok_or_else(|| ApiError::no_such("dispute", "dispute", id))
}

/// Whether a dispute keeps a charge from being refunded.
pub(crate) fn blocks_refunds(call: &Call<'_>, charge: &str) -> bool {
    let mut of_charge = call.books.disputes.values().filter(|dispute| dispute.charge == charge);
    of_charge.any(|dispute| !dispute.status.leaves_refundable())
}

pub(crate) fn retrieve(call: &mut Call<'_>, id: &str) -> Result<Value, ApiError> {
    Ok(render::dispute(&find(call, id)?))
}

/// `GET /v1/disputes`.
pub(crate) fn list(call: &mut Call<'_>, params: OfPayment) -> Result<Value, ApiError> {
    let rows = call.books.disputes.iter().rev().filter(|(_, dispute)| params.wants(&dispute.intent, &dispute.charge));
    Ok(params.page()?.of("/v1/disputes", rows, render::dispute))
}
