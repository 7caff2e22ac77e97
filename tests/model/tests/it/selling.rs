//! Orders and expiration: what orders' listeners, jobs and box office, and expiration, do with the pure rules.

use std::sync::Arc;

use common::clock::Time;
use common::events::OrderEvent;
use expiration::deadline::Deadline;
use orders::inventory::{Inventory, Movement, PendingHold};
use orders::order::{CheckIn, Input, Move, Moving, Order, OrderState, Step};

use super::state::{Alarm, DEADLINE, Desk, Mail, START, Sale, Shared, State};
use super::world::{Late, Removed, World};

impl Sale {
    pub(super) fn now(&self) -> Time {
        if self.overdue { DEADLINE } else { START }
    }

    pub(super) fn is_in(&self, states: &[OrderState]) -> bool {
        self.order.as_ref().is_some_and(|(_, order)| states.contains(&order.state))
    }

    /// The one write of an order: its next state, its version, its movement and its event.
    fn write(&mut self, step: Step) {
        let version = self.order.as_ref().map_or(1, |(version, _)| version + 1);
        let order_id = step.next.id;
        let key = format!("{order_id}:{version}");
        let movement = |Moving { places, quantity }| Movement { key, order_id, places, quantity, at: START };
        self.movements.extend(step.places.map(movement));
        self.order = Some((version, Arc::new(step.next)));
        self.publish(version, step.event);
    }

    fn publish(&mut self, version: u8, event: OrderEvent) {
        self.deadline.to_set |= Deadline::set_by(&event).is_some();
        self.to_payments.push(Mail { version, event });
    }

    pub(super) fn tell_order(&mut self, input: Input) {
        if !self.to_orders.contains(&input) {
            self.to_orders.push(input);
            self.to_orders.sort_unstable();
        }
    }

    pub(super) fn cancel_order(&mut self) {
        let wish = |order: &Arc<Order>| {
            order.handle(Input::BuyerCancels { starts_at: order.starts_at }, self.now()).ok().flatten()
        };
        if let Some(step) = self.order.as_ref().and_then(|(_, order)| wish(order)) {
            self.write(step);
        }
    }
}

/// The door of the show.
impl Sale {
    /// Whether somebody can come with this pass.
    pub(super) fn may_scan(&self, nth: usize) -> bool {
        let pass = self.order.as_ref().and_then(|(_, order)| order.passes.get(nth));
        self.is_in(&[OrderState::Complete]) && pass.is_some_and(|pass| pass.checked_in.is_none())
    }

    pub(super) fn may_undo(&self, nth: usize) -> bool {
        let pass = self.order.as_ref().and_then(|(_, order)| order.passes.get(nth));
        pass.is_some_and(|pass| pass.checked_in.is_some())
    }

    pub(super) fn scan(&mut self, nth: usize) {
        let Some((_, order)) = &self.order else { return };
        let scan = CheckIn { at: self.now(), by: order.seller_id, place: None, request: None };
        self.luck.scans -= 1;
        if let Ok(Some(step)) = order.check_in(order.passes[nth].id, scan) {
            self.write(step);
        }
    }

    pub(super) fn undo(&mut self, nth: usize) {
        let Some((_, order)) = &self.order else { return };
        let pass = &order.passes[nth];
        let Some(used_at) = pass.checked_in.as_ref().map(|used| used.at) else { return };
        if let Ok(Some(step)) = order.undo_check_in(pass.id, used_at, order.seller_id, self.now()) {
            self.write(step);
        }
    }
}

impl Alarm {
    /// A deadline that is over is scheduled like any other, and rings at once.
    pub(super) fn set(&mut self, again: bool) {
        (self.scheduled, self.to_set) = (true, again);
    }

    pub(super) fn ring(&mut self) {
        (self.scheduled, self.due) = (false, true);
    }
}

impl World {
    /// The desk takes the places; the order is not stored yet.
    pub(super) fn hold(&self, state: &mut State, buyer: usize) {
        let mut inventory = Inventory::clone(&state.inventory);
        match inventory.hold(PendingHold::of(&self.orders[buyer])) {
            Ok(()) => self.save(state, inventory),
            Err(_) => state.alter(buyer, |sale| sale.refused = true),
        }
    }

    /// Every other desk that has read the inventory must read again, and what was given up cannot land any more; that is what
    /// the compare-and-set does.
    pub(super) fn save(&self, state: &mut State, inventory: Inventory) {
        state.inventory = Shared::new(inventory);
        if self.removed == Removed::CompareAndSet {
            return;
        }
        state.late.clear();
        for desk in &mut state.desks {
            let read = matches!(
                desk,
                Desk::Read { .. } | Desk::Considered { .. } | Desk::Asked { .. } | Desk::LookedUp { .. }
            );
            if read {
                *desk = Desk::Idle;
            }
        }
    }

    pub(super) fn is_pending(&self, state: &State, buyer: usize) -> bool {
        state.inventory.pending.iter().any(|hold| hold.order_id == self.orders[buyer].id)
    }

