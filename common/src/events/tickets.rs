//! The catalogue: what is on sale.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::domain_events;
use crate::clock::Time;
use crate::id::{TicketId, UserId};
use crate::money::Money;
use crate::open_enum::open_enum;
use crate::zone::Zone;

domain_events! {
    /// What happens to a listing.
    TicketEvent in "tickets", snapshot: "ticket.snapshot" {
        Created(TicketCreated) = "ticket.created", 1;
        Updated(TicketUpdated) = "ticket.updated", 1;
        Withdrawn(TicketWithdrawn) = "ticket.withdrawn", 1;
        Snapshot(TicketSnapshot) = "ticket.snapshot", 1;
    }
}

open_enum! {
    /// Until when a buyer may give a paid order back for the full price.
    pub enum RefundPolicy {
        /// Until the show starts; at any time if it has no start.
        UntilStart = "until_start",
        /// At any time.
        Always = "always",
        /// Not at all, unless the seller grants it.
        Never = "never",
    }
    default UntilStart;
}

/// The whole of a listing as others need it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Listing {
    /// The listing.
    pub ticket_id: TicketId,
    /// Who sells it.
    pub seller_id: UserId,
    /// What is shown.
    pub title: String,
    /// The price of one place.
    pub price: Money,
    /// How many places there are in all.
    pub quantity: u32,
    /// The most places one order may hold.
    pub per_order_limit: Option<u32>,
    /// Where it takes place.
    pub venue: Option<String>,
    /// When it starts.
    pub starts_at: Option<Time>,
    /// In which time zone it takes place, if the seller says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<Zone>,
    /// When its sale ends, if the seller says so; at the start where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sale_ends_at: Option<Time>,
    /// Whether paid orders may be given back.
    pub refund_policy: RefundPolicy,
    /// Whether it is off sale because the account of its seller was closed. Orders that exist stay as they are.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspended: bool,
}

impl Listing {
    /// When its sale ends: when the seller says, else when it starts; never if it has no start.
    pub fn sale_end(&self) -> Option<Time> {
        self.sale_ends_at.or(self.starts_at)
    }

    /// Whether its sale has ended by itself at `now`.
    pub fn sale_is_over(&self, now: Time) -> bool {
        sale_is_over(self.sale_end(), now)
    }
}

/// Whether a sale that ends at `end`, if ever, has ended by itself at `now`.
pub fn sale_is_over(end: Option<Time>, now: Time) -> bool {
    end.is_some_and(|end| now >= end)
}

/// A listing went on sale.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TicketCreated {
    /// The listing.
    #[serde(flatten)]
    pub listing: Listing,
}

/// A listing changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TicketUpdated {
    /// The listing after the change.
    #[serde(flatten)]
    pub listing: Listing,
}

/// A listing was taken from sale. Orders that exist stay as they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TicketWithdrawn {
    /// The listing.
    pub ticket_id: TicketId,
    /// Who sold it.
    pub seller_id: UserId,
}

/// The present state of a listing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TicketSnapshot {
    /// The listing.
    #[serde(flatten)]
    pub listing: Listing,
    /// Whether it was taken from sale.
    pub withdrawn: bool,
}
