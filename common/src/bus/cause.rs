//! What a parked event waits for, how long it waits between its tries, and when it is given up.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Before this many tries, and before this time has passed, no event is given up. A handler's panic is judged by its tries alone.
const TRIES: i64 = 8;
const GIVEN_UP_AFTER: Duration = Duration::from_secs(7 * 24 * 3600);

/// Seconds between the tries. They may grow long: what comes, or succeeds, makes others due.
const EARLY: [u64; 6] = [1, 5, 15, 60, 300, 600];
const FAILED: [u64; 5] = [1, 5, 15, 60, 300];
const UNKNOWN: [u64; 1] = [600];

/// Longer than any of them.
pub(super) const LONGEST: Duration = Duration::from_secs(660);

/// What an event waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// Its predecessor has not been seen.
    Early,
    /// The handler failed, mostly as another server did not answer.
    Failed,
    /// The handler panicked.
    Panicked,
    /// Only a newer build knows it, or the cause itself.
    #[serde(other)]
    Unknown,
}

impl Cause {
    /// Every cause there is.
    pub(crate) const ALL: [Self; 4] = [Self::Early, Self::Failed, Self::Panicked, Self::Unknown];

    /// Its name in documents and metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Early => "early",
            Self::Failed => "failed",
            Self::Panicked => "panicked",
            Self::Unknown => "unknown",
        }
    }

    /// How long to wait after so many tries.
    pub(super) fn wait(self, attempts: i64) -> Duration {
        let waits: &[u64] = match self {
            Self::Early => &EARLY,
            Self::Failed | Self::Panicked => &FAILED,
            Self::Unknown => &UNKNOWN,
        };
        let nth = usize::try_from(attempts.max(1) - 1).unwrap_or(usize::MAX);
        Duration::from_secs(waits[nth.min(waits.len() - 1)])
    }

    /// Whether an event that has waited so long for this is given up.
    pub(super) fn is_hopeless(self, attempts: i64, waited: Duration) -> bool {
        attempts >= TRIES && (self == Self::Panicked || waited >= GIVEN_UP_AFTER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_their_longest() {
        let seconds = |cause: Cause| [0, 1, 2, 5, 6, i64::MAX].map(|attempts| cause.wait(attempts).as_secs());
        assert_eq!(seconds(Cause::Early), [1, 1, 5, 300, 600, 600]);
        assert_eq!(seconds(Cause::Failed), [1, 1, 5, 300, 300, 300]);
        assert_eq!(seconds(Cause::Unknown), [600; 6]);
        assert!(Cause::ALL.iter().all(|cause| cause.wait(i64::MAX) < LONGEST));
    }

    #[test]
    fn an_event_is_given_up_after_a_week_and_eight_tries_and_one_that_panics_after_eight_tries() {
        let day = Duration::from_secs(24 * 3600);
        for cause in [Cause::Early, Cause::Failed, Cause::Unknown] {
            assert!(!cause.is_hopeless(i64::MAX, 6 * day), "an outage of days ends without dead letters");
            assert!(!cause.is_hopeless(7, 30 * day), "a process that was away gives it a chance first");
            assert!(cause.is_hopeless(8, 7 * day));
        }
        assert!(!Cause::Panicked.is_hopeless(7, 30 * day));
        assert!(Cause::Panicked.is_hopeless(8, Duration::ZERO));
    }
}
