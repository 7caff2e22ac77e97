//! A model of a whole sale, explored to its end: orders, their inventory, payments, expiration and Stripe.
//!
//! What is decided is decided by the services' own pure rules on their own documents: `Order::handle`, `Inventory::hold` and
//! `settle`, `Payment::handle`, `OrderReplica::after` and `payable`, `Duty::of`, `Input::told_by`, `Deadline::set_by`. The model adds
//! what is around them: which step a process makes next, and what it knows in memory between two steps.
//!
//! - **Delivery.** A message that is on its way arrives at any time and in any order. One that was handled may stay on its way and
//!   come again, as often as one likes; so a lost one is one that comes later, which is what outbox and durable consumers make of it.
//!   Payments takes an order's events in the order of their versions, as its version gate does. A webhook may be lost altogether:
//!   nothing in the model depends on it, but for what nobody would ask about (money after a cancellation, a refund that bounces),
//!   which Stripe repeats and the inbox keeps.
//! - **Lost answers.** A write of the inventory may be given up by its desk and land later, as long as no other write does, or
//!   never. The buyer whose hold it was may ask again under the same key, as often as one likes.
//! - **Deaths.** Between two steps a process may forget all that it had in memory. What sweeps and jobs do is possible whenever
//!   there is something for them to do, for how long they wait does not matter.
//! - **Time** is, for each order, before or after its deadline.
//! - **Batches.** A desk serves one wish at a time. What it does for many at once is the same write as one for each, but with
//!   fewer points in between at which it can die.
//!
//! That every order reaches its end is more than an `eventually` of the checker could say, for that one overlooks circles, and
//! deaths and repetitions make circles. It is two properties. Where no process has anything left to do, all orders are at
//! their ends. And from each state, processes that do not die reach such a state by themselves; so who sees to it that they do
//! not die for ever sees each order end.
//!
//! For each guard that is left out, a property must find it. The runs say which.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::print_stdout, reason = "how much was explored, and the ways on which a missing guard is noticed")]

mod action;
mod catalogue;
mod late;
mod paying;
mod properties;
mod selling;
mod state;
mod steps;
mod world;

use std::collections::BTreeSet;

use stateright::{Checker, HasDiscoveries, Model, Property};

use action::Action;
use properties::{
    CANCELLED, CANCELLED_PAID, CLOSED, COMPLETE, COUNTS, EXPIRED, HELD_LATE, INSIDE, LATE_REFUNDED, LEFT, NO_OVERSELL,
    NOT_FOR_NOTHING, NOT_GONE, REACQUIRED, REFUNDED, REFUNDED_TWICE, SOLD_OUT,
};
use state::{Luck, State};
use world::{Deadlines, Late, Removed, World};

impl Model for World {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.start()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.list(state, actions);
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = state.clone();
        self.act(&mut next, action);
        (next != *state).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::of(self)
    }
}

/// Explores all states, of which there must be some, and requires every property of each.
fn holds(world: World, at_least: usize) {
    let checker = world.checker().threads(2).spawn_bfs().join();
    let (states, depth) = (checker.unique_state_count(), checker.max_depth());
    println!("{states} states, {depth} steps deep, {} ways between them", checker.state_count());
    checker.assert_properties();
    assert!(checker.is_done(), "not all states were explored");
    assert!(states >= at_least, "only {states} states: the model has lost something");
}

/// Explores until the property is found violated, and shows the way there.
fn fails(world: World, property: &'static str) {
    let found = HasDiscoveries::AnyOf(BTreeSet::from([property]));
    let checker = world.checker().threads(2).finish_when(found).spawn_bfs().join();
    let way = checker.discovery(property).unwrap_or_else(|| panic!("nobody noticed: {property}"));
    println!("not so: {property}");
    way.into_actions().iter().for_each(|action| println!("  {action:?}"));
}

/// Nothing repeats itself, and desks forget keys only on the way: for more than one order.
fn rivals(cents: &[i64], capacity: u32) -> World {
    World { duplicates: false, tidies: false, ..World::new(cents, capacity) }
}

#[test]
fn an_order_ends_whatever_its_buyer_and_the_bank_do() {
    let luck = Luck { declines: 1, ..Luck::default() };
    let reaches = vec![COMPLETE, EXPIRED, CANCELLED, CANCELLED_PAID, REFUNDED];
    let world = World { luck, slow_bank: true, cancels: true, reaches, ..World::new(&[500], 1) };
    holds(world, 200_000);
}

#[test]
fn money_that_comes_late_or_bounces_ends_with_passes_or_goes_back() {
    let luck = Luck { late_money: 1, bounces: 1, seller_refunds: 1, ..Luck::default() };
    let reaches = vec![COMPLETE, EXPIRED, REFUNDED, REACQUIRED, REFUNDED_TWICE];
    holds(World { luck, reaches, ..rivals(&[500], 1) }, 10_000);
}

