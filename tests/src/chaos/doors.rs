//! The way in: what an ingress does. Replicas take turns; where one is not there the next is asked.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use crate::person::{Answer, Person};

/// How long a caller waits for an answer.
const PATIENCE: Duration = Duration::from_secs(4);

/// The addresses behind the paths.
pub(crate) struct Doors {
    pub(crate) auth: String,
    pub(crate) tickets: Vec<String>,
    pub(crate) payments: Vec<String>,
    pub(crate) orders: Vec<String>,
    pub(crate) turn: AtomicUsize,
}

/// A request to be sent.
pub(crate) struct Asked<'a> {
    pub(crate) method: Method,
    pub(crate) path: &'a str,
    /// The `Idempotency-Key`, if it has one.
    pub(crate) key: Option<&'a str>,
    /// May be null.
    pub(crate) body: Value,
}

impl Doors {
    /// Asks; the error says why there is no answer, and then nobody knows whether it was done.
    pub(crate) async fn ask(&self, who: &Person, asked: Asked<'_>) -> Result<Answer, String> {
        let bases = self.bases(asked.path);
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut refused = String::new();
        for nth in 0..bases.len() {
            let base = &bases[(first + nth) % bases.len()];
            let key = asked.key.map(|key| ("Idempotency-Key", key));
            let headers: Vec<(&str, &str)> = key.into_iter().collect();
            let caller = who.at(base);
            let answer = caller.try_send(asked.method.clone(), asked.path, &headers, asked.body.clone());
            match tokio::time::timeout(PATIENCE, answer).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) if error.is_connect() => refused = error.to_string(),
                Ok(Err(error)) => return Err(error.to_string()),
                Err(_) => return Err(format!("no answer within {PATIENCE:?}")),
            }
        }
        Err(refused)
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
