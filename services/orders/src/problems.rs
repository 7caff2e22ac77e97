//! What the domain refuses, as HTTP says it.

use common::http::{Overloaded, Problem};
use common::store::ChangeError;
use serde::Serialize;
use serde_json::Value;

use crate::box_office::HoldError;
use crate::hold_limits::TooMany;
use crate::order::{CheckIn, OrderError, Void};

impl From<HoldError> for Problem {
    fn from(error: HoldError) -> Self {
        match error {
            HoldError::SoldOut(sold_out) => {
                Self::conflict("sold_out", sold_out.to_string()).with("available", sold_out.left)
            }
            HoldError::TooMany(too_many) => too_many.into(),
            HoldError::Busy => Overloaded.into(),
            HoldError::NotOnSale => Self::conflict("not_on_sale", "this ticket is not on sale"),
            HoldError::Store(error) => error.into(),
        }
    }
}

impl From<TooMany> for Problem {
    fn from(error: TooMany) -> Self {
        let says = error.to_string();
        match error {
            TooMany::Places { held, limit } => {
                Self::conflict("hold_limit", says).with("held", held).with("limit", limit)
            }
            TooMany::AtOnce { limit } => Self::conflict("hold_limit", says).with("held", 0).with("limit", limit),
            TooMany::Free { has, limit } => Self::conflict("free_limit", says).with("has", has).with("limit", limit),
            TooMany::RunOut { wait } => Self::conflict("hold_pause", says).retry_after(wait),
        }
    }
}

impl From<OrderError> for Problem {
    fn from(error: OrderError) -> Self {
        let says = error.to_string();
        match error {
            OrderError::Ended(_) => Self::conflict("order_ended", says),
            OrderError::NotRefundable => Self::conflict("not_refundable", says),
            OrderError::Disputed => Self::conflict("disputed", says),
            OrderError::PassUsed => Self::conflict("pass_used", says),
            OrderError::Void(void) => {
                let Void { state, reason, first } = *void;
                let problem = Self::conflict("pass_void", says).with("orderStatus", as_told(&state));
                used(problem.with("refundReason", as_told(&reason)), first)
            }
            OrderError::NoSuchPass => Self::not_found(),
            OrderError::AlreadyCheckedIn(first) => used(Self::conflict("already_checked_in", says), Some(first)),
            OrderError::ScanUndone => Self::conflict("check_in_undone", says),
            OrderError::NotThatUse(used_otherwise) => used(Self::conflict("not_checked_in", says), used_otherwise),
        }
    }
}

/// With how the pass is used, if it is.
fn used(problem: Problem, first: Option<CheckIn>) -> Problem {
    let Some(CheckIn { at, place, .. }) = first else { return problem };
    problem.with("checkedInAt", at.to_string()).with("place", place)
}

/// As the API's answers write it.
fn as_told(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

/// The problem of a change that was not made.
pub(crate) fn of_change(error: ChangeError<OrderError>) -> Problem {
    match error {
        ChangeError::NotFound => Problem::not_found(),
        ChangeError::Refused(refused) => refused.into(),
        ChangeError::Store(error) => error.into(),
    }
}
