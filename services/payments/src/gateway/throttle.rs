//! Calls of Stripe that nobody waits for: how many a process makes in a second, and none for a while after Stripe asked for
//! less.
//!
//! Stripe bounds the calls of an account, those of buyers too. So background calls take a share only, and of that share
//! looks at payments that may have moved unnoticed take a quarter. A buyer's call never waits here. A 429, whoever it is told,
//! stops the background calls of this process for a time that doubles with each further one. That time is the stopwatch's, so a
//! clock that is set back does not lengthen it.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use common::backoff::Backoff;
use common::settings::Settings;
use common::telemetry::stopwatch;
use governor::{DefaultDirectRateLimiter, Quota};
use tokio::time::Instant;

/// Calls a second where the settings do not say: at Stripe, and at a stand-in, which bounds nothing.
const AT_STRIPE: u32 = 20;
const AT_A_STAND_IN: u32 = 400;

/// How long background calls stop after a 429.
const STOPS: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(32));

/// The share of background calls, and whether they stop.
#[derive(Clone)]
pub(super) struct Throttle(Arc<Inner>);

struct Inner {
    calls: DefaultDirectRateLimiter,
    looks: DefaultDirectRateLimiter,
    stop: Mutex<Stop>,
}

#[derive(Default)]
struct Stop {
    until: Option<Instant>,
    refusals: u32,
}

impl Stop {
    fn lasts(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }
}

impl std::fmt::Debug for Throttle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Throttle").finish_non_exhaustive()
    }
}

impl Throttle {
    /// The share that the settings give.
    pub(super) fn new(settings: &Settings) -> Self {
        let usual = if settings.stripe_api_base.is_some() { AT_A_STAND_IN } else { AT_STRIPE };
        Self::with(settings.stripe_background_calls_per_second.unwrap_or(usual))
    }

    fn with(per_second: u32) -> Self {
        let limiter = |calls: u32| {
            DefaultDirectRateLimiter::direct(Quota::per_second(NonZeroU32::new(calls).unwrap_or(NonZeroU32::MIN)))
        };
        let (calls, looks) = (limiter(per_second), limiter(per_second / 4));
        Self(Arc::new(Inner { calls, looks, stop: Mutex::default() }))
    }

    /// Whether a background call may be made, which counts it.
    pub(super) fn may_work(&self) -> bool {
        !self.stops(stopwatch()) && self.0.calls.check().is_ok()
    }

    /// Whether a look may be made, which counts it.
    pub(super) fn may_look(&self) -> bool {
        !self.stops(stopwatch()) && self.0.looks.check().is_ok() && self.0.calls.check().is_ok()
    }

    /// Stripe answered 429.
    pub(super) fn too_many(&self) {
        self.refused(stopwatch());
    }

    fn refused(&self, now: Instant) {
        let mut stop = self.0.stop.lock().unwrap_or_else(PoisonError::into_inner);
        // Calls that were made together are refused together: that is one refusal.
        if !stop.lasts(now) {
            stop.until = Some(now + STOPS.after(stop.refusals));
            stop.refusals += 1;
        }
    }

    /// Stripe did what a background call asked for.
    pub(super) fn served(&self) {
        self.did(stopwatch());
    }

    fn did(&self, now: Instant) {
        let mut stop = self.0.stop.lock().unwrap_or_else(PoisonError::into_inner);
        if !stop.lasts(now) {
            stop.refusals = 0;
        }
    }

    fn stops(&self, now: Instant) -> bool {
        self.0.stop.lock().unwrap_or_else(PoisonError::into_inner).lasts(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_stops_background_calls_for_a_time_that_doubles() {
        let (throttle, mut now) = (Throttle::with(1_000), stopwatch());
        for stopped_for in [1, 2, 4, 8, 16, 32, 32] {
            throttle.refused(now);
            throttle.refused(now);
            now += Duration::from_secs(stopped_for);
            assert!(throttle.stops(now - Duration::from_millis(1)), "{stopped_for}");
            assert!(!throttle.stops(now), "{stopped_for}");
        }
        throttle.did(now);
        throttle.refused(now);
        assert!(!throttle.stops(now + Duration::from_secs(1)));
    }

    #[test]
    fn whoever_is_refused_makes_no_background_calls() {
        let throttle = Throttle::with(1_000);
        assert!(throttle.may_work() && throttle.may_look());
        throttle.too_many();
        assert!(!throttle.may_work() && !throttle.may_look());
    }

    #[test]
    fn looks_take_a_quarter() {
        let throttle = Throttle::with(40);
        assert_eq!((0..40).filter(|_| throttle.may_look()).count(), 10);
        assert!(throttle.may_work());
    }
}
