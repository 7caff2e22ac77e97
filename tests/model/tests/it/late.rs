//! Writes of the inventory that a desk gives up: their answers are lost, and they land later or never.

use orders::inventory::{Inventory, PendingHold};

use super::state::{Desk, Shared, State};
use super::world::{Removed, World};

impl World {
    /// The first request for a hold ends without an answer.
    pub(super) fn lose_hold(&self, state: &mut State, buyer: usize) {
        let mut next = Inventory::clone(&state.inventory);
        if next.hold(PendingHold::of(&self.orders[buyer])).is_ok() {
            Self::give_up(state, next);
            state.alter(buyer, |sale| sale.unanswered = true);
        }
    }

    /// A desk ends a settlement without an answer; the movements still stand in their orders.
    pub(super) fn lose_settlement(&self, state: &mut State, desk: usize) {
        let Desk::Considered { movements } = std::mem::replace(&mut state.desks[desk], Desk::Idle) else { return };
        let (next, _) = self.settled(state, movements);
        if next != *state.inventory {
            Self::give_up(state, next);
        }
    }

    fn give_up(state: &mut State, next: Inventory) {
        state.may_be_late -= 1;
        state.late.push(Shared::new(next));
    }

    pub(super) fn land(&self, state: &mut State, nth: usize) {
        let written = Inventory::clone(&state.late.remove(nth));
        self.save(state, written);
    }

    /// Whether the write that was lost has landed or not, it is taken for not made.
    pub(super) fn decide_again(&self, state: &mut State, buyer: usize) {
        let mut next = Inventory { pending: Vec::new(), ..Inventory::clone(&state.inventory) };
        if next.hold(PendingHold::of(&self.orders[buyer])).is_ok() {
            next.pending.splice(0..0, state.inventory.pending.iter().cloned());
            self.save(state, next);
        }
        state.alter(buyer, |sale| sale.unanswered = false);
    }

    pub(super) fn look_up(&self, state: &mut State, desk: usize) {
        let Desk::Asked { buyer } = state.desks[desk] else { return };
        let stored = state.sales[buyer].order.is_some() && self.removed != Removed::LookUp;
        state.desks[desk] = Desk::LookedUp { buyer, stored };
    }

    /// What is stored or pending is held; anything else is held anew.
    pub(super) fn hold_again(&self, state: &mut State, desk: usize) {
        let Desk::LookedUp { buyer, stored } = std::mem::replace(&mut state.desks[desk], Desk::Idle) else { return };
        if stored {
            return;
        }
        let mut next = Inventory::clone(&state.inventory);
        match next.hold(PendingHold::of(&self.orders[buyer])) {
            Ok(()) if next == *state.inventory => {}
            Ok(()) => self.save(state, next),
            Err(_) => state.alter(buyer, |sale| sale.refused = true),
        }
    }
}
