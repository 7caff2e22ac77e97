//! How much of a listing one person may have without paying. Pure: no clock, no I/O.
//!
//! What a person holds unpaid of a listing in all is at most what one order may have, or else one account could hold a whole
//! sale. Of what is free the tickets count as well until they are given back, or else it could take a whole show.
//!
//! Who has let holds of a listing run out within the last hour waits before the next one, twice as long with each
//! further hold, or else the same account could hold the places again after each deadline. A hold that was given up in the
//! second half of its time counts like one that ran out, or else the account would give it up just before the deadline. One that
//! was given up sooner counts as the part of its time that it took, and a fifth at the least, or else the account would give it
//! up a little sooner, or thousands a minute. But people change their mind: with the first three
//! no pause begins, unless a hold runs out.

use std::ops::Range;
use std::time::Duration;

use common::backoff::Backoff;
use common::clock::Time;
use common::id::{OrderId, TicketId, UserId};
use common::money::Money;
use common::settings::Settings;
use serde::de::{IntoDeserializer as _, value};
use serde::{Deserialize, Deserializer};

use crate::inventory::PendingHold;
use crate::order::{HELD, Order, OrderState};

/// So long a hold counts that was let run out or given up.
pub(crate) const REMEMBERED: Duration = Duration::from_secs(3600);

/// What a hold that ran out counts, in thousandths.
const WHOLE: u64 = 1000;

/// The least that one counts that was given up.
const LEAST: u64 = WHOLE / 5;

/// With so many that were given up soon no pause begins.
const CHANGES_OF_MIND: usize = 3;

/// The limits of an installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HoldLimits {
    /// The places a person may have unpaid of a listing that has no limit of its own; 0 if any number, of every listing.
    pub(crate) unpaid_places: u32,
    /// After how many holds that were let run out a person waits; 0 if never.
    pub(crate) pause_after: u32,
    /// How long the first time.
    pub(crate) pause: Duration,
}

/// Why a hold is one too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TooMany {
    /// Of places that are held and not paid.
    #[error("you hold {held} unpaid places of this ticket and may hold {limit}: pay for them or give them up first")]
    Places { held: u32, limit: u32 },
    /// Of places in one order.
    #[error("you may hold at most {limit} unpaid places of this ticket")]
    AtOnce { limit: u32 },
    /// Of tickets that cost nothing, or are about to be had for nothing.
    #[error("{}", of_free(*has, *limit))]
    Free { has: u32, limit: u32 },
    /// Of holds that were let run out or given up.
    #[error("you let several holds of this ticket run out, or gave many up, and may hold places again in {}", minutes(*wait))]
    RunOut { wait: Duration },
}

fn minutes(wait: Duration) -> String {
    match wait.as_secs().div_ceil(60) {
        0 | 1 => "a minute".to_owned(),
        minutes => format!("{minutes} minutes"),
    }
}

fn of_free(has: u32, limit: u32) -> String {
    match has {
        0 => format!("one person may have at most {limit} of the free tickets of this show"),
        1 => format!("you have 1 free ticket of this show already and may have {limit}"),
        has => format!("you have {has} free tickets of this show already and may have {limit}"),
    }
}

/// What somebody wants to hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) quantity: u32,
    /// Whether it costs nothing.
    pub(crate) is_free: bool,
}

impl From<&Order> for Wanted {
    fn from(order: &Order) -> Self {
        Self { quantity: order.quantity, is_free: order.is_free() }
    }
}

/// What is known of an order that a person has of a listing.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Standing {
    #[serde(rename = "_id")]
    pub(crate) id: OrderId,
    pub(crate) ticket_id: TicketId,
    pub(crate) buyer_id: UserId,
    #[serde(deserialize_with = "or_holding")]
    pub(crate) state: OrderState,
    pub(crate) quantity: u32,
    pub(crate) unit_price: Money,
    pub(crate) created_at: Time,
    pub(crate) expires_at: Time,
    #[serde(default)]
    pub(crate) paid_at: Option<Time>,
    #[serde(default)]
    pub(crate) given_up_late_at: Option<Time>,
    #[serde(default)]
    pub(crate) given_up_soon_at: Option<Time>,
    #[serde(default)]
    pub(crate) counts_until: Option<Time>,
}

/// A hold that was let go without having been paid.
#[derive(Clone, Copy)]
struct LetGo {
    at: Time,
    /// What it counts, in thousandths of one that ran out.
    parts: u64,
    soon: bool,
}

/// An order in a state that only a later build knows holds its places, as far as anybody can tell here.
fn or_holding<'de, D: Deserializer<'de>>(deserializer: D) -> Result<OrderState, D::Error> {
    let text = String::deserialize(deserializer)?;
    let known: Result<_, value::Error> = OrderState::deserialize(text.into_deserializer());
    Ok(known.unwrap_or(OrderState::Created))
}

impl Standing {
    /// What a hold of a listing is whose order may not be stored yet.
    pub(crate) fn pending(ticket_id: TicketId, hold: &PendingHold) -> Self {
        let PendingHold { order_id: id, buyer_id, quantity, unit_price, at: created_at, expires_at } = *hold;
        Self {
            id,
            ticket_id,
            buyer_id,
            state: OrderState::Created,
            quantity,
            unit_price,
            created_at,
            expires_at,
            paid_at: None,
            given_up_late_at: None,
            given_up_soon_at: None,
            counts_until: Some(HELD),
        }
    }

