use common::clock::Time;
use common::events::payments::{
    PaymentDisputeLost, PaymentDisputed, PaymentRefundFailed, PaymentRefunded, PaymentSucceeded,
};
use common::events::tickets::{Listing, RefundPolicy};
use common::id::{OrderId, RefundId, TicketId, UserId};
use common::money::{Currency, Money};
use proptest::prelude::*;

use super::*;
use crate::inventory::{Inventory, Movement, PendingHold};

pub(super) const START: Time = Time::from_millis(1_000_000);
pub(super) const DEADLINE: Time = Time::from_millis(1_900_000);
const SHOW: Time = Time::from_millis(9_000_000);
pub(super) const CANCELS: Input = Input::BuyerCancels { starts_at: Some(SHOW) };

/// What is on sale for so many cents.
pub(crate) fn listing(cents: i64) -> Listing {
    Listing {
        ticket_id: TicketId::generate(START),
        seller_id: UserId::generate(START),
        title: "Friday".into(),
        price: Money::from_minor(cents, Currency::USD).unwrap(),
        quantity: 10,
        per_order_limit: None,
        venue: None,
        starts_at: Some(SHOW),
        time_zone: None,
        sale_ends_at: None,
        refund_policy: RefundPolicy::UntilStart,
        suspended: false,
    }
}

pub(crate) fn order(cents: i64) -> Order {
    let listing = listing(cents);
    let (order_id, buyer_id, unit_price) = (OrderId::generate(START), UserId::generate(START), listing.price);
    let hold = PendingHold { order_id, buyer_id, quantity: 2, unit_price, at: START, expires_at: DEADLINE };
    Order::held(&listing, &hold).unwrap()
}

pub(super) fn after(mut order: Order, inputs: &[Input]) -> Order {
    for input in inputs {
        if let Ok(Some(step)) = order.handle(*input, DEADLINE) {
            order = step.next;
        }
    }
    order
}

fn refused(order: &Order, now: Time) -> OrderError {
    order.handle(CANCELS, now).unwrap_err()
}

