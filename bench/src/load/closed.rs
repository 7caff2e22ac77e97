//! Closed loop: each virtual buyer sends the next request when the last one is answered. It finds the most that can be
//! done; its latencies are service times, as nobody comes while all wait.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::try_join_all;
use tokio::time::Instant;

use super::{Timed, Visit, connections};
use crate::Result;
use crate::http::Connection;
use crate::timing::now;

/// How long it goes on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    /// So many visits.
    Count(usize),
    /// No new visit after this time.
    Elapsed(Duration),
}

/// Runs `workers` at full speed.
pub(crate) async fn closed<V: Visit>(
    address: SocketAddr,
    workers: usize,
    until: Until,
    visit: V,
) -> Result<Vec<Timed<V::Outcome>>> {
    let connections = connections(address, workers).await;
    let shared = Arc::new(Shared { visit, next: AtomicUsize::new(0), begun: now(), until });
    let tasks: Vec<_> = connections.into_iter().map(|it| tokio::spawn(work(it, Arc::clone(&shared)))).collect();
    Ok(try_join_all(tasks).await?.into_iter().flatten().collect())
}

struct Shared<V> {
    visit: V,
    next: AtomicUsize,
    begun: Instant,
    until: Until,
}

impl<V> Shared<V> {
    fn next(&self) -> Option<usize> {
        let nth = self.next.fetch_add(1, Ordering::Relaxed);
        let goes_on = match self.until {
            Until::Count(count) => nth < count,
            Until::Elapsed(length) => self.begun.elapsed() < length,
        };
        goes_on.then_some(nth)
    }
}

async fn work<V: Visit>(mut connection: Connection, shared: Arc<Shared<V>>) -> Vec<Timed<V::Outcome>> {
    let mut visits = Vec::new();
    while let Some(nth) = shared.next() {
        let begun = now();
        let outcome = shared.visit.visit(&mut connection, nth).await;
        visits.push(Timed { nth, due: begun, begun, ended: now(), outcome });
    }
    visits
}
