//! What can be wrong, and how it is told.

use std::fmt;

use common::id::{OrderId, PassId, TicketId, UserId};

use crate::platform::Counts;

/// A promise that was not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Violation {
    /// Sold, held and free places do not add up to the capacity, or a listing is gone.
    Counts { ticket: TicketId, capacity: u32, shown: Option<Counts> },
    /// The ticket page does not say what the orders say.
    Differs { ticket: TicketId, shown: (u32, u32), of_orders: (u32, u32) },
    /// A 201 without an order, or with another one than was promised.
    Lost { order: OrderId, times: usize },
    /// An order that nobody was told of.
    Unpromised { order: OrderId, buyer: UserId },
    /// Somebody was told that it is sold out, and places are left.
    Withheld { ticket: TicketId, left: u32 },
    /// An order stands where it should not, such as a paid one that is not complete.
    Status { order: OrderId, status: String, paid: bool },
    /// A complete order with too few or too many passes.
    Passes { order: OrderId, places: u32, passes: usize },
    /// Two orders with one pass.
    SharedPass { pass: PassId },
    /// Money taken too often, or not at all, or for nothing.
    Charges { order: OrderId, charges: u32, paid: bool },
    /// Events that were never published.
    Unpublished { collection: String, documents: u64 },
    /// A refusal that does not say when to come back.
    NoRetryAfter { status: u16, times: usize },
    /// An answer that has no place in a sale, or none at all.
    Answer { answer: String, times: usize },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Counts { ticket, capacity, shown: Some(it) } => write!(
                f,
                "ticket {ticket}: {} held + {} sold + {} free of {} are not its {capacity} places",
                it.held, it.sold, it.available, it.quantity
            ),
            Self::Counts { ticket, .. } => write!(f, "ticket {ticket} is not there"),
            Self::Differs { ticket, shown, of_orders } => write!(
                f,
                "ticket {ticket} shows {} held and {} sold, its orders say {} and {}",
                shown.0, shown.1, of_orders.0, of_orders.1
            ),
            Self::Lost { order, times } => write!(f, "order {order} was promised once and is there {times} times"),
            Self::Unpromised { order, buyer } => write!(f, "order {order} of {buyer} was promised to nobody"),
            Self::Withheld { ticket, left } => write!(f, "ticket {ticket} was called sold out with {left} places left"),
            Self::Status { order, status, paid } => {
                write!(f, "order {order}, {}, is {status}", if *paid { "paid" } else { "not paid" })
            }
            Self::Passes { order, places, passes } => {
                write!(f, "order {order} should have {places} passes and has {passes}")
            }
            Self::SharedPass { pass } => write!(f, "pass {pass} is there twice"),
            Self::Charges { order, charges, paid: true } => {
                write!(f, "order {order}, paid, was charged {charges} times")
            }
            Self::Charges { order, charges, .. } => {
                write!(f, "order {order} was charged {charges} times and nothing was given for it")
            }
            Self::Unpublished { collection, documents } => {
                write!(f, "{documents} documents of {collection} have events that were never published")
            }
            Self::NoRetryAfter { status, times } => write!(f, "{times} answers {status} without Retry-After"),
            Self::Answer { answer, times } => write!(f, "answered {times} times: {answer}"),
        }
    }
}
