//! The inventory of a listing: how many of its places are held and sold. Pure: no clock, no I/O.
//!
//! It never counts more places held and sold than there are. A change of an order moves places exactly once, because the
//! move stands in the order until the inventory has it, and in `settled` until it is gone from the order. A hold counts
//! once, because it stands in `pending` until its order is stored, and one that is pending is not taken again.

use common::clock::Time;
use common::events::InventoryEvent;
use common::events::inventory::InventoryChanged;
use common::id::{OrderId, TicketId, UserId};
use common::money::Money;
use serde::{Deserialize, Serialize};

use crate::order::{Move, Order};

/// A hold that the inventory has taken and whose order may not be stored yet.
#[derive(Clone, Debug, PartialEq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PendingHold {
    /// The order to be.
    pub order_id: OrderId,
    /// Who buys.
    pub buyer_id: UserId,
    /// How many places.
    pub quantity: u32,
    /// The price of one, as it was then.
    pub unit_price: Money,
    /// When they were taken.
    pub at: Time,
    /// Until when.
    pub expires_at: Time,
}

impl PendingHold {
    /// The hold that an order to be asks for.
    pub fn of(order: &Order) -> Self {
        Self {
            order_id: order.id,
            buyer_id: order.buyer_id,
            quantity: order.quantity,
            unit_price: order.unit_price,
            at: order.created_at,
            expires_at: order.expires_at,
        }
    }
}

/// Places to be moved because an order changed.
#[derive(Clone, Debug, PartialEq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Movement {
    /// `<order>:<version of the order that asked for it>`.
    pub key: String,
    /// The order.
    pub order_id: OrderId,
    /// Which way.
    pub places: Move,
    /// How many.
    pub quantity: u32,
    /// Since when it waits.
    pub at: Time,
}

/// A movement that was made and may still stand in its order.
#[derive(Clone, Debug, PartialEq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Settled {
    /// The movement's key.
    pub key: String,
    /// Its order.
    pub order_id: OrderId,
    /// False only where places were wanted back and none were left.
    pub granted: bool,
}

/// Not as many places are left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("only {left} places are left")]
pub struct SoldOut {
    /// How many are.
    pub left: u32,
}

/// The places of one listing.
#[derive(Clone, Debug, PartialEq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Inventory {
    /// The listing.
    pub ticket_id: TicketId,
    /// The version of the listing that was the last to change it.
    #[serde(default)]
    pub listing_version: i64,
    /// How many places there are.
    pub capacity: u32,
    /// How many are held by orders not yet paid.
    pub held: u32,
    /// How many are sold.
    pub sold: u32,
    /// Whether new holds are taken.
    pub on_sale: bool,
    /// Holds whose orders may not be stored yet.
    pub pending: Vec<PendingHold>,
    /// Movements that may still stand in their orders.
    pub settled: Vec<Settled>,
}

impl Inventory {
    /// All places of a new listing are free.
    pub fn new(ticket_id: TicketId, capacity: u32) -> Self {
        Self {
            ticket_id,
            listing_version: 1,
            capacity,
            held: 0,
            sold: 0,
            on_sale: true,
            pending: Vec::new(),
            settled: Vec::new(),
        }
    }

    /// How many places are free.
    pub fn left(&self) -> u32 {
        self.capacity.saturating_sub(self.held.saturating_add(self.sold))
    }

    /// The event that tells its counts.
    pub fn changed(&self) -> InventoryEvent {
        let Self { ticket_id, capacity, held, sold, on_sale, .. } = *self;
        InventoryChanged { ticket_id, capacity, held, sold, on_sale }.into()
    }

    /// The hold of an order whose places are taken and which may not be stored yet.
    pub fn pending_of(&self, order: OrderId) -> Option<&PendingHold> {
        self.pending.iter().find(|hold| hold.order_id == order)
    }

    /// Takes places for an order to be. A hold that is pending already has its places, and takes no more.
    ///
    /// # Errors
    /// If fewer are left than wanted; nothing is taken then.
    pub fn hold(&mut self, hold: PendingHold) -> Result<(), SoldOut> {
        if self.pending_of(hold.order_id).is_some() {
            return Ok(());
        }
        self.take(hold.quantity)?;
        self.held = self.held.saturating_add(hold.quantity);
        self.pending.push(hold);
        Ok(())
    }

    /// Drops holds whose orders are stored.
    pub fn forget_holds(&mut self, stored: &[OrderId]) {
        self.pending.retain(|hold| !stored.contains(&hold.order_id));
    }

    /// Drops the keys of movements that their orders have no more; `standing` is what the noted orders still have.
    pub fn forget_movements(&mut self, standing: &[Movement]) {
        self.settled.retain(|settled| standing.iter().any(|movement| movement.key == settled.key));
    }

