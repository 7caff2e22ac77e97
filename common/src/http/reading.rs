//! Reads each request to its end before it takes a place among the requests in work.
//!
//! A body that has come with its head costs no timer and no lock. A slower one has [`GRACE`], and then as long as its bytes
//! come at [`PACE`], in all at most [`LONGEST`]. A process holds at most [`SLOW`] slow bodies and [`SLOW_BYTES`] of them; one
//! more ends the one that has been read for the longest, so those who send slowly never keep out those who do not. What the
//! handlers get is whole and in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix_web::HttpMessage as _;
use actix_web::dev::{Payload, ServiceRequest};
use actix_web::error::PayloadError;
use actix_web::http::StatusCode;
use bytes::{Bytes, BytesMut};
use futures::{FutureExt as _, StreamExt as _};
use metrics::Counter;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::admission::refused_for;
use super::body::announced_length;
use super::problem::Problem;
use crate::telemetry::stopwatch;

/// No request of ours has a longer body: the largest form of the pages is one.
pub(super) const LIMIT: usize = 512 * 1024;
const GRACE: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(10);
/// Bytes a second.
const PACE: u64 = 1024;
const SLOW: usize = 4096;
const SLOW_BYTES: usize = 64 * 1024 * 1024;

/// The bodies that a process is reading.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    slow: Arc<Mutex<Slow>>,
    refused: Counter,
}

/// Those that did not come with their heads, by the order in which they began.
#[derive(Debug, Default)]
struct Slow {
    begun: u64,
    open: BTreeMap<u64, Open>,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Open {
    bytes: usize,
    ended: Arc<Notify>,
}

impl Reading {
    pub(super) fn new() -> Self {
        Self { slow: Arc::default(), refused: refused_for("slow") }
    }

    /// Reads the body of a request, and leaves it there in one piece.
    ///
    /// # Errors
    /// 413 if it is longer than [`LIMIT`], 408 if it comes too slowly, 400 if it breaks off.
    pub(super) async fn read(&self, request: &mut ServiceRequest) -> Result<(), Problem> {
        if announced_length(request.request()) > LIMIT {
            return Err(Problem::too_large(LIMIT));
        }
        let mut payload = request.take_payload();
        if matches!(payload, Payload::None) {
            return Ok(());
        }
        let mut body = Whole::default();
        let at_once = loop {
            match payload.next().now_or_never() {
                Some(Some(piece)) => body.add(piece)?,
                Some(None) => break true,
                None => break false,
            }
        };
        if !at_once {
            self.read_slowly(&mut payload, &mut body).await?;
        }
        request.set_payload(Payload::from(body.finish()));
        Ok(())
    }

    async fn read_slowly(&self, payload: &mut Payload, body: &mut Whole) -> Result<(), Problem> {
        let reader = Reader::begin(self.slow.clone(), body.length());
        let ended = reader.ended.clone();
        let read = tokio::select! {
            read = reader.to_the_end(payload, body) => read,
            () = ended.notified() => Err(slow_body()),
        };
        read.inspect_err(|problem| {
            if problem.status() == StatusCode::REQUEST_TIMEOUT {
                self.refused.increment(1);
            }
        })
    }
}

/// One slow body, for as long as this lives.
struct Reader {
    slow: Arc<Mutex<Slow>>,
    number: u64,
    ended: Arc<Notify>,
}

impl Reader {
    fn begin(slow: Arc<Mutex<Slow>>, bytes: usize) -> Self {
        let ended = Arc::<Notify>::default();
        let mut all = lock(&slow);
        all.begun += 1;
        let number = all.begun;
        all.open.insert(number, Open { bytes: 0, ended: ended.clone() });
        all.grow(number, bytes);
        drop(all);
        Self { slow, number, ended }
    }

