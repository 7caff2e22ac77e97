//! Where a listing stands in the catalogue: what can be bought and comes soonest stands in front.

use common::clock::Time;
use common::events::tickets::sale_is_over;
use serde::{Deserialize, Serialize};

use crate::fields::StartsAt;

/// A position in the catalogue; the front is the smallest. Within a rank, what is sold out stands behind the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Shelf {
    /// Which part of the catalogue.
    pub rank: i32,
    /// The order within the part.
    pub order: i64,
    /// Until when it stands there: the end of a sale that goes on. Positions have none, and builds that ended every sale at its
    /// start wrote none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
}

impl Shelf {
    /// The part of what can be bought, soonest first, then what has no date.
    pub const OPEN: i32 = 0;
    /// The part of what has ended, latest first, then what has no date.
    pub const ENDED: i32 = 1;
    /// The part of what was taken from sale, latest first, then what has no date.
    pub const WITHDRAWN: i32 = 2;

    /// The order of what has no date: it stands at the end of its part.
    pub const UNDATED: i64 = i64::MAX;

    /// Where a listing stands at the time `now` that is on sale until `sale_end`.
    pub fn of(starts_at: Option<StartsAt>, sale_end: Option<Time>, now: Time) -> Self {
        if sale_is_over(sale_end, now) {
            return Self::behind(Self::ENDED, starts_at);
        }
        let order = starts_at.map_or(Self::UNDATED, |start| start.time().millis());
        Self { rank: Self::OPEN, order, until: sale_end }
    }

    /// Where a listing stands that was taken from sale, by its seller or because their account was closed.
    pub fn withdrawn(starts_at: Option<StartsAt>) -> Self {
        Self::behind(Self::WITHDRAWN, starts_at)
    }

    fn behind(rank: i32, starts_at: Option<StartsAt>) -> Self {
        let order = starts_at.map_or(Self::UNDATED, |start| -start.time().millis());
        Self { rank, order, until: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(millis: i64) -> Option<StartsAt> {
        StartsAt::parse(Time::from_millis(millis)).ok()
    }

    /// At the time 100, where the sale ends when it starts.
    fn at_100(starts_at: Option<StartsAt>) -> Shelf {
        Shelf::of(starts_at, starts_at.map(StartsAt::time), Time::from_millis(100))
    }

    #[test]
    fn soonest_first_then_undated_then_ended_then_withdrawn() {
        let shelves = [
            at_100(start(101)),
            at_100(start(200)),
            at_100(None),
            at_100(start(100)),
            at_100(start(50)),
            Shelf::withdrawn(start(200)),
            Shelf::withdrawn(None),
        ];
        assert!(shelves.is_sorted(), "{shelves:?}");
    }

    #[test]
    fn what_is_on_sale_stands_in_front_whether_it_has_started_or_not() {
        let of = |end: i64| Shelf::of(start(100), Some(Time::from_millis(end)), Time::from_millis(100));
        assert_eq!([of(99), of(100), of(101)].map(|shelf| shelf.rank), [Shelf::ENDED, Shelf::ENDED, Shelf::OPEN]);
        assert_eq!((of(99).until, of(101).until), (None, Some(Time::from_millis(101))));
    }
}
