//! What came of a listing: its orders, its money, its days. Pure: no clock, no I/O.
//!
//! Revenue is what buyers have paid and not got back, of orders that are complete: what is about to go back is no revenue
//! any more. It stands on the day on which the order was paid.

use std::collections::BTreeMap;

use common::clock::Time;
use common::events::payments::DisputeStanding;
use common::money::Currency;
use common::zone::{Day, Zone};
use serde::{Deserialize, Serialize};

use crate::order::OrderState;

/// How many days are told apart, the current one among them.
pub const DAYS: i64 = 30;

/// Orders of one listing that have the same state and currency, and were paid in the same quarter of an hour.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    /// Their state.
    pub state: OrderState,
    /// The currency of their totals.
    pub currency: Currency,
    /// When the quarter began. Every day of every zone begins with a quarter. None for what was paid before the first of
    /// the days, or is not complete.
    pub quarter: Option<Time>,
    /// How many there are.
    pub orders: i64,
    /// How many places they have.
    pub places: i64,
    /// Their totals, in minor units.
    pub total: i64,
    /// What of it went back, in minor units.
    pub returned: i64,
    /// How many of their passes were used.
    pub admitted: i64,
}

/// Orders of one listing whose disputes stand alike, in one currency.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Disputed {
    /// How they stand.
    pub standing: DisputeStanding,
    /// The currency of their totals.
    pub currency: Currency,
    /// How many there are.
    pub orders: i64,
    /// What of their totals has not gone back, in minor units.
    pub total: i64,
}

/// How many orders of a listing are disputed at the buyers' banks, and about how much money.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DisputeCounts {
    /// Undecided.
    pub open: i64,
    /// What the orders of the undecided cost, less what went back, in minor units. It is part of the revenue until it is lost.
    pub open_total: i64,
    /// Decided for the seller.
    pub won: i64,
    /// Decided for the buyer: that money is no revenue.
    pub lost: i64,
}

impl DisputeCounts {
    /// The sum of a listing's disputes. Money in another currency than the listing's is not added up with it.
    pub fn of(disputed: &[Disputed], currency: Currency) -> Self {
        let mut counts = Self::default();
        for Disputed { standing, currency: own, orders, total } in disputed {
            match standing {
                DisputeStanding::Won => counts.won += orders,
                DisputeStanding::Lost => counts.lost += orders,
                // What only a newer build knows is not known to be decided.
                DisputeStanding::Open | DisputeStanding::Inquiry | DisputeStanding::Unknown(_) => {
                    counts.open += orders;
                    counts.open_total += if *own == currency { *total } else { 0 };
                }
            }
        }
        counts
    }
}

impl Group {
    fn revenue(&self) -> i64 {
        self.total - self.returned
    }
}

/// How many orders there are of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct OrderCounts {
    /// Undecided: places are held, or paid late and wanted back.
    pub held: i64,
    /// Complete, with valid passes.
    pub paid: i64,
    /// The money went back, or is about to.
    pub refunded: i64,
    /// Over without money: expired or cancelled.
    pub ended: i64,
}

impl OrderCounts {
    fn add(&mut self, state: OrderState, orders: i64) {
        let count = match state {
            OrderState::Created | OrderState::AwaitingPayment | OrderState::Expiring | OrderState::Reacquiring => {
                &mut self.held
            }
            OrderState::Complete => &mut self.paid,
            OrderState::Refunding | OrderState::Refunded => &mut self.refunded,
            OrderState::Expired | OrderState::Cancelled => &mut self.ended,
        };
        *count += orders;
    }
}

/// What was sold on one day and is still sold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DaySales {
    /// The day.
    pub day: Day,
    /// How many places.
    pub places: i64,
    /// For how much, in minor units.
    pub revenue: i64,
}

/// What came of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sales {
    /// Its orders.
    pub orders: OrderCounts,
    /// Its revenue, in minor units.
    pub revenue: i64,
    /// How many passes were used.
    pub checked_in: i64,
    /// The last [`DAYS`] days, without a gap, the oldest first.
    pub days: Vec<DaySales>,
}

/// When the first of the last [`DAYS`] days began.
pub fn first_moment(zone: &Zone, now: Time) -> Time {
    zone.start_of(back(zone.day_of(now), DAYS - 1))
}

/// The day so many days before; the first that there is, if there are not so many.
fn back(day: Day, days: i64) -> Day {
    day.saturating_sub(jiff::Span::new().days(days))
}

