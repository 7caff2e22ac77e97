//! The servers that a process shares with others (MongoDB, NATS), looked at every two seconds.
//!
//! A server that does not answer over the connection of this process is asked again over a fresh one. If it answers there, the
//! process's own connection is stuck; once that lasts, `/readyz` says no, because other replicas can serve. If it does not
//! answer there either, the server is away for everybody: that stands in `/status` and in `dependency_up` alone, because
//! a fleet without replicas would answer nothing at all. A question that gets no connection, as all are in use, tells nothing:
//! as long as commands over them are answered, they are not stuck.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use metrics::{Gauge, gauge};
use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::http::{Readiness, Status};
use crate::store;
use crate::supervisor::{Need, Supervisor};
use crate::telemetry::stopwatch;

/// How often a server is asked, and how long it may take to answer over the process's own connection and over a fresh one.
const EVERY: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(3);
const FRESH_PATIENCE: Duration = Duration::from_secs(4);

/// A connection is stuck when the server has answered fresh ones, and not this one, for so long.
const STUCK_FOR: Duration = Duration::from_secs(6);

/// A connection over which something was answered within this time is in use: no answer is awaited for longer.
const IN_USE: Duration = store::PATIENCE;

/// A question to a server: whether it answers.
pub(super) type Question = Box<dyn Fn() -> BoxFuture<'static, bool> + Send + Sync>;

/// When a server answered last.
pub(super) type LastAnswer = Box<dyn Fn() -> Option<Duration> + Send + Sync>;

/// A server and the two ways to ask it.
pub(super) struct SharedServer {
    /// Its name in `/readyz`, `/status` and the metrics.
    pub(super) name: &'static str,
    /// Asks over the process's own connection.
    pub(super) own: Question,
    /// Asks over a connection that is made for it.
    pub(super) fresh: Question,
    /// How long ago it answered anything over the process's own connection, where that is known.
    pub(super) last_answer: LastAnswer,
    /// Is told with each look whether it answers.
    pub(super) tell: Box<dyn Fn(bool) + Send + Sync>,
}

impl SharedServer {
    /// Looks at the server, which has just been reached, until the stop.
    pub(super) fn watch(self, supervisor: &Supervisor, readiness: Readiness, status: Status) {
        let name = self.name;
        let up = gauge!("dependency_up", "dependency" => name);
        let watcher = Arc::new(Watcher { server: self, readiness, status, up });
        watcher.tell(Seen::default());
        let begin = move |stop| watcher.clone().look_until(stop);
        supervisor.supervise(format!("watch {name}"), Need::Optional, begin);
    }
}

struct Watcher {
    server: SharedServer,
    readiness: Readiness,
    status: Status,
    up: Gauge,
}

/// Since when the server has not answered over the own connection, and since when it has answered fresh ones all the same.
#[derive(Clone, Copy, Default)]
struct Seen {
    silent: Option<Instant>,
    stuck: Option<Instant>,
}

impl Watcher {
    async fn look_until(self: Arc<Self>, stop: CancellationToken) {
        let mut seen = Seen::default();
        while stop.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_some() {
            let Some(next) = stop.run_until_cancelled(self.look(seen)).await else { return };
            seen = next;
            self.tell(seen);
        }
    }

    async fn look(&self, before: Seen) -> Seen {
        let begun = stopwatch();
        if in_time(PATIENCE, (self.server.own)()).await || self.answered_within(EVERY + begun.elapsed()) {
            return Seen::default();
        }
        let silent = before.silent.or(Some(begun));
        let answers_others = in_time(FRESH_PATIENCE, (self.server.fresh)()).await;
        Seen { silent, stuck: answers_others.then(|| before.stuck.unwrap_or_else(stopwatch)) }
    }

    fn answered_within(&self, time: Duration) -> bool {
        (self.server.last_answer)().is_some_and(|ago| ago < time)
    }

    fn tell(&self, Seen { silent, stuck }: Seen) {
        let stuck = stuck.is_some_and(|since| since.elapsed() >= STUCK_FOR) && !self.answered_within(IN_USE);
        self.readiness.set(self.server.name, !stuck);
        self.up.set(u8::from(silent.is_none()));
        (self.server.tell)(silent.is_none());
        let silent = silent.map(|since| since.elapsed().as_secs());
        self.status.set(
            self.server.name,
            silent.is_none(),
            json!({ "silentSeconds": silent, "connectionStuck": stuck }),
        );
    }
}

async fn in_time(limit: Duration, answer: BoxFuture<'static, bool>) -> bool {
    tokio::time::timeout(limit, answer).await.unwrap_or(false)
}
