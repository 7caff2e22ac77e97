//! The way in: what an ingress does. Replicas take turns; where one is not there the next is asked. On the way back an answer
//! may be lost, and callers may hang up before it comes: what they asked for may be done all the same.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use crate::person::{Answer, Person};

/// How long a caller waits for an answer.
const PATIENCE: Duration = Duration::from_secs(4);

/// The addresses behind the paths, and what goes wrong between them and the callers.
#[derive(Default)]
pub(crate) struct Doors {
    pub(crate) auth: String,
    pub(crate) tickets: Vec<String>,
    pub(crate) payments: Vec<String>,
    pub(crate) orders: Vec<String>,
    turn: AtomicUsize,
    /// How many of the next answers to what changes something are lost.
    losing: AtomicUsize,
    lost: AtomicUsize,
    /// After how many milliseconds callers hang up; 0 where they have their usual patience.
    impatience: AtomicU64,
    hung_up: AtomicUsize,
}

/// A request to be sent.
pub(crate) struct Asked<'a> {
    pub(crate) method: Method,
    pub(crate) path: &'a str,
    /// The `Idempotency-Key`, if it has one.
    pub(crate) key: Option<&'a str>,
    /// The version that is to be there, as an entity tag.
    pub(crate) tag: Option<&'a str>,
    /// May be null.
    pub(crate) body: Value,
}

impl Doors {
    /// The doors to auth and to the replicas of tickets, payments and orders.
    pub(crate) fn to(auth: String, [tickets, payments, orders]: [Vec<String>; 3]) -> Self {
        Self { auth, tickets, payments, orders, ..Self::default() }
    }

    /// Has so many answers more get lost, where what was asked for changes something.
    pub(crate) fn lose_answers(&self, count: usize) {
        self.losing.fetch_add(count, Ordering::Relaxed);
    }

    /// How many answers were lost so far.
    pub(crate) fn lost(&self) -> usize {
        self.lost.load(Ordering::Relaxed)
    }

    /// Has callers hang up after so long, or wait again as usual.
    pub(crate) fn set_patience(&self, patience: Option<Duration>) {
        let millis = patience.map_or(0, |patience| u64::try_from(patience.as_millis()).unwrap_or(u64::MAX));
        self.impatience.store(millis, Ordering::Relaxed);
    }

    /// How many callers have hung up so far.
    pub(crate) fn hung_up(&self) -> usize {
        self.hung_up.load(Ordering::Relaxed)
    }

    /// All answers come again, and are waited for.
    pub(crate) fn heal(&self) {
        self.losing.store(0, Ordering::Relaxed);
        self.set_patience(None);
    }

    /// Asks; the error says why there is no answer, and then nobody knows whether it was done.
    pub(crate) async fn ask(&self, who: &Person, asked: Asked<'_>) -> Result<Answer, String> {
        let bases = self.bases(asked.path);
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut refused = String::new();
        for nth in 0..bases.len() {
            let base = &bases[(first + nth) % bases.len()];
            let key = asked.key.map(|key| ("Idempotency-Key", key));
            let tag = asked.tag.map(|tag| ("If-Match", tag));
            let headers: Vec<(&str, &str)> = key.into_iter().chain(tag).collect();
            let caller = who.at(base);
            let answer = caller.try_send(asked.method.clone(), asked.path, &headers, asked.body.clone());
            match self.patiently(answer).await? {
                Ok(_) if asked.method != Method::GET && self.loses() => return Err("the answer was lost".to_owned()),
                Ok(answer) => return Ok(answer),
                Err(error) if error.is_connect() => refused = error.to_string(),
                Err(error) => return Err(error.to_string()),
            }
        }
        Err(refused)
    }

    async fn patiently<T>(&self, answer: impl Future<Output = T>) -> Result<T, String> {
        let impatience = self.impatience.load(Ordering::Relaxed);
        let patience = if impatience > 0 { Duration::from_millis(impatience) } else { PATIENCE };
        tokio::time::timeout(patience, answer).await.map_err(|_| {
            self.hung_up.fetch_add(usize::from(impatience > 0), Ordering::Relaxed);
            format!("no answer within {patience:?}")
        })
    }

    /// Whether this answer is lost; it counts then.
    fn loses(&self) -> bool {
        let one_less = |left: usize| left.checked_sub(1);
        let loses = self.losing.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok();
        self.lost.fetch_add(usize::from(loses), Ordering::Relaxed);
        loses
    }

    fn bases(&self, path: &str) -> &[String] {
        let of = |areas: &[&str]| areas.iter().any(|area| path.starts_with(area));
        match () {
            () if of(&["/api/orders", "/api/passes", "/api/dead-letters/orders"]) => &self.orders,
            () if of(&["/api/payments", "/api/dead-letters/payments"]) => &self.payments,
            () if of(&["/api/tickets", "/api/dead-letters/tickets"]) => &self.tickets,
            () => std::slice::from_ref(&self.auth),
        }
    }
}
