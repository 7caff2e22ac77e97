//! What payments knows of an order: its own replica, kept by the order's events. Amount and buyer come from here alone. Pure.

use common::clock::Time;
use common::events::OrderEvent;
use common::events::orders::OrderFacts;
use common::id::OrderId;
use serde::{Deserialize, Serialize};

/// Where an order stands, as far as payments cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderState {
    /// Places are held; it waits for money.
    Open,
    /// Its time is up; whether money came is being settled.
    Expiring,
    /// It ended unpaid.
    Expired,
    /// The buyer gave it up.
    Cancelled,
    /// Money came late; places are wanted back.
    Reacquiring,
    /// Paid.
    Complete,
    /// All money is to go back.
    Refunding,
    /// All money went back.
    Refunded,
}

/// An order as last told.
#[derive(Clone, Debug, PartialEq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderReplica {
    /// Who buys what from whom for how much.
    pub facts: OrderFacts,
    /// What the listing was called.
    pub title: String,
    /// Where it stands.
    pub state: OrderState,
    /// Until when places are held for it.
    pub expires_at: Time,
}

/// What payments has to do because of what happened to an order.
#[derive(Clone, Debug, PartialEq)]
pub enum Duty {
    /// It ended, or is about to: nobody may pay for it any more.
    Close(OrderFacts),
    /// No money may be kept for it.
    GiveAllBack(OrderId),
}

impl Duty {
    /// What an event of an order demands, each time it is told.
    pub fn of(event: &OrderEvent) -> Option<Self> {
        match event {
            OrderEvent::Expiring(expiring) => Some(Self::Close(expiring.order.clone())),
            OrderEvent::Expired(expired) => Some(Self::Close(expired.order.clone())),
            OrderEvent::Cancelled(cancelled) => Some(Self::Close(cancelled.order.clone())),
            OrderEvent::RefundRequested(requested) => Some(Self::GiveAllBack(requested.order.order_id)),
            // A refund may have bounced before this was known here; then nobody else would make it again.
            OrderEvent::Refunded(refunded) => Some(Self::GiveAllBack(refunded.order.order_id)),
            OrderEvent::Created(_)
            | OrderEvent::AwaitingPayment(_)
            | OrderEvent::Completed(_)
            | OrderEvent::PlacesRequested(_)
            | OrderEvent::PassCheckedIn(_) => None,
        }
    }
}

/// Why an order cannot be paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotPayable {
    /// It costs nothing.
    #[error("the order costs nothing")]
    Free,
    /// It does not wait for money, or not any more.
    #[error("the order is {0:?} and cannot be paid")]
    Ended(OrderState),
}

impl OrderReplica {
    /// The order after an event; `None` if it is unknown and the event does not make it.
    pub fn after(known: Option<Self>, event: &OrderEvent) -> Option<Self> {
        let state = match event {
            OrderEvent::Created(created) => {
                let (facts, title, expires_at) = (created.order.clone(), created.title.clone(), created.expires_at);
                return Some(Self { facts, title, state: OrderState::Open, expires_at });
            }
            OrderEvent::AwaitingPayment(_) => OrderState::Open,
            OrderEvent::Expiring(_) => OrderState::Expiring,
            OrderEvent::Expired(_) => OrderState::Expired,
            OrderEvent::Cancelled(_) => OrderState::Cancelled,
            OrderEvent::PlacesRequested(_) => OrderState::Reacquiring,
            OrderEvent::Completed(_) => OrderState::Complete,
            OrderEvent::RefundRequested(_) => OrderState::Refunding,
            OrderEvent::Refunded(_) => OrderState::Refunded,
            OrderEvent::PassCheckedIn(_) => return known,
        };
        known.map(|known| Self { state, ..known })
    }

    /// Whether it waits for money at `now`.
    ///
    /// # Errors
    /// Why not.
    pub fn payable(&self, now: Time) -> Result<(), NotPayable> {
        match self.state {
            _ if self.facts.total.minor() == 0 => Err(NotPayable::Free),
            OrderState::Open if now < self.expires_at => Ok(()),
            OrderState::Open => Err(NotPayable::Ended(OrderState::Expiring)),
            ended => Err(NotPayable::Ended(ended)),
        }
    }

    /// Whether no money may be kept for it.
    pub fn wants_all_back(&self) -> bool {
        matches!(self.state, OrderState::Refunding | OrderState::Refunded)
    }
}

#[cfg(test)]
mod tests {
    use common::events::orders::{OrderCompleted, OrderRefundRequested, OrderRefunded, RefundReason};
    use common::id::{TicketId, UserId};
    use common::money::{Currency, Money};

    use super::*;

    #[test]
    fn an_order_that_is_refunded_may_keep_nothing_even_if_a_refund_bounced_meanwhile() {
        let now = Time::from_millis(1_795_000_000_000);
        let order = OrderFacts {
            order_id: OrderId::generate(now),
            ticket_id: TicketId::generate(now),
            buyer_id: UserId::generate(now),
            seller_id: UserId::generate(now),
            quantity: 1,
            total: Money::from_minor(500, Currency::USD).unwrap(),
        };
        let all_back = Some(Duty::GiveAllBack(order.order_id));
        let requested = OrderRefundRequested { order: order.clone(), reason: RefundReason::BuyerRequest };
        assert_eq!(Duty::of(&requested.into()), all_back);
        assert_eq!(Duty::of(&OrderRefunded { order: order.clone() }.into()), all_back);
        assert_eq!(Duty::of(&OrderCompleted { order, passes: vec![] }.into()), None);
    }
}