    /// Moves places as an order's change demands, once: whether it was granted, now or before.
    pub fn settle(&mut self, movement: &Movement) -> bool {
        if let Some(before) = self.settled.iter().find(|settled| settled.key == movement.key) {
            return before.granted;
        }
        let granted = self.shift(movement.places, movement.quantity);
        self.settled.push(Settled { key: movement.key.clone(), order_id: movement.order_id, granted });
        granted
    }

    /// Sets the number of places, but never below what is held and sold.
    pub fn resize(&mut self, capacity: u32) {
        self.capacity = capacity.max(self.held.saturating_add(self.sold));
    }

    fn shift(&mut self, places: Move, quantity: u32) -> bool {
        match places {
            Move::Release => self.held = self.held.saturating_sub(quantity),
            Move::Sell => {
                self.held = self.held.saturating_sub(quantity);
                self.sold = self.sold.saturating_add(quantity);
            }
            Move::Return => self.sold = self.sold.saturating_sub(quantity),
            Move::Reacquire => {
                if self.take(quantity).is_err() {
                    return false;
                }
                self.sold = self.sold.saturating_add(quantity);
            }
        }
        true
    }

    fn take(&self, quantity: u32) -> Result<(), SoldOut> {
        let left = if self.on_sale { self.left() } else { 0 };
        if quantity <= left { Ok(()) } else { Err(SoldOut { left }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::money::Currency;
    use proptest::prelude::*;

    fn inventory(capacity: u32) -> Inventory {
        Inventory::new(TicketId::generate(Time::from_millis(1)), capacity)
    }

    fn pending(quantity: u32) -> PendingHold {
        let at = Time::from_millis(1);
        let unit_price = Money::from_minor(100, Currency::USD).unwrap();
        PendingHold {
            order_id: OrderId::generate(at),
            buyer_id: UserId::generate(at),
            quantity,
            unit_price,
            at,
            expires_at: at,
        }
    }

    fn movement(key: u8, places: Move, quantity: u32) -> Movement {
        let at = Time::from_millis(1);
        Movement { key: key.to_string(), order_id: OrderId::generate(at), places, quantity, at }
    }

    #[test]
    fn the_last_places_go_to_who_wants_no_more_than_are_left() {
        let mut inventory = inventory(3);
        assert_eq!(inventory.hold(pending(2)), Ok(()));
        assert_eq!(inventory.hold(pending(2)), Err(SoldOut { left: 1 }));
        assert_eq!(inventory.hold(pending(1)), Ok(()));
        assert_eq!(inventory.left(), 0);
    }

    #[test]
    fn a_hold_that_is_pending_counts_once() {
        let mut inventory = inventory(3);
        let hold = pending(2);
        assert_eq!(inventory.hold(hold.clone()), Ok(()));
        assert_eq!(inventory.hold(hold.clone()), Ok(()), "although fewer are left than it has");
        assert_eq!((inventory.held, inventory.pending.len()), (2, 1));
        inventory.forget_holds(&[hold.order_id]);
        assert_eq!((inventory.held, inventory.pending_of(hold.order_id)), (2, None));
    }

    #[test]
    fn a_movement_counts_once() {
        let mut inventory = inventory(3);
        inventory.hold(pending(2)).unwrap();
        assert!(inventory.settle(&movement(1, Move::Sell, 2)));
        assert!(inventory.settle(&movement(1, Move::Sell, 2)));
        assert_eq!((inventory.held, inventory.sold), (0, 2));
        assert!(!inventory.settle(&movement(2, Move::Reacquire, 2)));
        assert!(inventory.settle(&movement(3, Move::Return, 2)));
        assert!(!inventory.settle(&movement(2, Move::Reacquire, 2)), "an answer once given stays");
        assert_eq!(inventory.left(), 3);
    }

    #[test]
    fn capacity_never_falls_below_what_is_taken() {
        let mut inventory = inventory(5);
        inventory.hold(pending(4)).unwrap();
        inventory.resize(2);
        assert_eq!((inventory.capacity, inventory.left()), (4, 0));
    }

    proptest! {
        #[test]
        fn never_more_held_and_sold_than_there_are(
            capacity in 0_u32..20,
            steps in proptest::collection::vec((0_u8..6, 1_u32..5, 0_u8..12), 0..60),
        ) {
            let mut inventory = inventory(capacity);
            for (what, quantity, key) in steps {
                match what {
                    0 | 1 => drop(inventory.hold(pending(quantity))),
                    2 => inventory.resize(quantity),
                    3 if inventory.held >= quantity => drop(inventory.settle(&movement(key, Move::Sell, quantity))),
                    4 if inventory.held >= quantity => drop(inventory.settle(&movement(key, Move::Release, quantity))),
                    _ => drop(inventory.settle(&movement(key, Move::Reacquire, quantity))),
                }
                prop_assert!(inventory.held + inventory.sold <= inventory.capacity);
            }
        }
    }
}
