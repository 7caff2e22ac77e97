//! What must hold, and what must be possible.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};

use common::events::orders::RefundReason;
use orders::order::{Move, Order, OrderState};
use payments::payment::PaymentState;
use stateright::{Model, Property};

use super::action::Action;
use super::state::{Desk, Sale, State};
use super::world::World;

pub(super) const NO_OVERSELL: &str = "never more places promised than there are";
pub(super) const COUNTS: &str = "the inventory counts what the orders have";
pub(super) const BACK_ONCE: &str = "no more money goes back than came in";
pub(super) const NO_DEAD_LETTER: &str = "no event is refused for good";
pub(super) const NOT_GONE: &str = "nobody pays for places that are gone, unless the bank errs";
pub(super) const NOT_FOR_NOTHING: &str = "at rest no money is kept without passes";
pub(super) const NOT_FOR_FREE: &str = "at rest nobody has passes without having paid";
pub(super) const AT_ITS_END: &str = "at rest every order is at its end";
pub(super) const CLOSED: &str = "at rest nobody can pay for an order that ended";
pub(super) const END_IN_REACH: &str = "from everywhere every order can still reach its end";

pub(super) const COMPLETE: &str = "an order is complete";
pub(super) const EXPIRED: &str = "an order has expired";
pub(super) const CANCELLED: &str = "an order was cancelled";
pub(super) const SOLD_OUT: &str = "a buyer is told that it is sold out";
pub(super) const REFUNDED: &str = "an order was refunded";
pub(super) const CANCELLED_PAID: &str = "money of an order cancelled meanwhile went back";
pub(super) const LATE_REFUNDED: &str = "late money went back because the places were gone";
pub(super) const REACQUIRED: &str = "late money got its places back";
pub(super) const HELD_LATE: &str = "places are held for somebody who was told nothing";
pub(super) const INSIDE: &str = "somebody is inside whose money went back";
pub(super) const LEFT: &str = "somebody whose money went back has left, and the place is free";
pub(super) const REFUNDED_TWICE: &str = "a refund that bounced was made again";

const ENDS: [OrderState; 4] = [OrderState::Complete, OrderState::Expired, OrderState::Cancelled, OrderState::Refunded];
/// The states in which a place is promised to the buyer.
const PROMISED: [OrderState; 4] =
    [OrderState::Created, OrderState::AwaitingPayment, OrderState::Expiring, OrderState::Complete];

pub(super) fn of(world: &World) -> Vec<Property<World>> {
    let mut all = vec![
        Property::always(NO_OVERSELL, |_, state| no_oversell(state)),
        Property::always(COUNTS, counts_match),
        Property::always(BACK_ONCE, |world, state| each(world, state, |total, sale| sale.stripe.kept(total) >= 0)),
        Property::always(NO_DEAD_LETTER, |_, state| !any(state, |sale| sale.dead_letter)),
        Property::always(NOT_GONE, |world, state| {
            world.luck.late_money > 0 || !any(state, |it| refunded(it, RefundReason::SoldOutMeanwhile))
        }),
        Property::always(NOT_FOR_NOTHING, |world, state| {
            !at_rest(world, state) || each(world, state, |total, sale| sale.stripe.kept(total) == 0 || complete(sale))
        }),
        Property::always(NOT_FOR_FREE, |world, state| {
            !at_rest(world, state)
                || each(world, state, |total, sale| sale.stripe.kept(total) == total || !complete(sale))
        }),
        Property::always(AT_ITS_END, |world, state| !at_rest(world, state) || all_ended(state)),
        Property::always(CLOSED, |world, state| {
            !at_rest(world, state)
                || each(world, state, |_, sale| complete(sale) || !(sale.intent_is_known() && sale.intent_is_open()))
        }),
        Property::always(END_IN_REACH, end_in_reach),
    ];
    all.extend(possible().into_iter().filter(|property| world.reaches.contains(&property.name)));
    all
}