    fn holds(&self) -> bool {
        use OrderState::{AwaitingPayment, Created, Expiring};
        matches!(self.state, Created | AwaitingPayment | Expiring) && self.given_up_late_at.is_none()
    }

    /// Whether it has tickets that cost nothing. A build without `countsUntil` leaves it where an order is paid.
    fn is_free_ticket(&self) -> bool {
        self.state == OrderState::Complete && self.counts_until.is_some() && self.unit_price.minor() == 0
    }

    /// How the places were let go, if they were without having been paid: at the deadline or not long before it, or soon.
    fn let_go(&self) -> Option<LetGo> {
        let ran_out = self.given_up_late_at.or_else(|| (self.state == OrderState::Expired).then_some(self.expires_at));
        let soon = || self.given_up_soon_at.map(|at| LetGo { at, parts: self.parts_until(at), soon: true });
        ran_out.map(|at| LetGo { at, parts: WHOLE, soon: false }).or_else(soon)
    }

    /// How much of its time had gone by. A free ticket was no hold any more.
    fn parts_until(&self, at: Time) -> u64 {
        let millis = |until: Time| u64::try_from(until.since(self.created_at).as_millis()).unwrap_or(u64::MAX);
        let gone_by = millis(at).saturating_mul(WHOLE) / millis(self.expires_at).max(1);
        if self.paid_at.is_some() { LEAST } else { gone_by.clamp(LEAST, WHOLE) }
    }
}

impl HoldLimits {
    /// As the operator wants them.
    pub(crate) fn of(settings: &Settings) -> Self {
        Self {
            unpaid_places: settings.hold_unpaid_places,
            pause_after: settings.hold_pause_after,
            pause: settings.hold_pause(),
        }
    }

    /// The limit for a listing, if there is one.
    pub(crate) fn of_listing(&self, per_order: Option<u32>) -> Option<u32> {
        (self.unpaid_places > 0).then(|| per_order.unwrap_or(self.unpaid_places))
    }

    /// Whether what a person has may be asked for at all.
    pub(crate) fn ask(&self) -> bool {
        self.unpaid_places > 0 || self.pauses()
    }

    /// Until when an order must count to be of interest to somebody who waits since `since`, so that what nobody limits is not
    /// read either. The limits themselves see to it that a person has no more of a listing in this range than they allow, but for
    /// free tickets of a time without them.
    pub(crate) fn counting(&self, since: Time) -> Range<Time> {
        let moment = Duration::from_millis(1);
        let from = if self.pauses() { since + moment } else { HELD };
        from..if self.unpaid_places > 0 { HELD + moment } else { HELD }
    }

    fn pauses(&self) -> bool {
        self.pause_after > 0 && !self.pause.is_zero()
    }

    /// Whether somebody with these orders of the listing may hold more. Free tickets keep nobody from what is paid.
    ///
    /// # Errors
    /// [`TooMany`].
    pub(crate) fn allow(&self, has: &[Standing], wanted: Wanted, limit: Option<u32>, now: Time) -> Result<(), TooMany> {
        let Wanted { quantity, is_free } = wanted;
        let counts = |order: &&Standing| order.holds() || is_free && order.is_free_ticket();
        let unpaid = has.iter().filter(counts).fold(0_u32, |unpaid, order| unpaid.saturating_add(order.quantity));
        match limit.filter(|limit| unpaid.saturating_add(quantity) > *limit) {
            Some(limit) if is_free => Err(TooMany::Free { has: unpaid, limit }),
            Some(limit) if unpaid > 0 => Err(TooMany::Places { held: unpaid, limit }),
            Some(limit) => Err(TooMany::AtOnce { limit }),
            None => self.allow_again(has, now),
        }
    }

    /// Whether somebody who let these go waits no longer.
    fn allow_again(&self, has: &[Standing], now: Time) -> Result<(), TooMany> {
        let let_go = has.iter().filter_map(Standing::let_go).filter(|one| one.at > now - REMEMBERED);
        let (soon, ran_out): (Vec<LetGo>, Vec<LetGo>) = let_go.partition(|one| one.soon);
        let parts = soon.iter().chain(&ran_out).fold(0_u64, |parts, one| parts.saturating_add(one.parts));
        let begins = Some(soon).filter(|soon| soon.len() > CHANGES_OF_MIND).into_iter().flatten().chain(ran_out);
        // A hold may end before its deadline without anybody's doing, and clocks differ.
        let last = begins.map(|one| one.at.min(now)).max();
        let count = u32::try_from(parts / WHOLE).unwrap_or(u32::MAX);
        match last.map(|last| last + self.pause_for(count)) {
            Some(until) if until > now => Err(TooMany::RunOut { wait: until.since(now) }),
            _ => Ok(()),
        }
    }

    fn pause_for(&self, ran_out: u32) -> Duration {
        let further = ran_out.checked_sub(self.pause_after).filter(|_| self.pauses());
        further.map_or(Duration::ZERO, |further| Backoff::new(self.pause, REMEMBERED).after(further))
    }
}

#[cfg(test)]
mod tests;
