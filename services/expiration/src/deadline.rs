//! What an order's event means for the deadline of its hold. Pure: no clock, no I/O.

use common::clock::Time;
use common::events::OrderEvent;
use common::events::expiration::ExpirationDue;
use common::id::OrderId;

/// What becomes of a deadline.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Deadline {
    /// It is set.
    Set(ExpirationDue),
    /// Nobody waits for it any more.
    Lifted(OrderId),
    /// It stays as it is.
    Kept,
}

impl Deadline {
    /// What the event means for the deadline of its order.
    pub fn after(event: &OrderEvent) -> Self {
        match event {
            OrderEvent::Created(created) => {
                Self::Set(ExpirationDue { order_id: created.order.order_id, expires_at: created.expires_at })
            }
            OrderEvent::Completed(completed) => Self::Lifted(completed.order.order_id),
            OrderEvent::Cancelled(cancelled) => Self::Lifted(cancelled.order.order_id),
            // Who pays is not spared the deadline, and all the others come after it or after the end of the hold.
            OrderEvent::AwaitingPayment(_)
            | OrderEvent::Expiring(_)
            | OrderEvent::Expired(_)
            | OrderEvent::PlacesRequested(_)
            | OrderEvent::RefundRequested(_)
            | OrderEvent::Refunded(_)
            | OrderEvent::PassCheckedIn(_) => Self::Kept,
        }
    }

    /// Whether a deadline is over at `now`, so that there is nothing to wait for.
    pub fn is_over(due: &ExpirationDue, now: Time) -> bool {
        due.expires_at <= now
    }
}

#[cfg(test)]
mod tests {
    use common::events::orders::{
        OrderAwaitingPayment, OrderCancelled, OrderCompleted, OrderCreated, OrderExpired, OrderFacts,
    };
    use common::id::{TicketId, UserId};
    use common::money::{Currency, Money};

    use super::*;

    const NOW: Time = Time::from_millis(1_795_000_000_000);

    fn facts() -> OrderFacts {
        OrderFacts {
            order_id: OrderId::generate(NOW),
            ticket_id: TicketId::generate(NOW),
            buyer_id: UserId::generate(NOW),
            seller_id: UserId::generate(NOW),
            quantity: 1,
            total: Money::from_minor(1999, Currency::USD).unwrap(),
        }
    }

    #[test]
    fn a_hold_sets_its_deadline() {
        let order = facts();
        let order_id = order.order_id;
        let created = OrderCreated { order, title: "Jazz".to_owned(), expires_at: NOW }.into();
        assert_eq!(Deadline::after(&created), Deadline::Set(ExpirationDue { order_id, expires_at: NOW }));
    }

    #[test]
    fn the_end_of_a_hold_lifts_it() {
        let order = facts();
        let lifted = Deadline::Lifted(order.order_id);
        assert_eq!(Deadline::after(&OrderCompleted { order: order.clone(), passes: vec![] }.into()), lifted);
        assert_eq!(Deadline::after(&OrderCancelled { order }.into()), lifted);
    }

    #[test]
    fn who_begins_to_pay_keeps_it() {
        assert_eq!(Deadline::after(&OrderAwaitingPayment { order: facts() }.into()), Deadline::Kept);
        assert_eq!(Deadline::after(&OrderExpired { order: facts() }.into()), Deadline::Kept);
    }

    #[test]
    fn a_deadline_is_over_at_its_very_time() {
        let due = ExpirationDue { order_id: OrderId::generate(NOW), expires_at: NOW };
        assert!(Deadline::is_over(&due, NOW));
        assert!(!Deadline::is_over(&due, Time::from_millis(NOW.millis() - 1)));
    }
}
