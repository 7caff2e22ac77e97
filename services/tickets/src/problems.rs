//! What the domain refuses, as HTTP says it.

use common::http::Problem;
use common::store::ChangeError;

use crate::ticket::TicketError;

impl From<TicketError> for Problem {
    fn from(error: TicketError) -> Self {
        let says = error.to_string();
        match error {
            TicketError::NotOwner => Self::forbidden("not_owner", says),
            TicketError::Withdrawn => Self::conflict("withdrawn", says),
            TicketError::Suspended => Self::conflict("suspended", says),
            TicketError::QuantityBelowTaken { held, sold } => {
                Self::conflict("quantity_below_taken", says).with("held", held).with("sold", sold)
            }
            TicketError::PriceLocked { held } => Self::conflict("price_locked", says).with("held", held),
            TicketError::CurrencyLocked { sold } => Self::conflict("currency_locked", says).with("sold", sold),
        }
    }
}

/// The problem of a change that was not made.
pub(crate) fn of_change(error: ChangeError<Problem>) -> Problem {
    match error {
        ChangeError::NotFound => Problem::not_found(),
        ChangeError::Refused(problem) => problem,
        ChangeError::Store(error) => error.into(),
    }
}
