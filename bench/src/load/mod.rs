//! Load: many virtual buyers at once, each with a connection of their own.

mod closed;
mod open;

pub(crate) use closed::{Until, closed};
pub(crate) use open::{Arrivals, Flood, open};

use std::net::SocketAddr;
use std::time::Duration;

use futures::future::join_all;
use tokio::time::Instant;

use crate::http::Connection;

/// What a virtual buyer does.
pub(crate) trait Visit: Send + Sync + 'static {
    /// What came of it.
    type Outcome: Send + 'static;

    /// Does it; `nth` says which of all the visits it is, from 0.
    fn visit(&self, connection: &mut Connection, nth: usize) -> impl Future<Output = Self::Outcome> + Send;
}

/// A visit that was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timed<T> {
    pub(crate) nth: usize,
    /// When it should have begun: in an open loop as scheduled, in a closed loop when it did begin.
    pub(crate) due: Instant,
    pub(crate) begun: Instant,
    pub(crate) ended: Instant,
    pub(crate) outcome: T,
}

impl<T> Timed<T> {
    /// From the moment it was due, so that waiting for a free connection counts.
    pub(crate) fn latency(&self) -> Duration {
        self.ended.duration_since(self.due)
    }
}

/// So many open connections: a virtual buyer who comes has the page open already.
async fn connections(address: SocketAddr, count: usize) -> Vec<Connection> {
    join_all((0..count).map(|_| Connection::to(address).opened())).await
}

/// From the first beginning to the last end.
pub(crate) fn span<T>(visits: &[Timed<T>]) -> Duration {
    let first = visits.iter().map(|visit| visit.begun).min();
    let last = visits.iter().map(|visit| visit.ended).max();
    first.zip(last).map_or(Duration::ZERO, |(first, last)| last.duration_since(first))
}
