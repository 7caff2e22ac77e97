//! Lanes: what is to be done at Stripe without anybody waiting for it, each kind of work by itself.
//!
//! A lane takes what is due from the store each two seconds, and at once when it is woken or there is more than it took. All
//! replicas take from the same documents; a claim, which compares and sets, lets one of them have each. A lane has a bounded
//! number of calls under way. If all that it tries fails, it tries little and rests for longer and longer: what is due stays
//! due, unclaimed, and is done fast once Stripe is well again. A lane's own times are the stopwatch's, so a clock that is set
//! back does not stop it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::backoff::Backoff;
use tokio::time::Instant;

/// So many are taken in one turn, and so many of them are done side by side.
const BATCH: usize = 200;
pub(crate) const SIDE_BY_SIDE: usize = 16;

/// How often a lane looks if nobody wakes it.
const EVERY: Duration = Duration::from_secs(2);

/// A turn begins nothing after this time, so that a process that stops does not wait for long.
const LONGEST_TURN: Duration = Duration::from_secs(5);

/// How long a lane rests after a turn of failures.
const RESTS: Backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(8));

/// The lanes of payments.
#[derive(Default)]
pub(crate) struct Lanes {
    /// Intents of orders that ended.
    pub(crate) closing: Lane,
    /// Refunds that are decided and not made.
    pub(crate) giving_back: Lane,
    /// Open payments that may have moved unnoticed.
    pub(crate) looking: Lane,
    /// Webhooks that were kept and not handled.
    pub(crate) inbox: Lane,
}

/// One lane.
#[derive(Default)]
pub(crate) struct Lane(Mutex<State>);

#[derive(Default)]
struct State {
    looks_at: Option<Instant>,
    rests_until: Option<Instant>,
    failed_turns: u32,
}

impl Lane {
    /// There is something to do now.
    pub(crate) fn wake(&self) {
        self.state().looks_at = None;
    }

    /// How many may be taken at `now`; none if it is not time for a turn.
    pub(crate) fn begin(&self, now: Instant) -> usize {
        let mut state = self.state();
        let later = |time: Option<Instant>| time.is_some_and(|time| now < time);
        if later(state.looks_at) || later(state.rests_until) {
            return 0;
        }
        state.looks_at = Some(now + EVERY);
        if state.failed_turns > 0 { SIDE_BY_SIDE } else { BATCH }
    }

    /// What a turn came to at `now`.
    pub(crate) fn end(&self, turn: &Turn, now: Instant) {
        let mut state = self.state();
        if turn.is_all_in_vain() {
            state.rests_until = Some(now + RESTS.after(state.failed_turns));
            state.failed_turns += 1;
        } else if turn.done.load(Ordering::Relaxed) > 0 {
            state.failed_turns = 0;
        }
        if turn.left_some.load(Ordering::Relaxed) {
            state.looks_at = None;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What became of the work of one turn.
pub(crate) struct Turn {
    ends_at: Instant,
    left_some: AtomicBool,
    done: AtomicUsize,
    failed: AtomicUsize,
}

impl Turn {
    /// A turn that begins at `now`.
    pub(crate) fn new(now: Instant) -> Self {
        let (done, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { ends_at: now + LONGEST_TURN, left_some: AtomicBool::new(false), done, failed }
    }

    /// Something that is due was not taken.
    pub(crate) fn leaves_some(&self) {
        self.left_some.store(true, Ordering::Relaxed);
    }

    /// Stripe did it.
    pub(crate) fn did(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    /// Stripe failed.
    pub(crate) fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether the turn goes on at `now`: it has not been long, and not all that it tried failed.
    pub(crate) fn goes_on(&self, now: Instant) -> bool {
        let helps = self.done.load(Ordering::Relaxed) > 0 || self.failed.load(Ordering::Relaxed) < SIDE_BY_SIDE;
        helps && now < self.ends_at
    }

    fn is_all_in_vain(&self) -> bool {
        self.done.load(Ordering::Relaxed) == 0 && self.failed.load(Ordering::Relaxed) > 0
    }
}

#[cfg(test)]
mod tests {
    use common::telemetry::stopwatch;

    use super::*;

    fn turn(now: Instant, did: usize, failed: usize) -> Turn {
        let turn = Turn { done: AtomicUsize::new(did), failed: AtomicUsize::new(failed), ..Turn::new(now) };
        turn.leaves_some();
        turn
    }

    #[test]
    fn a_lane_looks_every_two_seconds_or_when_it_is_woken() {
        let (lane, now) = (Lane::default(), stopwatch());
        assert_eq!(lane.begin(now), BATCH);
        assert_eq!(lane.begin(now + Duration::from_millis(1_999)), 0);
        lane.wake();
        assert_eq!(lane.begin(now + Duration::from_millis(1_999)), BATCH);
    }

    #[test]
    fn a_lane_that_fails_takes_little_and_rests_longer_and_longer_until_one_is_done() {
        let lane = Lane::default();
        let mut now = stopwatch();
        for rest in [500, 1_000, 2_000, 4_000, 8_000, 8_000] {
            assert!(lane.begin(now) > 0);
            lane.end(&turn(now, 0, 16), now);
            lane.wake();
            assert_eq!(lane.begin(now + Duration::from_millis(rest - 1)), 0, "{rest}");
            now += Duration::from_millis(rest);
        }
        assert_eq!(lane.begin(now), SIDE_BY_SIDE);
        lane.end(&turn(now, 1, 15), now);
        assert_eq!(lane.begin(now), BATCH);
    }

    #[test]
    fn a_turn_is_given_up_when_as_many_failed_as_are_done_side_by_side() {
        let now = stopwatch();
        let goes_on = |did, failed| turn(now, did, failed).goes_on(now);
        assert!(goes_on(0, 15) && !goes_on(0, 16) && goes_on(1, 100));
        assert!(!turn(now, 1, 0).goes_on(now + LONGEST_TURN));
    }
}