    /// By the desk that took the places, or after its death by the sweep: both insert the same order, the first one counts.
    pub(super) fn store_order(&self, state: &mut State, buyer: usize) {
        let order = &self.orders[buyer];
        let step = Step { next: Order::clone(order), event: order.created(), places: None };
        state.alter(buyer, |sale| sale.write(step));
    }

    pub(super) fn drop_pending(&self, state: &mut State, buyer: usize) {
        let mut inventory = Inventory::clone(&state.inventory);
        inventory.forget_holds(&[self.orders[buyer].id]);
        self.save(state, inventory);
    }

    /// Tells an order what has happened, as the guards that were left in allow.
    pub(super) fn inform(&self, sale: &mut Sale, input: Input) {
        let Some((_, order)) = &sale.order else {
            sale.dead_letter = true;
            return;
        };
        let ended = matches!(order.state, OrderState::Expired | OrderState::Cancelled);
        let step = match self.removed {
            Removed::ArbiterAndLateMoney(Late::Ignored) if ended && input == Input::PaymentSucceeded => return,
            Removed::ArbiterAndLateMoney(Late::Accepted) if ended && input == Input::PaymentSucceeded => {
                Order { state: OrderState::Expiring, ..Order::clone(order) }.handle(input, sale.now())
            }
            _ => order.handle(input, sale.now()),
        };
        let Some(mut step) = step.ok().flatten() else { return };
        if self.removed == Removed::Inside {
            step.places = step.places.map(|moving| Moving { quantity: step.next.quantity, ..moving });
        }
        match step.next.state {
            // Without an arbiter nobody is asked: who did not pay until now is taken to be one who did not pay.
            OrderState::Expiring if self.removed.arbiter() => {
                let ended = step.next.handle(Input::PaymentCancelled, sale.now()).ok().flatten();
                ended.into_iter().for_each(|step| sale.write(step));
            }
            _ => sale.write(step),
        }
    }

    pub(super) fn hear_payment(&self, sale: &mut Sale, input: Input, again: bool) {
        self.inform(sale, input);
        // The listener has this told again as long as the places are being taken back.
        let early = input == Input::MoneyReturned && sale.is_in(&[OrderState::Reacquiring]);
        if !again && !early {
            sale.to_orders.retain(|waiting| *waiting != input);
        }
    }

    pub(super) fn hear_due(&self, sale: &mut Sale, again: bool) {
        self.inform(sale, Input::DeadlinePassed);
        sale.deadline.due = again;
    }

    /// The movements of the order that was asked for, and of those whose keys are noted.
    pub(super) fn consider(&self, state: &mut State, desk: usize) {
        let Desk::Read { buyer: wanted } = state.desks[desk] else { return };
        let noted = |buyer: usize| state.inventory.settled.iter().any(|key| key.order_id == self.orders[buyer].id);
        let read = (0..self.orders.len()).filter(|buyer| *buyer == wanted || noted(*buyer));
        let movements = read.flat_map(|buyer| state.sales[buyer].movements.clone()).collect();
        state.desks[desk] = Desk::Considered { movements };
    }

    pub(super) fn settled(&self, state: &State, movements: Vec<Movement>) -> (Inventory, Vec<(Movement, bool)>) {
        let mut next = Inventory::clone(&state.inventory);
        next.forget_movements(&movements);
        let settle = |movement: Movement| {
            if self.removed == Removed::SettledOnce {
                next.settled.clear();
            }
            (next.settle(&movement), movement)
        };
        let made = movements.into_iter().map(settle).map(|(granted, movement)| (movement, granted)).collect();
        (next, made)
    }

    pub(super) fn write_inventory(&self, state: &mut State, desk: usize) {
        let Desk::Considered { movements } = std::mem::replace(&mut state.desks[desk], Desk::Idle) else { return };
        let (next, made) = self.settled(state, movements);
        if next != *state.inventory {
            self.save(state, next);
        }
        if !made.is_empty() {
            let told = !made.iter().any(|(movement, _)| movement.places == Move::Reacquire);
            state.desks[desk] = Desk::Made { movements: made, told };
        }
    }

    pub(super) fn tell_orders(&self, state: &mut State, desk: usize) {
        let Desk::Made { movements, told } = &mut state.desks[desk] else { return };
        *told = true;
        let answers: Vec<_> =
            movements.iter().filter(|(movement, _)| movement.places == Move::Reacquire).cloned().collect();
        for (movement, granted) in answers {
            let input = if granted { Input::PlacesGranted } else { Input::PlacesDenied };
            state.alter(self.buyer_of(&movement), |sale| self.inform(sale, input));
        }
    }

    pub(super) fn clear_movements(&self, state: &mut State, desk: usize) {
        let Desk::Made { movements, .. } = std::mem::replace(&mut state.desks[desk], Desk::Idle) else { return };
        for (made, _) in movements {
            state.alter(self.buyer_of(&made), |sale| sale.movements.retain(|movement| movement.key != made.key));
        }
    }

    fn buyer_of(&self, movement: &Movement) -> usize {
        self.orders
            .iter()
            .position(|order| order.id == movement.order_id)
            .expect("every movement is of one of the orders")
    }
}
