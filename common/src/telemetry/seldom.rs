//! Lines that a flood would repeat: of each kind one is written now and then, and says how many there were since the last one. How many
//! there were in all the metrics know.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::stopwatch;

/// How long nothing more is written of a kind.
const QUIET: Duration = Duration::from_secs(5);

/// When each kind was written of. Kinds are few, such as the codes of problems.
#[derive(Debug)]
pub struct Seldom(Mutex<BTreeMap<String, Written>>);

#[derive(Debug)]
struct Written {
    at: Instant,
    passed_over: u64,
}

impl Seldom {
    /// Nothing was written yet.
    pub const fn new() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }

    /// Whether to write of a kind now: how many were passed over since the last time, or nothing if this one is passed over too.
    pub fn write(&self, kind: &str) -> Option<u64> {
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = stopwatch();
        match kinds.get_mut(kind) {
            Some(written) if now.duration_since(written.at) < QUIET => {
                written.passed_over += 1;
                None
            }
            Some(written) => {
                written.at = now;
                Some(std::mem::take(&mut written.passed_over))
            }
            None => {
                kinds.insert(kind.to_owned(), Written { at: now, passed_over: 0 });
                Some(0)
            }
        }
    }
}

impl Default for Seldom {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn of_each_kind_one_line_is_written_now_and_then() {
        let seldom = Seldom::new();
        assert_eq!(seldom.write("unavailable"), Some(0));
        assert_eq!((0..300).filter_map(|_| seldom.write("unavailable")).count(), 0);
        assert_eq!(seldom.write("timeout"), Some(0), "another kind");
        tokio::time::advance(QUIET).await;
        assert_eq!(seldom.write("unavailable"), Some(300));
        assert_eq!(seldom.write("unavailable"), None);
    }
}
