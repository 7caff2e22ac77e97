//! A hold: how an order begins, and what the limits count of it.

use common::clock::Time;
use common::events::tickets::Listing;
use common::money::MoneyError;

use super::{Disputing, Order, OrderState, Returned};
use crate::hold_limits::REMEMBERED;
use crate::inventory::PendingHold;

/// Until when the limits count what a person has and has not paid: the last second that has a date of four digits.
pub const HELD: Time = Time::from_millis(253_402_300_799_000);

impl Order {
    /// The order that makes a hold of a listing good.
    ///
    /// # Errors
    /// If its places cost more together than any amount of money. Such a hold is not made.
    pub fn held(listing: &Listing, hold: &PendingHold) -> Result<Self, MoneyError> {
        let PendingHold { order_id: id, buyer_id, quantity, unit_price, at, expires_at } = *hold;
        Ok(Self {
            id,
            ticket_id: listing.ticket_id,
            buyer_id,
            seller_id: listing.seller_id,
            title: listing.title.clone(),
            venue: listing.venue.clone(),
            starts_at: listing.starts_at,
            time_zone: listing.time_zone.clone(),
            refund_policy: listing.refund_policy,
            quantity,
            unit_price,
            total: unit_price.times(quantity)?,
            state: OrderState::Created,
            created_at: at,
            expires_at,
            paid_at: None,
            refund_reason: None,
            passes: Vec::new(),
            admitted: 0,
            short_code: None,
            undone: Vec::new(),
            inside: 0,
            given_up_late_at: None,
            given_up_soon_at: None,
            counts_until: Some(HELD),
            returned: Returned::default(),
            dispute: Disputing::default(),
        })
    }

    /// The same order as an earlier attempt of its request held it: at the price and until the deadline of that moment.
    ///
    /// # Errors
    /// If its places cost more together than any amount of money. Such a hold is not made.
    pub fn held_as(self, hold: &PendingHold) -> Result<Self, MoneyError> {
        let PendingHold { quantity, unit_price, at: created_at, expires_at, .. } = *hold;
        let total = unit_price.times(quantity)?;
        Ok(Self { quantity, unit_price, total, created_at, expires_at, ..self })
    }

    /// The same as its buyer gives it up. It was no hold any more if it is complete.
    pub(super) fn given_up(&self, now: Time) -> Self {
        let late = self.paid_at.is_none() && self.is_late(now);
        let (given_up_late_at, given_up_soon_at) = (late.then_some(now), (!late).then_some(now));
        Self { given_up_late_at, given_up_soon_at, ..self.clone() }
    }

    /// Whether more than half of the hold's time has gone by.
    fn is_late(&self, now: Time) -> bool {
        now.since(self.created_at) > self.expires_at.since(self.created_at) / 2
    }

    /// Until when the limits count it as it is.
    pub(super) fn counted(&self) -> Option<Time> {
        use OrderState::{AwaitingPayment, Complete, Created, Expired, Expiring};
        match self.state {
            Created | AwaitingPayment | Expiring => Some(HELD),
            Complete if self.is_free() => Some(HELD),
            Expired => Some(self.expires_at + REMEMBERED),
            _ => self.given_up_late_at.or(self.given_up_soon_at).map(|at| at + REMEMBERED),
        }
    }
}
