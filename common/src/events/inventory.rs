//! How many places of a listing are held and sold, as the authority over them counts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::domain_events;
use crate::id::TicketId;

domain_events! {
    /// What happens to the places of a listing.
    InventoryEvent in "inventory", newest says all: true {
        Changed(InventoryChanged) = "inventory.changed", 1;
    }
}

/// The counts of a listing changed. Carries the state after the change: the newest one is the truth, older ones may be dropped.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InventoryChanged {
    /// The listing.
    pub ticket_id: TicketId,
    /// How many places there are in all.
    pub capacity: u32,
    /// How many of them are held by orders not yet paid.
    pub held: u32,
    /// How many of them are sold.
    pub sold: u32,
    /// Whether new holds are taken.
    pub on_sale: bool,
}
