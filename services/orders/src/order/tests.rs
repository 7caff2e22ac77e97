use common::clock::Time;
use common::events::tickets::RefundPolicy;
use common::id::{OrderId, TicketId, UserId};
use common::money::{Currency, Money};
use proptest::prelude::*;

use super::*;

const START: Time = Time::from_millis(1_000_000);
const DEADLINE: Time = Time::from_millis(1_900_000);
const SHOW: Time = Time::from_millis(9_000_000);

fn order(cents: i64) -> Order {
    let price = Money::from_minor(cents, Currency::USD).unwrap();
    Order {
        id: OrderId::generate(START),
        ticket_id: TicketId::generate(START),
        buyer_id: UserId::generate(START),
        seller_id: UserId::generate(START),
        title: "Friday".into(),
        venue: None,
        starts_at: Some(SHOW),
        refund_policy: RefundPolicy::UntilStart,
        quantity: 2,
        unit_price: price,
        total: price.times(2).unwrap(),
        state: OrderState::Created,
        created_at: START,
        expires_at: DEADLINE,
        refund_reason: None,
        passes: Vec::new(),
    }
}

fn after(mut order: Order, inputs: &[Input]) -> Order {
    for input in inputs {
        if let Ok(Some(step)) = order.handle(*input, DEADLINE) {
            order = step.next;
        }
    }
    order
}

fn refused(order: &Order, now: Time) -> OrderError {
    order.handle(Input::BuyerCancels, now).unwrap_err()
}