impl Sales {
    /// The sum of a listing's orders. `currency` is that of the listing: should there be orders of another one, from before
    /// the seller changed it, their money is not added up with it.
    pub fn of(groups: &[Group], currency: Currency, zone: &Zone, now: Time) -> Self {
        let today = zone.day_of(now);
        let mut days: BTreeMap<Day, (i64, i64)> = (0..DAYS).map(|ago| (back(today, ago), (0, 0))).collect();
        let mut orders = OrderCounts::default();
        let (mut revenue, mut checked_in) = (0, 0);
        for group in groups {
            orders.add(group.state, group.orders);
            checked_in += group.admitted;
            if group.state != OrderState::Complete || group.currency != currency {
                continue;
            }
            revenue += group.revenue();
            if let Some((places, of_day)) = group.quarter.and_then(|at| days.get_mut(&zone.day_of(at))) {
                *places += group.places;
                *of_day += group.revenue();
            }
        }
        let days = days.into_iter().map(|(day, (places, revenue))| DaySales { day, places, revenue }).collect();
        Self { orders, revenue, checked_in, days }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Time {
        text.parse().unwrap()
    }

    fn paid(quarter: Option<&str>, places: i64, total: i64) -> Group {
        let (state, currency, quarter) = (OrderState::Complete, Currency::USD, quarter.map(at));
        Group { state, currency, quarter, orders: 1, places, total, returned: 0, admitted: 0 }
    }

    fn sales(groups: &[Group], zone: &str, now: &str) -> Sales {
        Sales::of(groups, Currency::USD, &Zone::parse(zone).unwrap(), at(now))
    }

    #[test]
    fn an_empty_listing_has_thirty_empty_days() {
        let none = sales(&[], "UTC", "2026-03-15T12:00:00Z");
        let days: Vec<String> = none.days.iter().map(|day| day.day.to_string()).collect();
        assert_eq!((days.len(), days[0].as_str(), days[29].as_str()), (30, "2026-02-14", "2026-03-15"));
        assert!(none.days.iter().all(|day| (day.places, day.revenue) == (0, 0)));
        assert_eq!((none.orders, none.revenue), (OrderCounts::default(), 0));
    }

    #[test]
    fn a_day_is_that_of_the_business() {
        let groups = [paid(Some("2026-11-20T22:45:00Z"), 1, 100), paid(Some("2026-11-20T23:00:00Z"), 2, 200)];
        let of = |zone| {
            let sales = sales(&groups, zone, "2026-11-21T12:00:00Z");
            let days = sales.days.into_iter().rev().take(2).map(|day| (day.places, day.revenue));
            days.collect::<Vec<_>>()
        };
        assert_eq!(of("UTC"), [(0, 0), (3, 300)]);
        assert_eq!(of("Europe/Rome"), [(2, 200), (1, 100)]);
        assert_eq!(of("Asia/Kathmandu"), [(3, 300), (0, 0)]);
    }

    #[test]
    fn the_first_day_is_whole_although_the_clocks_changed_since() {
        let rome = Zone::parse("Europe/Rome").unwrap();
        let first = first_moment(&rome, at("2026-11-10T12:00:00Z"));
        assert_eq!(first, at("2026-10-11T22:00:00Z"), "midnight of summer time");
        let days = sales(&[paid(Some("2026-10-11T22:00:00Z"), 1, 100)], "Europe/Rome", "2026-11-10T12:00:00Z").days;
        assert_eq!((days.len(), days[0].revenue), (30, 100));
    }

    #[test]
    fn what_went_back_or_is_about_to_is_no_revenue() {
        let part = Group { returned: 30, admitted: 1, ..paid(Some("2026-11-21T10:00:00Z"), 1, 100) };
        let refunding = Group { state: OrderState::Refunding, admitted: 1, ..paid(None, 1, 100) };
        let expired = Group { state: OrderState::Expired, orders: 7, ..paid(None, 7, 700) };
        let late = Group { state: OrderState::Reacquiring, ..paid(None, 1, 100) };
        let sums = sales(&[part, refunding, expired, late], "UTC", "2026-11-21T12:00:00Z");
        assert_eq!(sums.orders, OrderCounts { held: 1, paid: 1, refunded: 1, ended: 7 });
        assert_eq!((sums.revenue, sums.checked_in, sums.days[29].revenue), (70, 2, 70));
    }

    #[test]
    fn old_sales_count_but_have_no_day_and_other_money_is_kept_apart() {
        let euros = Group { currency: Currency::parse("eur").unwrap(), ..paid(None, 1, 999) };
        let sums = sales(&[paid(None, 2, 500), euros], "UTC", "2026-11-21T12:00:00Z");
        assert_eq!((sums.revenue, sums.orders.paid), (500, 2));
        assert_eq!(sums.days.iter().map(|day| day.revenue).sum::<i64>(), 0);
    }
}
