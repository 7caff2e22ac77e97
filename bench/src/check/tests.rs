//! The checker is shown sales that went wrong, each in one way, and must say so.

use std::time::Duration;

use common::clock::Time;
use common::id::{OrderId, PassId, TicketId, UserId};

use super::{Seen, SeenOrder, Violation, check};
use crate::history::{Attempt, History, HoldAnswer, PayAnswer};
use crate::http::Silence;
use crate::platform::Counts;

const NOW: Time = Time::from_millis(1_795_000_000_000);
const CAPACITY: u32 = 3;

/// A sale of three places: two are paid, one is held, the fourth buyer is told that it is sold out.
struct Sale {
    ticket: TicketId,
    buyers: [UserId; 4],
    orders: [OrderId; 3],
    history: History,
    seen: Seen,
}

impl Sale {
    fn good() -> Self {
        let ticket = TicketId::generate(NOW);
        // In the order of their making, in which violations are listed too.
        let buyers = [0, 1, 2, 3].map(|later| UserId::generate(NOW + Duration::from_millis(later)));
        let orders = [0, 1, 2].map(|later| OrderId::generate(NOW + Duration::from_millis(later)));
        let mut history = History::of(&[ticket], CAPACITY);
        let answers = orders.map(HoldAnswer::Held).into_iter().chain([HoldAnswer::SoldOut]);
        history.attempts =
            buyers.into_iter().zip(answers).map(|(buyer, answer)| Attempt { buyer, ticket, answer }).collect();
        history.payments = orders[..2].iter().map(|order| (*order, PayAnswer::Paid)).collect();
        let mut seen = Seen::default();
        seen.tickets.insert(ticket, Counts { quantity: CAPACITY, held: 1, sold: 2, available: 0 });
        for (nth, buyer) in buyers.into_iter().enumerate() {
            let status = if nth < 2 { "complete" } else { "created" };
            let order = orders.get(nth).map(|id| seen_order(*id, ticket, status));
            seen.orders.insert(buyer, order.into_iter().collect());
        }
        for order in &orders[..2] {
            seen.passes.insert(*order, vec![PassId::generate(NOW)]);
            seen.charges.insert(*order, 1);
        }
        Self { ticket, buyers, orders, history, seen }
    }

    fn violations(&self) -> Vec<Violation> {
        check(&self.history, &self.seen)
    }

    fn order(&mut self, nth: usize) -> &mut SeenOrder {
        &mut self.seen.orders.get_mut(&self.buyers[nth]).unwrap()[0]
    }

    fn counts(&mut self) -> &mut Counts {
        self.seen.tickets.get_mut(&self.ticket).unwrap()
    }
}

fn seen_order(id: OrderId, ticket_id: TicketId, status: &str) -> SeenOrder {
    SeenOrder { id, ticket_id, quantity: 1, status: status.to_owned() }
}

#[test]
fn a_sale_that_went_well_has_no_violations() {
    assert_eq!(Sale::good().violations(), []);
}

#[test]
fn a_place_sold_twice_is_found() {
    let mut sale = Sale::good();
    let (late, ticket) = (OrderId::generate(NOW), sale.ticket);
    sale.history.attempts[3].answer = HoldAnswer::Held(late);
    sale.seen.orders.insert(sale.buyers[3], vec![seen_order(late, ticket, "created")]);
    assert_eq!(sale.violations(), [Violation::Differs { ticket, shown: (1, 2), of_orders: (2, 2) }]);
    sale.counts().held = 2;
    let shown = Some(*sale.counts());
    assert_eq!(sale.violations(), [Violation::Counts { ticket, capacity: CAPACITY, shown }]);
}

#[test]
fn a_lost_order_is_found() {
    let mut sale = Sale::good();
    sale.seen.orders.insert(sale.buyers[2], Vec::new());
    let order = sale.orders[2];
    let ticket = sale.ticket;
    let differs = Violation::Differs { ticket, shown: (1, 2), of_orders: (0, 2) };
    assert_eq!(sale.violations(), [differs, Violation::Lost { order, times: 0 }]);
}

#[test]
fn an_order_that_is_there_twice_is_found() {
    let mut sale = Sale::good();
    let twin = sale.order(2).clone();
    sale.seen.orders.get_mut(&sale.buyers[2]).unwrap().push(twin);
    assert!(sale.violations().contains(&Violation::Lost { order: sale.orders[2], times: 2 }));
}

#[test]
fn one_order_for_two_promises_is_found() {
    let mut sale = Sale::good();
    let order = sale.orders[2];
    sale.history.attempts[3].answer = HoldAnswer::Held(order);
    assert_eq!(sale.violations(), [Violation::Lost { order, times: 0 }, Violation::Lost { order, times: 0 }]);
}

