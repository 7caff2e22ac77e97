//! Open loop: buyers come when they come, whether others wait or not.
//!
//! All arrivals are decided beforehand, and latency counts from the moment a request was due, not from when a free
//! connection sent it. So a server that stalls does not stop its own measurement (coordinated omission).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::try_join_all;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tokio::time::{Instant, sleep_until};

use super::{Timed, Visit, connections};
use crate::Result;
use crate::http::Connection;
use crate::timing::now;

/// When the buyers come, counted from the start.
#[derive(Clone, Debug)]
pub(crate) struct Arrivals(Vec<Duration>);

impl Arrivals {
    /// As independent people come (a Poisson process): `rate` a second on average for `length`. The same seed, the same
    /// arrivals.
    pub(crate) fn poisson(rate: f64, length: Duration, seed: u64) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let gaps = std::iter::repeat_with(move || -(1.0 - random.random::<f64>()).ln() / rate);
        let moments = gaps.scan(0.0, |at, gap| {
            *at += gap;
            Some(Duration::from_secs_f64(*at))
        });
        Self(moments.take_while(|at| *at < length).collect())
    }

    /// How many.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// What came of an open loop.
#[derive(Debug)]
pub(crate) struct Flood<T> {
    pub(crate) visits: Vec<Timed<T>>,
    /// Requests that found no free connection before the end.
    pub(crate) unsent: usize,
}

/// Sends every request when it is due, over at most `most_connections`. What is still to be sent `grace` after the last arrival
/// is given up and counted.
pub(crate) async fn open<V: Visit>(
    address: SocketAddr,
    most_connections: usize,
    arrivals: Arrivals,
    grace: Duration,
    visit: V,
) -> Result<Flood<V::Outcome>> {
    let connections = connections(address, most_connections).await;
    let start = now();
    let end = start + arrivals.0.last().copied().unwrap_or_default() + grace;
    let shared = Arc::new(Shared { visit, arrivals: arrivals.0, next: AtomicUsize::new(0), start, end });
    let tasks: Vec<_> = connections.into_iter().map(|it| tokio::spawn(work(it, Arc::clone(&shared)))).collect();
    let visits: Vec<_> = try_join_all(tasks).await?.into_iter().flatten().collect();
    let unsent = shared.arrivals.len().saturating_sub(visits.len());
    Ok(Flood { visits, unsent })
}

struct Shared<V> {
    visit: V,
    arrivals: Vec<Duration>,
    next: AtomicUsize,
    start: Instant,
    end: Instant,
}

async fn work<V: Visit>(mut connection: Connection, shared: Arc<Shared<V>>) -> Vec<Timed<V::Outcome>> {
    let mut visits = Vec::new();
    loop {
        let nth = shared.next.fetch_add(1, Ordering::Relaxed);
        let Some(arrival) = shared.arrivals.get(nth) else { return visits };
        let due = shared.start + *arrival;
        sleep_until(due).await;
        let begun = now();
        if begun > shared.end {
            return visits;
        }
        let outcome = shared.visit.visit(&mut connection, nth).await;
        visits.push(Timed { nth, due, begun, ended: now(), outcome });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_come_at_the_rate_in_order_and_again_the_same() {
        let arrivals = Arrivals::poisson(1000.0, Duration::from_secs(10), 7);
        assert!((9_500..10_500).contains(&arrivals.len()), "{}", arrivals.len());
        assert!(arrivals.0.is_sorted());
        assert_eq!(arrivals.0, Arrivals::poisson(1000.0, Duration::from_secs(10), 7).0);
    }
}
