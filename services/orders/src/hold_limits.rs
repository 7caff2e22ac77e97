//! How much of a listing one person may hold without paying. Pure: no clock, no I/O.
//!
//! What a person holds unpaid of a listing in all is at most what one order may have, or else one account could hold a whole
//! sale. Who has let holds of a listing run out within the last hour waits before the next one, twice as long with each
//! further hold, or else the same account could hold the places again after each deadline. A hold that was given up in the
//! second half of its time counts like one that ran out, or else the account would give it up just before the deadline.

use std::time::Duration;

use common::backoff::Backoff;
use common::clock::Time;
use common::id::{OrderId, TicketId, UserId};
use common::settings::Settings;
use serde::de::{IntoDeserializer as _, value};
use serde::{Deserialize, Deserializer};

use crate::inventory::PendingHold;
use crate::order::OrderState;

/// So long a hold that was let run out counts.
pub(crate) const REMEMBERED: Duration = Duration::from_secs(3600);

/// The limits of an installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HoldLimits {
    /// The places a person may hold of a listing that has no limit of its own; 0 if any number, of every listing.
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
    /// Of holds that were let run out.
    #[error("you let several holds of this ticket run out, or gave them up late, and may hold places again in {}", minutes(*wait))]
    RunOut { wait: Duration },
}

