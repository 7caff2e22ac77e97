//! Failures on request: what a test wants the next calls to suffer, and how often they did.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How a call fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// An answer with an error status.
    #[default]
    Error,
    /// No answer for `hang_ms`, then the error.
    Hang,
    /// The connection breaks in the middle of the answer.
    Disconnect,
    /// The work takes `hang_ms`, and is answered as it is; meanwhile its idempotency key is in use.
    Slow,
}

/// Whether the work is done before the failure: `after` is the ambiguous one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum When {
    Before,
    #[default]
    After,
}

/// `POST /test/faults`: the next `count` calls that match fail.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Fault {
    pub(crate) count: u32,
    pub(crate) method: Option<String>,
    pub(crate) path: Option<String>,
    pub(crate) kind: Kind,
    pub(crate) when: When,
    pub(crate) status: u16,
    pub(crate) hang_ms: u64,
    /// Whether the idempotency key remembers the failure or the true result (as when the network lost the answer).
    /// Stripe saves the status and the body of a key's first request once its work has begun, a 500 too, and answers them
    /// to every later one, whether the work was done (`after`) or not (`before`).
    pub(crate) remembered: bool,
}

impl Default for Fault {
    fn default() -> Self {
        Self {
            count: 1,
            method: None,
            path: None,
            kind: Kind::Error,
            when: When::After,
            status: 500,
            hang_ms: 30_000,
            remembered: false,
        }
    }
}

impl Fault {
    fn strikes(&self, method: &str, path: &str) -> bool {
        self.method.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
            && self.path.as_ref().is_none_or(|part| path.contains(part.as_str()))
    }

    pub(crate) fn hang(&self) -> Duration {
        Duration::from_millis(self.hang_ms)
    }
}

/// The failures still to come, and the slowness of every call.
#[derive(Default)]
pub(crate) struct Faults {
    queue: Vec<Fault>,
    latency: Duration,
    struck: BTreeMap<String, u64>,
}

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.queue.push(fault);
    }

    /// Nothing fails any more; what has failed stays counted.
    pub(crate) fn clear(&mut self) {
        self.queue.clear();
        self.latency = Duration::ZERO;
    }

    /// How many calls have failed by faults of each path; those of every path stand under "".
    pub(crate) fn struck(&self) -> &BTreeMap<String, u64> {
        &self.struck
    }

    pub(crate) fn set_latency(&mut self, latency: Duration) {
        self.latency = latency;
    }

    pub(crate) fn latency(&self) -> Duration {
        self.latency
    }

    /// The failure that strikes this call, if any; it counts as used.
    pub(crate) fn strike(&mut self, method: &str, path: &str) -> Option<Fault> {
        self.queue.retain(|fault| fault.count > 0);
        let fault = self.queue.iter_mut().find(|fault| fault.strikes(method, path))?;
        fault.count -= 1;
        *self.struck.entry(fault.path.clone().unwrap_or_default()).or_default() += 1;
        Some(fault.clone())
    }
}