fn possible() -> [Property<World>; 12] {
    [
        Property::sometimes(COMPLETE, |_, state| any(state, complete)),
        Property::sometimes(EXPIRED, |_, state| any(state, |sale| sale.is_in(&[OrderState::Expired]))),
        Property::sometimes(CANCELLED, |_, state| any(state, |sale| sale.is_in(&[OrderState::Cancelled]))),
        Property::sometimes(HELD_LATE, |_, state| any(state, |sale| sale.unanswered && sale.order.is_some())),
        Property::sometimes(SOLD_OUT, |_, state| any(state, |sale| sale.refused)),
        Property::sometimes(REFUNDED, |_, state| any(state, |sale| sale.is_in(&[OrderState::Refunded]))),
        Property::sometimes(CANCELLED_PAID, |_, state| {
            any(state, |sale| money_back(sale) && refunded(sale, RefundReason::CancelledMeanwhile))
        }),
        Property::sometimes(LATE_REFUNDED, |_, state| {
            any(state, |sale| money_back(sale) && refunded(sale, RefundReason::SoldOutMeanwhile))
        }),
        Property::sometimes(REACQUIRED, |_, state| {
            let back = |sale: &Sale| sale.movements.iter().any(|movement| movement.places == Move::Reacquire);
            any(state, |sale| complete(sale) && back(sale))
        }),
        Property::sometimes(INSIDE, |_, state| any(state, |sale| money_back(sale) && inside(sale) > 0)),
        Property::sometimes(LEFT, |_, state| {
            let left = |sale: &Sale| money_back(sale) && undone(sale) && inside(sale) == 0;
            any(state, left) && state.inventory.sold == 0
        }),
        Property::sometimes(REFUNDED_TWICE, |_, state| {
            any(state, |sale| money_back(sale) && sale.stripe.refunds.len() > 1)
        }),
    ]
}

fn any(state: &State, check: impl Fn(&Sale) -> bool) -> bool {
    state.sales.iter().any(|sale| check(sale))
}

fn each(world: &World, state: &State, check: impl Fn(i64, &Sale) -> bool) -> bool {
    world.orders.iter().zip(&state.sales).all(|(order, sale)| check(order.total.minor(), sale))
}

fn complete(sale: &Sale) -> bool {
    sale.order.as_ref().is_some_and(|(_, order)| order.state == OrderState::Complete && !order.passes.is_empty())
}

fn refunded(sale: &Sale, why: RefundReason) -> bool {
    sale.order.as_ref().is_some_and(|(_, order)| order.refund_reason == Some(why))
}

fn money_back(sale: &Sale) -> bool {
    sale.payment_is(|payment| payment.state == PaymentState::Refunded) && sale.is_in(&[OrderState::Refunded])
}

fn inside(sale: &Sale) -> u32 {
    sale.order.as_ref().map_or(0, |(_, order)| order.inside)
}

fn undone(sale: &Sale) -> bool {
    sale.order.as_ref().is_some_and(|(_, order)| !order.undone.is_empty())
}

fn all_ended(state: &State) -> bool {
    state.inventory.pending.is_empty() && state.sales.iter().all(|sale| sale.order.is_none() || sale.is_in(&ENDS))
}

fn no_oversell(state: &State) -> bool {
    let inventory = &state.inventory;
    let orders = state.sales.iter().filter_map(|sale| sale.order.as_ref());
    let promised = |order: &Order| if PROMISED.contains(&order.state) { order.quantity } else { order.inside };
    let promised: u32 = orders.map(|(_, order)| promised(order)).sum();
    inventory.held + inventory.sold <= inventory.capacity && promised <= inventory.capacity
}

/// Movements that the inventory has not made yet are still ahead of it.
fn counts_match(world: &World, state: &State) -> bool {
    let counted = (0..world.orders.len()).map(|buyer| places_of(world, state, buyer));
    let (held, sold) = counted.fold((0, 0), |(held, sold), own| (held + own.0, sold + own.1));
    (state.inventory.held, state.inventory.sold) == (held, sold)
}

