//! What payments knows of an order: its own replica, kept by the order's events. Amount and buyer come from here alone. Pure.

use common::clock::Time;
use common::events::orders::{OrderFacts, OrderSnapshot, OrderStatus};
use common::events::{DecodeError, DomainEvent as _, OrderEvent};
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

impl OrderState {
    /// What a status comes to for payments; `None` for one that only a newer build knows.
    fn of(status: OrderStatus) -> Option<Self> {
        Some(match status {
            OrderStatus::Created | OrderStatus::AwaitingPayment => Self::Open,
            OrderStatus::Expiring => Self::Expiring,
            OrderStatus::Expired => Self::Expired,
            OrderStatus::Cancelled => Self::Cancelled,
            OrderStatus::Reacquiring => Self::Reacquiring,
            OrderStatus::Complete => Self::Complete,
            OrderStatus::Refunding => Self::Refunding,
            OrderStatus::Refunded => Self::Refunded,
            OrderStatus::Unknown(_) => return None,
        })
    }
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
            OrderEvent::Snapshot(snapshot) => Self::of_state(snapshot),
            OrderEvent::Created(_)
            | OrderEvent::AwaitingPayment(_)
            | OrderEvent::Completed(_)
            | OrderEvent::PlacesRequested(_)
            | OrderEvent::PassCheckedIn(_)
            | OrderEvent::PassCheckInUndone(_) => None,
        }
    }

    /// What the events that led to an order's present state have demanded.
    fn of_state(OrderSnapshot { order, status, .. }: &OrderSnapshot) -> Option<Self> {
        match OrderState::of(*status)? {
            OrderState::Expiring | OrderState::Expired | OrderState::Cancelled => Some(Self::Close(order.clone())),
            OrderState::Refunding | OrderState::Refunded => Some(Self::GiveAllBack(order.order_id)),
            OrderState::Open | OrderState::Reacquiring | OrderState::Complete => None,
        }
    }
}

/// Whether this build understands an event; what it does not is left to the build that does.
///
/// # Errors
/// [`DecodeError::UnknownValue`].
pub fn understood(event: &OrderEvent) -> Result<(), DecodeError> {
    match event {
        OrderEvent::Snapshot(snapshot) if OrderState::of(snapshot.status).is_none() => {
            Err(DecodeError::UnknownValue { name: event.kind().name, value: snapshot.status.to_string() })
        }
        _ => Ok(()),
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
            OrderEvent::PassCheckedIn(_) | OrderEvent::PassCheckInUndone(_) => return known,
            OrderEvent::Snapshot(OrderSnapshot { order, title, expires_at, status }) => {
                let (facts, title, expires_at) = (order.clone(), title.clone(), *expires_at);
                return OrderState::of(*status).map(|state| Self { facts, title, state, expires_at });
            }
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

    use super::*;
    use crate::payment::tests::{NOW, facts};

    #[test]
    fn an_order_that_is_refunded_may_keep_nothing_even_if_a_refund_bounced_meanwhile() {
        let order = facts();
        let all_back = Some(Duty::GiveAllBack(order.order_id));
        let requested = OrderRefundRequested { order: order.clone(), reason: RefundReason::BuyerRequest };
        assert_eq!(Duty::of(&requested.into()), all_back);
        assert_eq!(Duty::of(&OrderRefunded { order: order.clone() }.into()), all_back);
        assert_eq!(Duty::of(&OrderCompleted { order, passes: vec![] }.into()), None);
    }

    fn snapshot(status: OrderStatus) -> OrderEvent {
        OrderSnapshot { order: facts(), title: "Jazz".to_owned(), expires_at: NOW, status }.into()
    }

    #[test]
    fn an_order_that_was_missed_is_known_and_demands_what_its_events_did() {
        use OrderStatus::{Cancelled, Complete, Created, Expired, Expiring, Reacquiring, Refunded, Refunding};
        for status in [Created, Reacquiring, Complete, Expiring, Expired, Cancelled, Refunding, Refunded] {
            let event = snapshot(status);
            let known = OrderReplica::after(None, &event).unwrap();
            assert_eq!(known.wants_all_back(), matches!(status, Refunding | Refunded));
            let expected = match status {
                Expiring | Expired | Cancelled => Some(Duty::Close(known.facts)),
                Refunding | Refunded => Some(Duty::GiveAllBack(known.facts.order_id)),
                _ => None,
            };
            assert_eq!(Duty::of(&event), expected, "{status}");
        }
    }

    #[test]
    fn a_status_of_a_newer_build_waits_for_that_build() {
        let event = snapshot(serde_json::from_str("\"queued\"").unwrap());
        assert!(understood(&event).unwrap_err().is_of_newer_build());
        assert!(understood(&snapshot(OrderStatus::Complete)).is_ok());
        assert_eq!((OrderReplica::after(None, &event), Duty::of(&event)), (None, None));
    }
}