#[test]
fn a_paid_order_has_a_pass_for_each_place() {
    let paid = after(order(500), &[Input::PaymentStarted, Input::PaymentSucceeded]);
    assert_eq!(paid.state, OrderState::Complete);
    assert_eq!(paid.passes.iter().map(|pass| pass.number).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(paid.paid_at, Some(DEADLINE), "the time at which it was told");
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
    let cancelled = after(order(500), &[CANCELS]);
    assert_eq!(cancelled.state, OrderState::Cancelled);
    assert_eq!(cancelled.handle(CANCELS, START), Ok(None));
}

#[test]
fn who_gives_a_hold_up_in_its_second_half_has_kept_the_places_from_others() {
    let half = START + DEADLINE.since(START) / 2;
    let given_up = |at| order(500).handle(CANCELS, at).unwrap().unwrap().next.given_up_late_at;
    let later = half + std::time::Duration::from_secs(1);
    assert_eq!((given_up(START), given_up(half), given_up(later)), (None, None, Some(later)));
    let free = after(order(0), &[Input::NothingToPay, CANCELS]);
    let given_up = (free.given_up_late_at, free.given_up_soon_at);
    assert_eq!((free.state, given_up), (OrderState::Cancelled, (None, Some(DEADLINE))), "it was no hold any more");
}

#[test]
fn the_limits_count_what_somebody_has_unpaid_and_for_an_hour_what_was_kept_from_others_without_being_paid() {
    use Input::{
        DeadlinePassed, MoneyReturned, NothingToPay, PaymentCancelled, PaymentStarted, PaymentSucceeded, PlacesGranted,
    };
    let counts = |inputs: &[Input]| after(order(500), inputs).counts_until;
    let an_hour = Some(DEADLINE + std::time::Duration::from_secs(3600));
    for held in [&[][..], &[PaymentStarted], &[DeadlinePassed]] {
        assert_eq!(counts(held), Some(HELD), "{held:?}");
    }
    assert_eq!(counts(&[DeadlinePassed, PaymentCancelled]), an_hour, "run out");
    assert_eq!(counts(&[CANCELS]), an_hour, "given up at the deadline");
    let meanwhile = [CANCELS, PaymentSucceeded, MoneyReturned];
    assert_eq!(counts(&meanwhile), an_hour, "paid when it was given up, and the money went back");
    let soon = order(500).handle(CANCELS, START).unwrap().unwrap();
    assert_eq!(soon.next.counts_until, Some(START + std::time::Duration::from_secs(3600)), "given up soon");
    let of_free = |inputs: &[Input]| after(order(0), inputs).counts_until;
    assert_eq!((of_free(&[NothingToPay]), of_free(&[DeadlinePassed])), (Some(HELD), Some(HELD)), "free");
    assert_eq!(of_free(&[NothingToPay, CANCELS]), an_hour, "free, and given back");
    assert_eq!((counts(&[PaymentSucceeded]), counts(&[PaymentSucceeded, MoneyReturned])), (None, None), "paid");
    let late = [DeadlinePassed, PaymentCancelled, PaymentSucceeded];
    assert_eq!((counts(&late), counts(&[&late[..], &[PlacesGranted]].concat())), (None, None), "paid late");
}

#[test]
fn a_paid_order_goes_back_only_as_the_policy_says() {
    let paid = after(order(500), &[Input::PaymentSucceeded]);
    assert_eq!(after(paid.clone(), &[CANCELS]).state, OrderState::Refunding);
    assert_eq!(refused(&paid, SHOW), OrderError::NotRefundable);
    let never = Order { refund_policy: RefundPolicy::Never, ..paid.clone() };
    assert_eq!(refused(&never, START), OrderError::NotRefundable);
    let newer = serde_json::from_value("until_noon".into()).unwrap();
    let newer = Order { refund_policy: newer, ..paid.clone() };
    assert_eq!(refused(&newer, START), OrderError::NotRefundable);
    let used = CheckIn { at: START, by: paid.seller_id, place: None, request: None };
    let entered = paid.check_in(paid.passes[0].id, used).unwrap().unwrap().next;
    assert_eq!(refused(&entered, START), OrderError::PassUsed);
}

#[test]
fn a_buyer_relies_on_the_later_one_of_the_start_that_was_told_and_the_present_one() {
    let at = |seconds: i64| Some(Time::from_millis(seconds * 1000));
    for (told, present, counts) in [
        (at(50), at(50), at(50)),
        (at(50), at(90), at(90)),
        (at(50), at(20), at(50)),
        (at(50), None, None),
        (None, at(50), at(50)),
        (None, None, None),
    ] {
        assert_eq!(counting_start(told, present), counts, "told {told:?}, now {present:?}");
    }
    let paid = after(order(500), &[Input::PaymentSucceeded]);
    let hour = std::time::Duration::from_secs(3600);
    for (starts_at, now, goes_back) in [
        (Some(SHOW + hour), SHOW, true),
        (Some(SHOW + hour), SHOW + hour, false),
        (Some(START), DEADLINE, true),
        (Some(START), SHOW, false),
        (None, SHOW + hour, true),
    ] {
        let step = paid.handle(Input::BuyerCancels { starts_at }, now);
        assert_eq!(step.is_ok(), goes_back, "starts at {starts_at:?}, now {now}");
    }
}

#[test]
fn a_free_order_needs_no_payment_and_never_expires() {
    assert_eq!(after(order(0), &[Input::NothingToPay]).state, OrderState::Complete);
    assert_eq!(after(order(0), &[Input::DeadlinePassed]).state, OrderState::Complete);
    assert_eq!(after(order(0), &[Input::NothingToPay, CANCELS]).state, OrderState::Cancelled);
    assert_eq!(after(order(500), &[Input::NothingToPay]).state, OrderState::Created);
}

#[test]
fn payments_tell_how_much_of_the_money_went_back() {
    let usd = |cents| Money::from_minor(cents, Currency::USD).unwrap();
    let order = order(500);
    let (order_id, buyer_id, amount, refund_id) = (order.id, order.buyer_id, order.total, RefundId::generate(START));
    let back = |cents, in_full, returned: Option<i64>| {
        let (refund, returned) = (usd(cents), returned.map(usd));
        PaymentRefunded { order_id, buyer_id, amount, refund_id, refund, in_full, returned }.into()
    };
    let told = |event: &PaymentEvent| Returned::told_by(event, 7).map(|(_, returned)| returned.amount);
    assert_eq!(told(&back(200, false, Some(300))), Some(300));
    assert_eq!(told(&back(200, false, None)), Some(200), "as told before the sum was");
    assert_eq!(told(&back(200, true, None)), Some(1000), "as told before the sum was");
    let failed =
        PaymentRefundFailed { order_id, buyer_id, amount, refund_id, code: "x".into(), returned: Some(usd(100)) };
    assert_eq!(told(&failed.into()), Some(100), "a refund that bounced is with the seller again");
    assert_eq!(told(&PaymentSucceeded { order_id, buyer_id, amount }.into()), None);
}

#[test]
fn while_its_payment_is_disputed_the_bank_decides() {
    let disputed = |standing| {
        let complete = after(order(500), &[Input::PaymentSucceeded]);
        Order { dispute: Disputing { standing: Some(standing), version: 3 }, ..complete }
    };
    let cancel = |order: &Order| order.handle(CANCELS, START).map(|step| step.map(|step| step.next.state));
    assert_eq!(cancel(&disputed(DisputeStanding::Open)), Err(OrderError::Disputed));
    for standing in [DisputeStanding::Inquiry, DisputeStanding::Won] {
        assert_eq!(cancel(&disputed(standing)), Ok(Some(OrderState::Refunding)), "{standing}");
    }
    let lost = disputed(DisputeStanding::Open).handle(Input::MoneyTakenBack, START).unwrap().unwrap();
    assert_eq!((lost.next.state, lost.places), (OrderState::Refunded, lost.next.all(Some(Move::Return))));
    assert_eq!(lost.next.refund_reason, Some(RefundReason::ChargedBack));
    let wanted = after(disputed(DisputeStanding::Won), &[CANCELS, Input::MoneyTakenBack]);
    assert_eq!(wanted.refund_reason, Some(RefundReason::BuyerRequest), "the buyer wanted it back here too");
}

#[test]
fn what_payments_tells_of_disputes_is_read_from_each_of_its_events() {
    let order = order(500);
    let (order_id, buyer_id, amount) = (order.id, order.buyer_id, order.total);
    let told = |event: &PaymentEvent| Disputing::told_by(event, 7).and_then(|(_, dispute)| dispute.standing);
    let reason = || "fraudulent".to_owned();
    let disputed = |standing| PaymentDisputed { order_id, buyer_id, amount, reason: reason(), standing }.into();
    assert_eq!(told(&disputed(None)), Some(DisputeStanding::Open), "as earlier builds told it");
    assert_eq!(told(&disputed(Some(DisputeStanding::Inquiry))), Some(DisputeStanding::Inquiry));
    let standing = DisputeStanding::Lost;
    let (lost, returned, in_full) = (amount, amount, true);
    let event =
        PaymentDisputeLost { order_id, buyer_id, amount, reason: reason(), standing, lost, in_full, returned }.into();
    assert_eq!(told(&event), Some(DisputeStanding::Lost));
    assert_eq!(Returned::told_by(&event, 7).map(|(_, returned)| returned.amount), Some(amount.minor()));
    assert_eq!(Input::told_by(&event), Some((order_id, Input::MoneyTakenBack)));
    assert_eq!(told(&PaymentSucceeded { order_id, buyer_id, amount }.into()), None);
}

/// The world around an order: payments as the arbiter of the money, and a real inventory. Everything that is on its way may
/// come twice, late, in any order, and any process may die between two steps; at the end all is delivered.
struct World {
    order: Order,
    version: u32,
    inventory: Inventory,
    money_in: bool,
    intent_closed: bool,
    money_back: bool,
    /// Events of payments on their way to the order.
    mail: Vec<Input>,
    /// Events of the order on their way to payments.
    outbox: Vec<OrderEvent>,
    /// Movements that stand in the order.
    movements: Vec<Movement>,
}

impl World {
    fn new() -> Self {
        let order = order(500);
        let mut inventory = Inventory::new(order.ticket_id, order.quantity);
        inventory.hold(pending(order.quantity)).unwrap();
        Self {
            order,
            version: 1,
            inventory,
            money_in: false,
            intent_closed: false,
            money_back: false,
            mail: Vec::new(),
            outbox: Vec::new(),
            movements: Vec::new(),
        }
    }

    fn pay(&mut self) {
        if !self.intent_closed && !self.money_in {
            self.money_in = true;
            self.mail.push(Input::PaymentSucceeded);
        }
    }

    /// As payments does on `order.expiring` and `order.cancelled`: closes the intent, or finds it paid.
    fn arbitrate(&mut self) {
        self.intent_closed |= !self.money_in;
        self.mail.push(if self.money_in { Input::PaymentSucceeded } else { Input::PaymentCancelled });
    }

    fn refund(&mut self) {
        assert!(self.money_in, "only money that came in goes back");
        self.money_back = true;
        self.mail.push(Input::MoneyReturned);
    }

    /// One write: the next state, its event and its movement.
    fn take(&mut self, input: Input) {
        if input == Input::MoneyReturned && self.order.state == OrderState::Reacquiring {
            // The listener has it told again later.
            return self.mail.insert(0, input);
        }
        if let Ok(Some(step)) = self.order.handle(input, DEADLINE) {
            self.write(step);
        }
    }

    /// Somebody comes with one of the passes.
    fn scan(&mut self, nth: usize) {
        let scan = CheckIn { at: DEADLINE, by: self.order.seller_id, place: None, request: None };
        let used = self.order.passes.get(nth).and_then(|pass| self.order.check_in(pass.id, scan).ok().flatten());
        used.into_iter().for_each(|step| self.write(step));
    }

    /// It was an accident, or they leave for good.
    fn undo(&mut self, nth: usize) {
        let used = self.order.passes.get(nth).and_then(|pass| Some((pass.id, pass.checked_in.as_ref()?.at)));
        let undo = |(pass, at)| self.order.undo_check_in(pass, at, self.order.seller_id, DEADLINE).ok().flatten();
        used.and_then(undo).into_iter().for_each(|step| self.write(step));
    }

    fn write(&mut self, step: Step) {
        self.version += 1;
        let (key, order_id) = (self.version.to_string(), self.order.id);
        let movement = |Moving { places, quantity }| Movement { key, order_id, places, quantity, at: START };
        self.movements.extend(step.places.map(movement));
        self.outbox.push(step.event);
        self.order = step.next;
    }

    fn hear(&mut self, event: &OrderEvent) {
        match event {
            OrderEvent::Expiring(_) | OrderEvent::Cancelled(_) => self.arbitrate(),
            OrderEvent::RefundRequested(_) => self.refund(),
            _ => {}
        }
    }

    /// What a desk does, up to the step after which its process dies.
    fn settle(&mut self, steps: u8) {
        let movements = self.movements.clone();
        let standing = |key: &String| movements.iter().any(|movement| &movement.key == key);
        self.inventory.settled.retain(|settled| standing(&settled.key));
        let granted: Vec<bool> = movements.iter().map(|movement| self.inventory.settle(movement)).collect();
        if steps == 0 {
            return;
        }
        for (movement, granted) in movements.iter().zip(granted) {
            if movement.places == Move::Reacquire {
                self.take(if granted { Input::PlacesGranted } else { Input::PlacesDenied });
            }
        }
        if steps > 1 {
            self.movements.retain(|movement| !movements.contains(movement));
        }
    }

    fn deliver_everything(&mut self) {
        self.take(Input::DeadlinePassed);
        while !(self.mail.is_empty() && self.outbox.is_empty() && self.movements.is_empty()) {
            self.settle(2);
            if let Some(event) = self.outbox.pop() {
                self.hear(&event);
            }
            if let Some(input) = self.mail.pop() {
                self.take(input);
            }
        }
    }
}

fn pending(quantity: u32) -> PendingHold {
    let unit_price = Money::from_minor(500, Currency::USD).unwrap();
    let (order_id, buyer_id) = (OrderId::generate(START), UserId::generate(START));
    PendingHold { order_id, buyer_id, quantity, unit_price, at: START, expires_at: DEADLINE }
}

#[derive(Clone, Debug)]
enum Act {
    Pay,
    LateBankMoney,
    Deadline,
    Cancel,
    SellerRefunds,
    Deliver { nth: usize, again: bool },
    Hear { nth: usize, again: bool },
    Settle { steps: u8 },
    OthersBuy,
    Scan { nth: usize },
    Undo { nth: usize },
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        Just(Act::Pay),
        Just(Act::LateBankMoney),
        Just(Act::Deadline),
        Just(Act::Cancel),
        Just(Act::SellerRefunds),
        (0_usize..8, any::<bool>()).prop_map(|(nth, again)| Act::Deliver { nth, again }),
        (0_usize..8, any::<bool>()).prop_map(|(nth, again)| Act::Hear { nth, again }),
        (0_u8..3).prop_map(|steps| Act::Settle { steps }),
        Just(Act::OthersBuy),
        (0_usize..2).prop_map(|nth| Act::Scan { nth }),
        (0_usize..2).prop_map(|nth| Act::Undo { nth }),
    ];
    proptest::collection::vec(act, 0..32)
}

