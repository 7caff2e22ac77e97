//! The deadlines of holds, and which of them are told together. Pure: no clock, no I/O.

use common::clock::Time;
use common::events::OrderEvent;
use common::events::expiration::ExpirationDue;
use common::events::orders::{OrderSnapshot, OrderStatus};
use common::id::OrderId;

/// Deadlines within one such part of a second are told together, at the time of the last: no hold lasts longer by more than
/// this. A message for each would cost the broker as much as the hold's own event.
const TOGETHER_MILLIS: i64 = 250;

/// When a hold is over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Deadline {
    /// The order that holds.
    pub order_id: OrderId,
    /// When its hold ends.
    pub at: Time,
}

impl Deadline {
    /// The deadline that an event of an order sets. What comes later in an order's life does not lift it: orders passes
    /// over deadlines of orders that hold nothing any more.
    pub fn set_by(event: &OrderEvent) -> Option<Self> {
        match event {
            OrderEvent::Created(created) => Some(Self { order_id: created.order.order_id, at: created.expires_at }),
            OrderEvent::Snapshot(OrderSnapshot { order, expires_at, status, .. }) => {
                let holds = matches!(status, OrderStatus::Created | OrderStatus::AwaitingPayment);
                holds.then_some(Self { order_id: order.order_id, at: *expires_at })
            }
            OrderEvent::AwaitingPayment(_)
            | OrderEvent::Completed(_)
            | OrderEvent::Cancelled(_)
            | OrderEvent::Expiring(_)
            | OrderEvent::Expired(_)
            | OrderEvent::PlacesRequested(_)
            | OrderEvent::RefundRequested(_)
            | OrderEvent::Refunded(_)
            | OrderEvent::PassCheckedIn(_)
            | OrderEvent::PassCheckInUndone(_) => None,
        }
    }
}

/// What is to be told of these deadlines, each time at its `expires_at`.
pub fn together(mut deadlines: Vec<Deadline>) -> Vec<ExpirationDue> {
    let part = |deadline: &Deadline| deadline.at.millis().div_euclid(TOGETHER_MILLIS);
    deadlines.sort_unstable_by_key(|deadline| deadline.at);
    let parts = deadlines.chunk_by(|one, next| part(one) == part(next));
    let due = parts.filter_map(|deadlines| {
        let expires_at = deadlines.last()?.at;
        Some(ExpirationDue { order_ids: deadlines.iter().map(|deadline| deadline.order_id).collect(), expires_at })
    });
    due.collect()
}

#[cfg(test)]
mod tests {
    use common::events::orders::{OrderAwaitingPayment, OrderCancelled, OrderCompleted, OrderCreated, OrderFacts};
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

    fn deadline(millis: i64) -> Deadline {
        Deadline { order_id: OrderId::generate(NOW), at: Time::from_millis(NOW.millis() + millis) }
    }

    #[test]
    fn a_hold_sets_its_deadline_and_nothing_else_does() {
        let order = facts();
        let order_id = order.order_id;
        let created = OrderCreated { order: order.clone(), title: "Jazz".to_owned(), expires_at: NOW }.into();
        assert_eq!(Deadline::set_by(&created), Some(Deadline { order_id, at: NOW }));
        let later = [
            OrderAwaitingPayment { order: order.clone() }.into(),
            OrderCompleted { order: order.clone(), passes: vec![] }.into(),
            OrderCancelled { order }.into(),
        ];
        assert!(later.iter().all(|event| Deadline::set_by(event).is_none()));
    }

    #[test]
    fn an_order_that_holds_when_its_state_is_told_has_its_deadline_set() {
        let (order, title) = (facts(), "Jazz".to_owned());
        let order_id = order.order_id;
        let told = |status| {
            let (order, title) = (order.clone(), title.clone());
            Deadline::set_by(&OrderSnapshot { order, title, expires_at: NOW, status }.into())
        };
        assert_eq!(
            [OrderStatus::Created, OrderStatus::AwaitingPayment].map(told),
            [Some(Deadline { order_id, at: NOW }); 2]
        );
        assert_eq!([OrderStatus::Complete, OrderStatus::Expiring, OrderStatus::Refunded].map(told), [None; 3]);
    }

    #[test]
    fn what_is_due_in_one_part_of_a_second_is_told_once_at_the_time_of_the_last() {
        let [first, second, last, next, lone] = [0, 100, 249, 250, 1_000].map(deadline);
        let told = together(vec![next, last, first, lone, second]);
        let expected = [(vec![first, second, last], last.at), (vec![next], next.at), (vec![lone], lone.at)];
        let expected = expected.map(|(deadlines, expires_at)| ExpirationDue {
            order_ids: deadlines.iter().map(|deadline| deadline.order_id).collect(),
            expires_at,
        });
        assert_eq!(told, expected);
        assert_eq!(together(vec![]), []);
    }
}