    async fn to_the_end(&self, payload: &mut Payload, body: &mut Whole) -> Result<(), Problem> {
        let began = stopwatch();
        loop {
            let Ok(piece) = timeout_at(latest(began, body.length()), payload.next()).await else {
                return Err(slow_body());
            };
            let Some(piece) = piece else { return Ok(()) };
            let before = body.length();
            body.add(piece)?;
            lock(&self.slow).grow(self.number, body.length() - before);
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        lock(&self.slow).end(self.number);
    }
}

impl Slow {
    /// Counts bytes of one, and ends the oldest while there are too many.
    fn grow(&mut self, number: u64, bytes: usize) {
        if let Some(open) = self.open.get_mut(&number) {
            open.bytes += bytes;
            self.bytes += bytes;
        }
        while self.open.len() > SLOW || self.bytes > SLOW_BYTES {
            let Some(oldest) = self.open.keys().next().copied() else { return };
            self.end(oldest);
        }
    }

    fn end(&mut self, number: u64) {
        if let Some(open) = self.open.remove(&number) {
            self.bytes -= open.bytes;
            open.ended.notify_one();
        }
    }
}

fn lock(slow: &Mutex<Slow>) -> MutexGuard<'_, Slow> {
    slow.lock().unwrap_or_else(PoisonError::into_inner)
}

/// When the next piece must have come.
fn latest(began: Instant, bytes: usize) -> Instant {
    let bought = Duration::from_millis(u64::try_from(bytes).unwrap_or(u64::MAX).saturating_mul(1000) / PACE);
    began + GRACE.saturating_add(bought).min(LONGEST)
}

fn slow_body() -> Problem {
    Problem::new(StatusCode::REQUEST_TIMEOUT, "slow_body", "The body took too long to come.")
}

/// A body in pieces; one that comes in one piece is not copied.
#[derive(Debug, Default)]
struct Whole {
    first: Bytes,
    all: BytesMut,
}

impl Whole {
    fn length(&self) -> usize {
        self.first.len().max(self.all.len())
    }

    fn add(&mut self, piece: Result<Bytes, PayloadError>) -> Result<(), Problem> {
        let piece = piece.map_err(|error| {
            Problem::bad_request("incomplete_body", "The body broke off.").caused_by(error.to_string())
        })?;
        if self.length() + piece.len() > LIMIT {
            return Err(Problem::too_large(LIMIT));
        }
        if self.length() == 0 {
            self.first = piece;
            return Ok(());
        }
        if self.all.is_empty() {
            self.all.extend_from_slice(&self.first);
        }
        self.all.extend_from_slice(&piece);
        Ok(())
    }

    fn finish(self) -> Bytes {
        if self.all.is_empty() { self.first } else { self.all.freeze() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_buy_time_at_a_pace() {
        let began = stopwatch();
        let has = [0, 1, 1024, 5 * 1024, LIMIT].map(|bytes| latest(began, bytes) - began);
        assert_eq!(has.map(|has| has.as_secs()), [5, 5, 6, 10, 10]);
    }

    #[test]
    fn one_too_many_ends_the_oldest_and_no_other() {
        let slow = Arc::<Mutex<Slow>>::default();
        let readers: Vec<_> = (0..=SLOW).map(|_| Reader::begin(slow.clone(), 1)).collect();
        let ended = |reader: &Reader| reader.ended.notified().now_or_never().is_some();
        assert!(ended(&readers[0]) && readers[1..].iter().all(|reader| !ended(reader)));
        lock(&slow).grow(readers[SLOW].number, SLOW_BYTES - SLOW + 1);
        assert!(ended(&readers[1]) && readers[2..].iter().all(|reader| !ended(reader)), "too many bytes");
        drop(readers);
        let left = lock(&slow);
        assert_eq!((left.open.len(), left.bytes), (0, 0));
    }

    #[test]
    fn pieces_are_put_together_up_to_the_limit() {
        let mut body = Whole::default();
        for piece in ["", "a", "b", "", "c"] {
            body.add(Ok(piece.into())).unwrap();
        }
        assert_eq!(body.length(), 3);
        let refused = body.add(Ok(vec![0; LIMIT - 2].into())).unwrap_err();
        assert_eq!((refused.status().as_u16(), body.finish()), (413, Bytes::from("abc")));
    }
}
