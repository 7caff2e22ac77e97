//! Where a listing stands in the catalogue: what can be bought and comes soonest stands in front.

use common::clock::Time;
use serde::{Deserialize, Serialize};

use crate::fields::StartsAt;

/// A position in the catalogue; the front is the smallest. Within a rank, what is sold out stands behind the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Shelf {
    /// Which part of the catalogue.
    pub rank: i32,
    /// The order within the part.
    pub order: i64,
}

impl Shelf {
    /// The part of what is still to come, soonest first, then what has no date.
    pub const UPCOMING: i32 = 0;
    /// The part of what has started, latest first.
    pub const STARTED: i32 = 1;
    /// The part of what was taken from sale, latest first, then what has no date.
    pub const WITHDRAWN: i32 = 2;

    /// The order of what has no date: it stands at the end of its part.
    pub const UNDATED: i64 = i64::MAX;

    /// Where a listing on sale stands at the time `now`.
    pub fn of(starts_at: Option<StartsAt>, now: Time) -> Self {
        match starts_at.map(StartsAt::time) {
            None => Self { rank: Self::UPCOMING, order: Self::UNDATED },
            Some(start) if start >= now => Self { rank: Self::UPCOMING, order: start.millis() },
            Some(start) => Self { rank: Self::STARTED, order: -start.millis() },
        }
    }

    /// Where a listing stands that was taken from sale.
    pub fn withdrawn(starts_at: Option<StartsAt>) -> Self {
        let order = starts_at.map_or(Self::UNDATED, |start| -start.time().millis());
        Self { rank: Self::WITHDRAWN, order }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(millis: i64) -> Option<StartsAt> {
        StartsAt::parse(Time::from_millis(millis)).ok()
    }

    fn at_100(starts_at: Option<StartsAt>) -> Shelf {
        Shelf::of(starts_at, Time::from_millis(100))
    }

    #[test]
    fn soonest_first_then_undated_then_started_then_withdrawn() {
        let shelves = [
            at_100(start(100)),
            at_100(start(200)),
            at_100(None),
            at_100(start(99)),
            at_100(start(50)),
            Shelf::withdrawn(start(200)),
            Shelf::withdrawn(None),
        ];
        assert!(shelves.is_sorted(), "{shelves:?}");
    }
}