/// Takes one of those that are on their way; it stays on its way if it is to come again.
fn pick<T: Clone>(waiting: &mut Vec<T>, nth: usize, again: bool) -> Option<T> {
    let nth = nth % waiting.len().max(1);
    if again { waiting.get(nth).cloned() } else { (nth < waiting.len()).then(|| waiting.remove(nth)) }
}

fn act(world: &mut World, others: &mut u32, act: &Act) {
    match *act {
        Act::Pay => world.pay(),
        // The provider says cancelled, and the bank pays all the same.
        Act::LateBankMoney => {
            world.intent_closed = false;
            world.pay();
        }
        Act::Deadline => world.take(Input::DeadlinePassed),
        Act::Cancel => world.take(CANCELS),
        Act::SellerRefunds if world.money_in => world.refund(),
        Act::SellerRefunds => {}
        Act::Deliver { nth, again } => {
            if let Some(input) = pick(&mut world.mail, nth, again) {
                world.take(input);
            }
        }
        Act::Hear { nth, again } => {
            if let Some(event) = pick(&mut world.outbox, nth, again) {
                world.hear(&event);
            }
        }
        Act::Settle { steps } => world.settle(steps),
        Act::OthersBuy => *others += u32::from(world.inventory.hold(pending(2)).is_ok()) * 2,
        Act::Scan { nth } => world.scan(nth),
        Act::Undo { nth } => world.undo(nth),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn every_interleaving_ends_with_passes_or_a_full_refund_or_no_money(acts in acts()) {
        let (mut world, mut others) = (World::new(), 0);
        for next in &acts {
            act(&mut world, &mut others, next);
            let Inventory { held, sold, capacity, .. } = world.inventory;
            prop_assert!(held + sold <= capacity, "oversold: {held} held, {sold} sold of {capacity}");
        }
        world.deliver_everything();
        let admitted = world.order.state == OrderState::Complete;
        let kept = world.money_in && !world.money_back;
        prop_assert_eq!(admitted, kept, "passes exactly where money is kept: {:?}", world.order.state);
        prop_assert_eq!(world.inventory.held, others);
        let inside = if admitted { 0 } else { world.order.admitted };
        prop_assert_eq!(world.order.inside, inside, "who is inside keeps the place");
        prop_assert_eq!(world.inventory.sold, if admitted { 2 } else { inside });
        (0..2).for_each(|nth| world.undo(nth));
        world.deliver_everything();
        prop_assert_eq!((world.order.admitted, world.order.inside), (0, 0));
        prop_assert_eq!(world.inventory.sold, if admitted { 2 } else { 0 });
    }
}