fn minutes(wait: Duration) -> String {
    match wait.as_secs().div_ceil(60) {
        0 | 1 => "a minute".to_owned(),
        minutes => format!("{minutes} minutes"),
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
    pub(crate) expires_at: Time,
    #[serde(default)]
    pub(crate) given_up_late_at: Option<Time>,
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
        let PendingHold { order_id: id, buyer_id, quantity, expires_at, .. } = *hold;
        Self { id, ticket_id, buyer_id, state: OrderState::Created, quantity, expires_at, given_up_late_at: None }
    }

    fn holds(&self) -> bool {
        use OrderState::{AwaitingPayment, Created, Expiring};
        matches!(self.state, Created | AwaitingPayment | Expiring) && self.given_up_late_at.is_none()
    }

    /// When the places were let go without having been paid, at the deadline or not long before it.
    fn ran_out_at(&self) -> Option<Time> {
        self.given_up_late_at.or_else(|| (self.state == OrderState::Expired).then_some(self.expires_at))
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

    fn pauses(&self) -> bool {
        self.pause_after > 0 && !self.pause.is_zero()
    }

    /// Whether somebody with these orders of the listing may hold `quantity` places more.
    ///
    /// # Errors
    /// [`TooMany`].
    pub(crate) fn allow(&self, has: &[Standing], quantity: u32, limit: Option<u32>, now: Time) -> Result<(), TooMany> {
        let held: u32 = has.iter().filter(|order| order.holds()).map(|order| order.quantity).sum();
        match limit.filter(|limit| held.saturating_add(quantity) > *limit) {
            Some(limit) if held > 0 => return Err(TooMany::Places { held, limit }),
            Some(limit) => return Err(TooMany::AtOnce { limit }),
            None => {}
        }
        let ran_out = has.iter().filter_map(Standing::ran_out_at).filter(|at| *at > now - REMEMBERED);
        // A hold may end before its deadline without anybody's doing, and clocks differ.
        let ran_out = ran_out.map(|at| at.min(now));
        let (count, last) = ran_out.fold((0, None), |(count, last), at| (count + 1, last.max(Some(at))));
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
mod tests {
    use super::*;

    const NOW: Time = Time::from_millis(100_000_000);
    const MINUTE: Duration = Duration::from_secs(60);
    const LIMITS: HoldLimits = HoldLimits { unpaid_places: 100, pause_after: 2, pause: Duration::from_secs(300) };

    fn order(state: OrderState, quantity: u32, expires_at: Time) -> Standing {
        let (id, ticket_id, buyer_id) = (OrderId::generate(NOW), TicketId::generate(NOW), UserId::generate(NOW));
        Standing { id, ticket_id, buyer_id, state, quantity, expires_at, given_up_late_at: None }
    }

    fn ran_out(minutes_ago: &[u32]) -> Vec<Standing> {
        minutes_ago.iter().map(|ago| order(OrderState::Expired, 1, NOW - MINUTE * *ago)).collect()
    }

    fn waits(limits: HoldLimits, minutes_ago: &[u32]) -> Option<Duration> {
        match limits.allow(&ran_out(minutes_ago), 1, None, NOW) {
            Ok(()) => None,
            Err(TooMany::RunOut { wait }) => Some(wait),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn only_places_that_are_held_and_not_paid_count() {
        use OrderState::{AwaitingPayment, Cancelled, Complete, Created, Expired, Expiring, Refunded};
        let old = NOW - REMEMBERED;
        for state in [Created, AwaitingPayment, Expiring] {
            let has = [order(state, 2, old)];
            assert_eq!(LIMITS.allow(&has, 2, Some(4), NOW), Ok(()), "{state:?}");
            let too_many = Err(TooMany::Places { held: 2, limit: 4 });
            assert_eq!(LIMITS.allow(&has, 3, Some(4), NOW), too_many, "{state:?}");
            assert_eq!(LIMITS.allow(&has, 3, None, NOW), Ok(()), "{state:?}");
        }
        let ended = [Cancelled, Complete, Expired, Refunded].map(|state| order(state, 4, old));
        assert_eq!(LIMITS.allow(&ended, 4, Some(4), NOW), Ok(()));
    }

    #[test]
    fn an_order_in_a_state_of_a_later_build_holds_its_places() {
        let known = order(OrderState::Complete, 2, NOW);
        let stored = bson::doc! { "_id": known.id, "ticketId": known.ticket_id, "buyerId": known.buyer_id, "state": "queued",
        "quantity": 2_i64, "expiresAt": NOW };
        let read: Standing = common::store::from_document(&stored).unwrap();
        assert_eq!(read, Standing { state: OrderState::Created, ..known });
    }

    #[test]
    fn nobody_holds_more_at_once_than_in_all() {
        let at_once = |quantity| LIMITS.allow(&[], quantity, LIMITS.of_listing(None), NOW);
        assert_eq!((at_once(100), at_once(101)), (Ok(()), Err(TooMany::AtOnce { limit: 100 })));
    }

    #[test]
    fn a_hold_that_was_given_up_late_counts_like_one_that_ran_out() {
        let mut has = ran_out(&[40]);
        let given_up = order(OrderState::Cancelled, 1, NOW + MINUTE);
        has.push(given_up.clone());
        assert_eq!(LIMITS.allow(&has, 1, None, NOW), Ok(()), "given up soon");
        has.push(Standing { given_up_late_at: Some(NOW - MINUTE), ..given_up });
        let wait = Err(TooMany::RunOut { wait: 4 * MINUTE });
        assert_eq!(LIMITS.allow(&has, 1, None, NOW), wait, "since it was given up");
    }

    #[test]
    fn a_hold_that_ended_before_its_deadline_makes_nobody_wait_longer_than_the_pause() {
        let early = || order(OrderState::Expired, 1, NOW + MINUTE);
        assert_eq!(LIMITS.allow(&[early()], 1, None, NOW), Ok(()), "it is the first");
        let wait = Err(TooMany::RunOut { wait: LIMITS.pause });
        assert_eq!(LIMITS.allow(&[early(), early()], 1, None, NOW), wait);
        assert_eq!(HoldLimits { pause_after: 0, ..LIMITS }.allow(&[early(), early()], 1, None, NOW), Ok(()));
    }

    #[test]
    fn a_pause_begins_with_the_second_hold_that_ran_out_and_doubles() {
        assert_eq!(waits(LIMITS, &[1]), None);
        assert_eq!(waits(LIMITS, &[1, 40]), Some(MINUTE * 4));
        assert_eq!(waits(LIMITS, &[5, 40]), None);
        assert_eq!(waits(LIMITS, &[5, 20, 40]), Some(MINUTE * 5));
        assert_eq!(waits(LIMITS, &[1, 61]), None, "after an hour it is forgotten");
        assert_eq!(waits(LIMITS, &[1; 50]), Some(MINUTE * 59), "an hour is the most");
    }

    #[test]
    fn a_pause_is_told_in_minutes() {
        let told = |seconds| TooMany::RunOut { wait: Duration::from_secs(seconds) }.to_string();
        assert!(told(30).ends_with("again in a minute") && told(61).ends_with("again in 2 minutes"), "{}", told(61));
    }

    #[test]
    fn zero_turns_a_limit_off() {
        assert_eq!(waits(HoldLimits { pause_after: 0, ..LIMITS }, &[1, 1, 1]), None);
        assert_eq!(waits(HoldLimits { pause: Duration::ZERO, ..LIMITS }, &[1, 1, 1]), None);
        assert_eq!(LIMITS.of_listing(Some(4)), Some(4));
        assert_eq!(LIMITS.of_listing(None), Some(100));
        let none = HoldLimits { unpaid_places: 0, pause_after: 0, pause: Duration::ZERO };
        assert_eq!((none.of_listing(Some(4)), none.ask()), (None, false));
    }
}
