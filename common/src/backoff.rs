//! Waits that double with each failure, up to a longest one.

use std::time::Duration;

/// How long to wait after failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
}

/// The waits of something that fails again and again, in turn.
#[derive(Clone, Debug)]
pub struct Waits {
    backoff: Backoff,
    failures: u32,
}

impl Backoff {
    /// Waits that begin with `first`.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest }
    }

    /// The wait after a failure before which there were so many others.
    pub fn after(&self, others: u32) -> Duration {
        let doubled = 1_u32.checked_shl(others).unwrap_or(u32::MAX);
        self.first.saturating_mul(doubled).min(self.longest)
    }

    /// The longest wait.
    pub const fn longest(&self) -> Duration {
        self.longest
    }

    /// The waits from the first on.
    pub const fn waits(self) -> Waits {
        Waits { backoff: self, failures: 0 }
    }
}

impl Waits {
    /// The wait after one more failure.
    pub fn next_wait(&mut self) -> Duration {
        let wait = self.backoff.after(self.failures);
        self.failures = self.failures.saturating_add(1);
        wait
    }

    /// It did not fail: the next wait is the first one.
    pub const fn begin_anew(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn waits_double_up_to_the_longest() {
        let mut waits = Backoff::new(SECOND, 5 * SECOND).waits();
        assert_eq!([0; 5].map(|_| waits.next_wait().as_secs()), [1, 2, 4, 5, 5]);
        waits.begin_anew();
        assert_eq!(waits.next_wait(), SECOND);
        assert_eq!(Backoff::new(SECOND, 5 * SECOND).after(u32::MAX), 5 * SECOND);
    }
}
