//! What a parked event waits for, how long it waits between its tries, and when it is given up.

use std::time::Duration;

use crate::open_enum::{OpenEnum, open_enum};

/// Before this many tries, and before this time has passed, no event is given up. A handler's panic is judged by its tries alone.
const TRIES: i64 = 8;
const GIVEN_UP_AFTER: Duration = Duration::from_secs(7 * 24 * 3600);

/// Seconds between the tries. They may grow long: what comes, or succeeds, makes others due.
const EARLY: [u64; 6] = [1, 5, 15, 60, 300, 600];
const FAILED: [u64; 5] = [1, 5, 15, 60, 300];
const UNKNOWN: [u64; 1] = [600];

/// Longer than any of them.
pub(super) const LONGEST: Duration = Duration::from_secs(660);

open_enum! {
    /// What an event waits for.
    pub enum Cause {
        /// Its predecessor has not been seen.
        Early = "early",
        /// The handler failed, mostly as another server did not answer.
        Failed = "failed",
        /// The handler panicked.
        Panicked = "panicked",
        /// Only a newer build knows the event.
        NewerEvent = "unknown",
    }
}

impl Cause {
    /// Its name in metrics. Causes that only a newer build knows are counted with the events that only one knows.
    pub(crate) fn label(self) -> &'static str {
        let of = Self::KNOWN.iter().zip(Self::TEXTS).find(|(known, _)| **known == self);
        of.map_or("unknown", |(_, text)| text)
    }

    /// What stands in the document after a try that failed by `tried`: a cause that only a newer build knows stays, as this one
    /// cannot tell whether what it names is over.
    pub(super) fn after(self, tried: Self) -> Self {
        if matches!(self, Self::Unknown(_)) { self } else { tried }
    }

    /// How long to wait after so many tries.
    pub(super) fn wait(self, attempts: i64) -> Duration {
        let waits: &[u64] = match self {
            Self::Early => &EARLY,
            Self::Failed | Self::Panicked => &FAILED,
            Self::NewerEvent | Self::Unknown(_) => &UNKNOWN,
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
        assert_eq!(seconds(Cause::NewerEvent), [600; 6]);
        assert!(Cause::KNOWN.iter().all(|cause| cause.wait(i64::MAX) < LONGEST));
    }

    #[test]
    fn a_cause_of_a_newer_build_stays_and_is_counted_with_what_only_one_knows() {
        let foreign: Cause = serde_json::from_str("\"storm\"").unwrap();
        assert_eq!((foreign.to_string(), foreign.label()), ("storm".to_owned(), "unknown"));
        assert_eq!((foreign.after(Cause::Failed), foreign.after(Cause::NewerEvent)), (foreign, foreign));
        assert_eq!(Cause::Early.after(Cause::Failed), Cause::Failed);
        assert_eq!((Cause::NewerEvent.label(), Cause::Early.label()), ("unknown", "early"));
    }

    #[test]
    fn an_event_is_given_up_after_a_week_and_eight_tries_and_one_that_panics_after_eight_tries() {
        let day = Duration::from_secs(24 * 3600);
        for cause in [Cause::Early, Cause::Failed, Cause::NewerEvent] {
            assert!(!cause.is_hopeless(i64::MAX, 6 * day), "an outage of days ends without dead letters");
            assert!(!cause.is_hopeless(7, 30 * day), "a process that was away gives it a chance first");
            assert!(cause.is_hopeless(8, 7 * day));
        }
        assert!(!Cause::Panicked.is_hopeless(7, 30 * day));
        assert!(Cause::Panicked.is_hopeless(8, Duration::ZERO));
    }
}