/// How many places of an order are held, and how many sold.
fn places_of(world: &World, state: &State, buyer: usize) -> (u32, u32) {
    let (sale, all) = (&state.sales[buyer], world.orders[buyer].quantity);
    let Some((_, order)) = &sale.order else {
        return (if world.is_pending(state, buyer) { all } else { 0 }, 0);
    };
    let made = |key: &str| state.inventory.settled.iter().find(|settled| settled.key == key);
    let ahead = || sale.movements.iter().filter(|movement| made(&movement.key).is_none());
    match ahead().next().map(|movement| movement.places) {
        Some(Move::Release | Move::Sell) => return (all, 0),
        Some(Move::Return) => return (0, order.inside + ahead().map(|movement| movement.quantity).sum::<u32>()),
        Some(Move::Reacquire) => return (0, 0),
        None => {}
    }
    let back = sale.movements.iter().find(|movement| movement.places == Move::Reacquire);
    let granted = back.and_then(|movement| made(&movement.key)).is_some_and(|settled| settled.granted);
    match order.state {
        OrderState::Created | OrderState::AwaitingPayment | OrderState::Expiring => (all, 0),
        OrderState::Complete => (0, all),
        OrderState::Refunding if !order.passes.is_empty() => (0, all),
        // The answer has been given and not been told yet.
        OrderState::Reacquiring if granted => (0, all),
        _ => (0, order.inside),
    }
}

/// States from which the end is known to be in reach.
#[derive(Debug, Default)]
pub(super) struct Memo(Mutex<HashSet<u64>>);

impl Memo {
    fn note(&self, digest: u64) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(digest)
    }
}

fn digest(state: &State) -> u64 {
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    hasher.finish()
}

/// Lets the processes work one after the other, without deaths, repetitions and new wishes, until nothing moves any more.
fn end_in_reach(world: &World, state: &State) -> bool {
    let (mut now, mut way) = (state.clone(), Vec::new());
    loop {
        let here = digest(&now);
        if !world.memo.note(here) {
            // Known from another way, or this one goes in a circle.
            return !way.contains(&here);
        }
        way.push(here);
        match progress(world, &now) {
            Some(next) => now = next,
            None => return all_ended(&now),
        }
    }
}

/// Whether no process has anything left to do, and no time or bank will change that.
fn at_rest(world: &World, state: &State) -> bool {
    let busy = |sale: &Sale| {
        let told = sale.to_payments.is_empty() && sale.to_orders.is_empty() && sale.movements.is_empty();
        sale.in_hand || !told || !sale.answers.is_empty()
    };
    let idle = state.desks.iter().all(|desk| *desk == Desk::Idle) && state.inventory.pending.is_empty();
    idle && !any(state, busy) && progress(world, state).is_none()
}

/// What processes, time or bank do next by themselves.
fn progress(world: &World, state: &State) -> Option<State> {
    let mut actions = Vec::new();
    world.list(state, &mut actions);
    actions.retain(|action| urgency(action) < WISH && leads_on(state, action));
    actions.sort_by_key(urgency);
    actions.into_iter().find_map(|action| world.next_state(state, action))
}

const WISH: u8 = 9;

/// What comes first; wishes, luck, repetitions and deaths never come by themselves.
fn urgency(action: &Action) -> u8 {
    match action {
        Action::DeskConsiders(_) | Action::DeskWrites(_) | Action::DeskTells(_) | Action::DeskClears(_) => 0,
        Action::DeskLooksUp(_) | Action::DeskHolds(_) => 0,
        Action::StoreOrder(_) | Action::DropPending(_) | Action::DeskReads { .. } | Action::CompleteFree(_) => 1,
        Action::StorePayment(_) | Action::Learn { .. } | Action::MakeRefund(_) | Action::RecordRefunds(_) => 2,
        Action::HearPayment { again: false, .. } | Action::HearDue { again: false, .. } | Action::Follow(_) => 3,
        Action::SetDeadline { again: false, .. } => 3,
        Action::DoDuty { again: false, .. } => 4,
        Action::CancelIntent(_) | Action::LookAfterRefunds(_) | Action::BankDecides(..) => 5,
        Action::DeadlinePasses(_) => 6,
        Action::SweepOverdue(_) | Action::DeadlineRings(_) => 7,
        Action::AskStripe(_) => 8,
        _ => WISH,
    }
}

/// Desks and questions that would change nothing are no progress.
fn leads_on(state: &State, action: &Action) -> bool {
    match action {
        Action::DeskReads { buyer, .. } => !state.sales[*buyer].movements.is_empty(),
        Action::AskStripe(buyer) => state.sales[*buyer].would_learn(),
        Action::CancelIntent(buyer) => state.sales[*buyer].intent_is_open() || state.sales[*buyer].would_learn(),
        _ => true,
    }
}