#[test]
fn a_paid_order_has_a_pass_for_each_place() {
    let paid = after(order(500), &[Input::PaymentStarted, Input::PaymentSucceeded]);
    assert_eq!(paid.state, OrderState::Complete);
    assert_eq!(paid.passes.iter().map(|pass| pass.number).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn the_deadline_waits_for_payments_to_say_what_became_of_the_money() {
    let expiring = after(order(500), &[Input::PaymentStarted, Input::DeadlinePassed]);
    assert_eq!(expiring.state, OrderState::Expiring);
    assert_eq!(after(expiring.clone(), &[Input::PaymentSucceeded]).state, OrderState::Complete);
    assert_eq!(after(expiring, &[Input::PaymentCancelled]).state, OrderState::Expired);
}

#[test]
fn a_deadline_that_has_not_come_ends_nothing() {
    assert_eq!(order(500).handle(Input::DeadlinePassed, START), Ok(None));
}

#[test]
fn late_money_gets_its_places_back_or_goes_back() {
    let late = after(order(500), &[Input::DeadlinePassed, Input::PaymentCancelled, Input::PaymentSucceeded]);
    assert_eq!(late.state, OrderState::Reacquiring);
    assert_eq!(after(late.clone(), &[Input::PlacesGranted]).state, OrderState::Complete);
    let refunding = after(late, &[Input::PlacesDenied]);
    assert_eq!(
        (refunding.state, refunding.refund_reason),
        (OrderState::Refunding, Some(RefundReason::SoldOutMeanwhile))
    );
    assert_eq!(after(refunding, &[Input::MoneyReturned]).state, OrderState::Refunded);
}

#[test]
fn cancelling_twice_is_cancelling_once() {
    let cancelled = after(order(500), &[Input::BuyerCancels]);
    assert_eq!(cancelled.state, OrderState::Cancelled);
    assert_eq!(cancelled.handle(Input::BuyerCancels, START), Ok(None));
}

#[test]
fn a_paid_order_goes_back_only_as_the_policy_says() {
    let paid = after(order(500), &[Input::PaymentSucceeded]);
    assert_eq!(after(paid.clone(), &[Input::BuyerCancels]).state, OrderState::Refunding);
    assert_eq!(refused(&paid, SHOW), OrderError::NotRefundable);
    let never = Order { refund_policy: RefundPolicy::Never, ..paid.clone() };
    assert_eq!(refused(&never, START), OrderError::NotRefundable);
    let used = CheckIn { at: START, by: paid.seller_id, place: None };
    let entered = paid.check_in(paid.passes[0].id, used).unwrap().next;
    assert_eq!(refused(&entered, START), OrderError::PassUsed);
}

#[test]
fn a_free_order_needs_no_payment_and_never_expires() {
    assert_eq!(after(order(0), &[Input::NothingToPay]).state, OrderState::Complete);
    assert_eq!(after(order(0), &[Input::DeadlinePassed]).state, OrderState::Complete);
    assert_eq!(after(order(0), &[Input::NothingToPay, Input::BuyerCancels]).state, OrderState::Cancelled);
    assert_eq!(after(order(500), &[Input::NothingToPay]).state, OrderState::Created);
}

#[test]
fn a_pass_admits_once_and_only_while_the_order_is_complete() {
    let paid = after(order(500), &[Input::PaymentSucceeded]);
    let used = CheckIn { at: START, by: paid.seller_id, place: Some("north".into()) };
    let pass = paid.passes[0].id;
    let entered = paid.check_in(pass, used.clone()).unwrap().next;
    assert_eq!(entered.check_in(pass, used.clone()), Err(OrderError::AlreadyCheckedIn(used.clone())));
    assert!(entered.check_in(entered.passes[1].id, used.clone()).is_ok());
    let refunded = after(entered, &[Input::MoneyReturned]);
    assert_eq!(refunded.check_in(refunded.passes[1].id, used), Err(OrderError::NotComplete));
}

/// The world around an order: payments as the arbiter of the money, and an inventory. Every message may come twice, late,
/// in any order; at the end all are delivered.
#[derive(Debug, Default)]
struct World {
    money_in: bool,
    intent_closed: bool,
    money_back: bool,
    held: i32,
    sold: i32,
    others: i32,
    mail: Vec<Input>,
}

const CAPACITY: i32 = 2;

impl World {
    fn pay(&mut self) {
        if !self.intent_closed && !self.money_in {
            self.money_in = true;
            self.mail.push(Input::PaymentSucceeded);
        }
    }

    /// As payments does on `order.expiring` and `order.cancelled`: closes the intent, or finds it paid.
    fn arbitrate(&mut self) {
        if !self.money_in {
            self.intent_closed = true;
            self.mail.push(Input::PaymentCancelled);
        } else {
            self.mail.push(Input::PaymentSucceeded);
        }
    }

    fn refund(&mut self) {
        assert!(self.money_in, "only money that came in goes back");
        if self.money_back {
            return;
        }
        self.money_back = true;
        self.mail.push(Input::MoneyReturned);
    }

    fn move_places(&mut self, places: Move) {
        match places {
            Move::Release => self.held -= 2,
            Move::Sell => {
                self.held -= 2;
                self.sold += 2;
            }
            Move::Return => self.sold -= 2,
            Move::Reacquire if self.others + self.held + self.sold + 2 <= CAPACITY => {
                self.sold += 2;
                self.mail.push(Input::PlacesGranted);
            }
            Move::Reacquire => self.mail.push(Input::PlacesDenied),
        }
        assert!(self.held >= 0 && self.sold >= 0 && self.held + self.sold + self.others <= CAPACITY);
    }

    fn take(&mut self, order: &mut Order, input: Input) {
        if input == Input::MoneyReturned && order.state == OrderState::Reacquiring {
            // The listener has it told again later.
            return self.mail.insert(0, input);
        }
        let Ok(Some(step)) = order.handle(input, DEADLINE) else { return };
        match &step.event {
            OrderEvent::Expiring(_) | OrderEvent::Cancelled(_) => self.arbitrate(),
            OrderEvent::RefundRequested(_) => self.refund(),
            _ => {}
        }
        if let Some(places) = step.places {
            self.move_places(places);
        }
        *order = step.next;
    }
}

#[derive(Clone, Debug)]
enum Act {
    Pay,
    LateBankMoney,
    Deadline,
    Cancel,
    SellerRefunds,
    Deliver(usize),
    DeliverTwice(usize),
    OthersBuy,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        Just(Act::Pay),
        Just(Act::LateBankMoney),
        Just(Act::Deadline),
        Just(Act::Cancel),
        Just(Act::SellerRefunds),
        (0_usize..8).prop_map(Act::Deliver),
        (0_usize..8).prop_map(Act::DeliverTwice),
        Just(Act::OthersBuy),
    ];
    proptest::collection::vec(act, 0..24)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn every_interleaving_ends_with_passes_or_a_full_refund_or_no_money(acts in acts()) {
        let mut world = World { held: 2, ..World::default() };
        let mut order = order(500);
        for act in acts {
            match act {
                Act::Pay => world.pay(),
                // The provider says cancelled, and the bank pays all the same.
                Act::LateBankMoney => {
                    world.intent_closed = false;
                    world.pay();
                }
                Act::Deadline => world.take(&mut order, Input::DeadlinePassed),
                Act::SellerRefunds if world.money_in => world.refund(),
                Act::Cancel => world.take(&mut order, Input::BuyerCancels),
                Act::Deliver(nth) if !world.mail.is_empty() => {
                    let input = world.mail.remove(nth % world.mail.len());
                    world.take(&mut order, input);
                }
                Act::DeliverTwice(nth) if !world.mail.is_empty() => {
                    let input = world.mail[nth % world.mail.len()];
                    world.take(&mut order, input);
                }
                Act::OthersBuy if world.others + world.held + world.sold + 2 <= CAPACITY => world.others += 2,
                _ => {}
            }
        }
        world.take(&mut order, Input::DeadlinePassed);
        while let Some(input) = world.mail.pop() {
            world.take(&mut order, input);
        }
        let admitted = order.state == OrderState::Complete;
        let kept = world.money_in && !world.money_back;
        prop_assert_eq!(admitted, kept, "passes exactly where money is kept: {:?} {:?}", order.state, world);
        prop_assert_eq!(world.held, 0);
        prop_assert_eq!(world.sold, if admitted { 2 } else { 0 });
    }
}