#[test]
fn an_order_of_nobody_is_found_unless_an_answer_was_lost() {
    let mut sale = Sale::good();
    let (order, buyer, ticket) = (OrderId::generate(NOW), sale.buyers[3], sale.ticket);
    sale.seen.orders.insert(buyer, vec![seen_order(order, ticket, "created")]);
    *sale.counts() = Counts { quantity: 4, held: 2, sold: 2, available: 0 };
    sale.history.capacity.insert(ticket, 4);
    assert_eq!(sale.violations(), [Violation::Unpromised { order, buyer }]);
    sale.history.attempts[3].answer = HoldAnswer::Silent(Silence::Timeout);
    let answer = Silence::Timeout.to_string();
    assert_eq!(sale.violations(), [Violation::Answer { answer, times: 1 }]);
}

#[test]
fn sold_out_with_places_left_is_found() {
    let mut sale = Sale::good();
    let ticket = sale.ticket;
    *sale.counts() = Counts { quantity: 4, held: 1, sold: 2, available: 1 };
    sale.history.capacity.insert(ticket, 4);
    assert_eq!(sale.violations(), [Violation::Withheld { ticket, left: 1 }]);
}

#[test]
fn a_paid_order_that_is_not_complete_is_found() {
    let mut sale = Sale::good();
    let (order, ticket) = (sale.orders[0], sale.ticket);
    sale.order(0).status = "awaiting_payment".to_owned();
    sale.seen.passes.remove(&order);
    *sale.counts() = Counts { quantity: CAPACITY, held: 2, sold: 1, available: 0 };
    let status = "awaiting_payment".to_owned();
    assert_eq!(sale.violations(), [Violation::Status { order, status, paid: true }]);
    sale.order(0).status = "expired".to_owned();
    let differs = Violation::Differs { ticket, shown: (2, 1), of_orders: (1, 1) };
    assert_eq!(sale.violations()[0], differs);
}

#[test]
fn an_order_that_was_completed_for_nothing_is_found() {
    let mut sale = Sale::good();
    let order = sale.orders[1];
    sale.history.payments.remove(&order);
    let status = "complete".to_owned();
    assert_eq!(sale.violations(), [Violation::Status { order, status, paid: false }]);
}

#[test]
fn missing_surplus_and_shared_passes_are_found() {
    let mut sale = Sale::good();
    let [first, second, third] = sale.orders;
    let pass = sale.seen.passes[&first][0];
    sale.seen.passes.insert(second, vec![pass]);
    assert_eq!(sale.violations(), [Violation::SharedPass { pass }]);
    sale.seen.passes.insert(second, Vec::new());
    assert_eq!(sale.violations(), [Violation::Passes { order: second, places: 1, passes: 0 }]);
    sale.seen.passes.insert(second, vec![PassId::generate(NOW)]);
    sale.seen.passes.insert(third, vec![PassId::generate(NOW)]);
    assert_eq!(sale.violations(), [Violation::Passes { order: third, places: 0, passes: 1 }]);
}

#[test]
fn money_taken_too_often_or_never_or_for_nothing_is_found() {
    let mut sale = Sale::good();
    let [first, second, third] = sale.orders;
    sale.seen.charges.insert(first, 2);
    sale.seen.charges.remove(&second);
    sale.seen.charges.insert(third, 1);
    let expected = [
        Violation::Charges { order: third, charges: 1, paid: false },
        Violation::Charges { order: first, charges: 2, paid: true },
        Violation::Charges { order: second, charges: 0, paid: true },
    ];
    assert_eq!(sale.violations(), expected);
}

#[test]
fn an_event_that_was_not_published_is_found() {
    let mut sale = Sale::good();
    sale.seen.unpublished.insert("docket_orders.orders".to_owned(), 2);
    let collection = "docket_orders.orders".to_owned();
    assert_eq!(sale.violations(), [Violation::Unpublished { collection, documents: 2 }]);
}

#[test]
fn bad_manners_are_found() {
    let mut sale = Sale::good();
    sale.history.attempts[3].answer = HoldAnswer::TurnedAway { status: 503, retry_after: true };
    assert_eq!(sale.violations(), []);
    sale.history.attempts[3].answer = HoldAnswer::TurnedAway { status: 503, retry_after: false };
    assert_eq!(sale.violations(), [Violation::NoRetryAfter { status: 503, times: 1 }]);
    sale.history.attempts[3].answer = HoldAnswer::Unexpected(500);
    assert_eq!(sale.violations(), [Violation::Answer { answer: "500".to_owned(), times: 1 }]);
}
