//! How many places of a listing are free, as the authority over them last told.

use common::events::inventory::InventoryChanged;
use serde::{Deserialize, Serialize};

use crate::fields::Quantity;

/// The counts of a listing. After its first version only the authority's events write them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Places {
    /// How many there are.
    pub capacity: u32,
    /// How many are held by orders not yet paid.
    pub held: u32,
    /// How many are sold.
    pub sold: u32,
    /// Whether new holds are taken.
    pub on_sale: bool,
    /// Whether none is free.
    pub sold_out: bool,
    /// The version of the authority's counts; 0 before the first are told.
    pub version: i64,
    #[serde(skip)]
    opening: bool,
}

impl Places {
    /// All places of a new listing are free.
    pub fn opening(quantity: Quantity) -> Self {
        Self { capacity: quantity.get(), held: 0, sold: 0, on_sale: true, sold_out: false, version: 0, opening: true }
    }

    /// The counts that the authority tells as its `version`.
    pub fn told(counts: &InventoryChanged, version: i64) -> Self {
        let InventoryChanged { capacity, held, sold, on_sale, .. } = *counts;
        let sold_out = held.saturating_add(sold) >= capacity;
        Self { capacity, held, sold, on_sale, sold_out, version, opening: false }
    }

    /// Whether they come out of the store, so that writing them again could undo newer ones.
    pub(crate) fn are_stored(&self) -> bool {
        !self.opening
    }

    /// How many are held or sold.
    pub fn taken(&self) -> u32 {
        self.held.saturating_add(self.sold)
    }
}

#[cfg(test)]
pub(crate) fn told(capacity: u32, held: u32, sold: u32, version: i64) -> Places {
    use common::clock::Time;
    use common::id::TicketId;
    let ticket_id = TicketId::generate(Time::from_millis(1));
    Places::told(&InventoryChanged { ticket_id, capacity, held, sold, on_sale: true }, version)
}

#[cfg(test)]
mod tests {
    use common::store::{from_document, to_document};

    use super::*;

    #[test]
    fn it_is_sold_out_when_all_are_held_or_sold() {
        assert!(!told(3, 1, 1, 1).sold_out);
        assert!(told(3, 1, 2, 1).sold_out);
    }

    #[test]
    fn only_the_opening_counts_are_written_with_the_listing() {
        let opening = Places::opening(Quantity::ONE);
        assert!(!opening.are_stored());
        let stored: Places = from_document(&to_document(&opening).unwrap()).unwrap();
        assert!(stored.are_stored());
        assert_eq!(stored.capacity, 1);
    }
}
