//! What the broker does not take although it is connected.
//!
//! A broker whose disk was full refuses every message of a stream until it is started anew, and its connection is well all the
//! time. So each stream has a mark of when its messages began to be refused; the first one that is taken removes it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::{Counter, counter};
use tokio::time::Instant;

use super::DOMAINS;
use crate::telemetry::stopwatch;

/// How publishing goes, for each domain.
#[derive(Clone, Debug)]
pub struct Publishing(Arc<BTreeMap<&'static str, Domain>>);

#[derive(Debug)]
struct Domain {
    refused_since: Mutex<Option<Instant>>,
    refused: Counter,
}

impl Publishing {
    pub(super) fn new() -> Self {
        let domain = |name| Domain {
            refused_since: Mutex::default(),
            refused: counter!("publishing_failed_total", "domain" => name),
        };
        Self(Arc::new(DOMAINS.iter().map(|stream| (stream.domain, domain(stream.domain))).collect()))
    }

    /// Notes what came of messages of a domain that were sent while the broker was connected.
    pub(super) fn note(&self, domain: &str, taken: u64, refused: u64) {
        let Some(domain) = self.0.get(domain) else { return };
        let mut since = domain.refused_since.lock().unwrap_or_else(PoisonError::into_inner);
        if taken > 0 {
            *since = None;
        } else if refused > 0 {
            since.get_or_insert_with(stopwatch);
        }
        domain.refused.increment(refused);
    }

    /// For how long the messages of each domain have been refused; zero where they are taken.
    pub fn stalled(&self) -> impl Iterator<Item = (&'static str, Duration)> {
        self.0.iter().map(|(name, domain)| {
            let since = *domain.refused_since.lock().unwrap_or_else(PoisonError::into_inner);
            (*name, since.map(|since| since.elapsed()).unwrap_or_default())
        })
    }

    /// For how long any of them has been refused.
    pub fn stalled_for(&self) -> Duration {
        self.stalled().map(|(_, stalled)| stalled).max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_stalled_until_one_message_of_it_is_taken() {
        let publishing = Publishing::new();
        let stalled =
            || publishing.stalled().filter(|(_, stalled)| !stalled.is_zero()).map(|(name, _)| name).collect::<Vec<_>>();
        publishing.note("orders", 0, 3);
        publishing.note("tickets", 5, 0);
        publishing.note("made-up", 0, 1);
        assert_eq!(stalled(), ["orders"]);
        publishing.note("orders", 0, 0);
        assert_eq!(stalled(), ["orders"], "nothing was sent");
        publishing.note("orders", 1, 2);
        assert_eq!(stalled(), Vec::<&str>::new());
    }
}