#[test]
fn expiration_alone_ends_every_hold() {
    let world = World { deadlines: Deadlines::Expiration, reaches: vec![COMPLETE, EXPIRED], ..World::new(&[500], 1) };
    holds(world, 30_000);
}

#[test]
fn two_replicas_and_two_questions_to_stripe_at_once_do_no_harm() {
    let world = World { desks: 2, readers: 2, reaches: vec![COMPLETE, EXPIRED], ..World::new(&[500], 1) };
    holds(world, 40_000);
}

#[test]
fn two_buyers_and_one_place() {
    let world = World { reaches: vec![COMPLETE, EXPIRED, SOLD_OUT], ..rivals(&[500, 500], 1) };
    holds(world, 200_000);
}

#[test]
fn late_money_gets_the_place_of_nobody_else() {
    let luck = Luck { late_money: 1, ..Luck::default() };
    let reaches = vec![COMPLETE, EXPIRED, REFUNDED, LATE_REFUNDED, REACQUIRED];
    holds(World { luck, reaches, ..rivals(&[500, 0], 1) }, 20_000);
}

#[test]
fn free_orders_of_two_buyers_at_the_desks_of_two_replicas() {
    let reaches = vec![COMPLETE];
    holds(World { desks: 2, reaches, ..rivals(&[0, 0], 2) }, 5_000);
}

#[test]
fn a_write_that_lands_late_is_counted_once() {
    let reaches = vec![COMPLETE, EXPIRED, HELD_LATE];
    holds(World { late_writes: 1, reaches, ..rivals(&[500], 1) }, 4_000);
}

#[test]
fn two_buyers_and_a_write_that_lands_late() {
    let reaches = vec![COMPLETE, SOLD_OUT, HELD_LATE];
    holds(World { late_writes: 1, reaches, ..rivals(&[0, 0], 1) }, 1_000);
}

/// Two guests of one order, who come, leave, or were let in by accident, while the money may go back.
fn guests() -> World {
    let luck = Luck { seller_refunds: 1, scans: 2, ..Luck::default() };
    World { luck, duplicates: false, tidies: false, ..World::of_two_places(500) }
}

#[test]
fn who_is_inside_keeps_the_place_until_the_organiser_says_that_they_left() {
    holds(World { reaches: vec![COMPLETE, REFUNDED, INSIDE, LEFT], ..guests() }, 5_000);
}

#[test]
fn if_a_refund_returns_the_place_of_a_guest_too_it_is_counted_twice() {
    fails(World { removed: Removed::Inside, ..guests() }, COUNTS);
}

#[test]
fn if_a_lost_write_is_taken_for_not_made_a_hold_is_counted_twice() {
    fails(World { removed: Removed::LostIsUnknown, late_writes: 1, ..rivals(&[500], 2) }, COUNTS);
}

#[test]
fn if_a_repeated_hold_is_not_looked_up_it_is_counted_twice() {
    fails(World { removed: Removed::LookUp, late_writes: 1, ..rivals(&[500], 2) }, COUNTS);
}

#[test]
fn without_the_arbiter_somebody_pays_for_places_that_are_gone() {
    fails(World { removed: Removed::Arbiter, ..rivals(&[500, 500], 1) }, NOT_GONE);
}

#[test]
fn without_the_arbiter_an_order_that_ended_can_still_be_paid() {
    fails(World { removed: Removed::Arbiter, ..rivals(&[500], 1) }, CLOSED);
}

/// A system that has neither takes the money and gives nothing.
#[test]
fn without_the_arbiter_and_if_expired_is_final_money_is_kept_without_passes() {
    fails(World { removed: Removed::ArbiterAndLateMoney(Late::Ignored), ..rivals(&[500], 1) }, NOT_FOR_NOTHING);
}

/// Or it sells one place twice.
#[test]
fn without_the_arbiter_and_if_money_always_completes_a_place_is_sold_twice() {
    fails(World { removed: Removed::ArbiterAndLateMoney(Late::Accepted), ..rivals(&[500, 500], 1) }, NO_OVERSELL);
}

#[test]
fn without_the_keys_of_made_movements_a_place_is_counted_twice() {
    fails(World { removed: Removed::SettledOnce, ..rivals(&[500], 1) }, COUNTS);
}

#[test]
fn without_compare_and_set_of_the_inventory_a_place_is_counted_twice() {
    fails(World { removed: Removed::CompareAndSet, desks: 2, ..World::new(&[500], 1) }, COUNTS);
}

#[test]
fn if_the_first_payment_did_not_count_an_order_that_ended_could_be_paid() {
    fails(World { removed: Removed::FirstInsert, ..rivals(&[500], 1) }, CLOSED);
}
