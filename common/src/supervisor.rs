//! The supervisor of everything that goes on beside requests: no task ends unseen.
//!
//! A task that has to go on (a listener, a job, a relay, a follower) is given as a function that begins it. When it panics, or
//! ends although nobody has stopped it, that is counted and logged, and the task begins anew after a wait that grows from
//! 100 ms to 30 s. A task that this replica needs and that is down for 10 s makes `/readyz` say no and name it.
//! Work that ends by itself (one batch, the hold queue of one listing) is spawned by a [`Spawner`]: its panic is counted and
//! logged, and whoever waits for an answer learns of it by the end of the channel.
//! A stop ends the work first and the relays after it, so that what the work commits last is published too.

mod spawner;

pub use spawner::Spawner;
use spawner::{caught, spawn_tracked};

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::backoff::Backoff;
use crate::http::Readiness;
use crate::telemetry::stopwatch;

/// Waits before a task begins anew.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const WAITS: Backoff = Backoff::new(FIRST_WAIT, Duration::from_secs(30));

/// A task that has run for so long is up again.
const STEADY: Duration = Duration::from_secs(5);

/// Whether a replica can serve without a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// It cannot: `/readyz` says no while the task is down.
    Needed,
    /// It can: another replica may do the same work, or the work can wait.
    Optional,
}

/// Has the tasks of a process, and ends them in order.
#[derive(Clone, Debug)]
pub struct Supervisor {
    readiness: Readiness,
    work: Stage,
    relays: Stage,
}

/// Tasks that are stopped together.
#[derive(Clone, Debug, Default)]
struct Stage {
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Supervisor {
    /// A supervisor without tasks, which tells `readiness` what is down.
    pub fn new(readiness: Readiness) -> Self {
        Self { readiness, work: Stage::default(), relays: Stage::default() }
    }

    /// Is cancelled when the work is to end.
    pub fn stopping(&self) -> CancellationToken {
        self.work.stop.clone()
    }

    /// Keeps a task going until the stop. `begin` gets the token that tells the task of the stop.
    pub fn supervise<F, Fut>(&self, name: impl Into<String>, need: Need, begin: F)
    where
        F: Fn(CancellationToken) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.keep(&self.work, name.into(), need, begin);
    }

    /// The same for a relay, which ends after all other work.
    pub fn supervise_relay<F, Fut>(&self, name: impl Into<String>, begin: F)
    where
        F: Fn(CancellationToken) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.keep(&self.relays, name.into(), Need::Needed, begin);
    }

    fn keep<F, Fut>(&self, stage: &Stage, name: String, need: Need, begin: F)
    where
        F: Fn(CancellationToken) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let (readiness, stop) = (self.readiness.clone(), stage.stop.clone());
        let task = Task { panics: Spawner::of(name), need, readiness, stop, stopping: self.stopping() };
        spawn_tracked(&stage.tasks, task.keep(begin));
    }

    /// Runs a server, which others stop after the process has said that it stops. One that ends before has its task down
    /// for good, because what it listened on is gone.
    pub(crate) fn serve<T>(&self, name: &'static str, server: impl Future<Output = T> + Send + 'static) {
        let (spawner, readiness) = (Spawner::of(name), self.readiness.clone());
        spawner.clone().spawn(async move {
            let panic = caught(async { drop(server.await) }).await;
            if !readiness.is_draining() {
                readiness.task_is_down(name, true);
                spawner.report(panic.as_deref().unwrap_or("it ended although nobody has stopped it"));
            }
        });
    }

    /// Ends the work, then the relays; each may take `grace`.
    pub async fn stop(&self, grace: Duration) {
        for (stage, what) in [(&self.work, "listeners and jobs"), (&self.relays, "relays")] {
            stage.stop.cancel();
            stage.tasks.close();
            if tokio::time::timeout(grace, stage.tasks.wait()).await.is_err() {
                tracing::warn!(what, "some work did not end in time; the sweeps finish it at the next start");
            }
        }
    }
}

/// One task that has to go on.
struct Task {
    panics: Spawner,
    need: Need,
    readiness: Readiness,
    stop: CancellationToken,
    /// Is cancelled when the stop begins: a relay may end by itself from then on, as those who hand over to it go.
    stopping: CancellationToken,
}

impl Task {
    async fn keep<F, Fut>(self, begin: F)
    where
        F: Fn(CancellationToken) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let mut waits = WAITS.waits();
        loop {
            let began = stopwatch();
            let panic = self.run(&begin).await;
            if began.elapsed() > WAITS.longest() {
                waits.begin_anew();
            }
            match panic {
                Some(cause) => self.panics.report(&cause),
                None if self.stopping.is_cancelled() => return,
                None => tracing::error!(task = self.panics.task(), "a task ended although nobody has stopped it"),
            }
            self.tell(true);
            if self.stop.run_until_cancelled(tokio::time::sleep(waits.next_wait())).await.is_none() {
                return;
            }
        }
    }

    /// Runs the task to its end; answers what it panicked with, if it did.
    async fn run<F, Fut>(&self, begin: &F) -> Option<String>
    where
        F: Fn(CancellationToken) -> Fut,
        Fut: Future<Output = ()>,
    {
        let mut running = Box::pin(caught(async { begin(self.stop.clone()).await }));
        tokio::select! {
            ended = &mut running => return ended,
            () = tokio::time::sleep(STEADY) => self.tell(false),
        }
        running.await
    }

    fn tell(&self, down: bool) {
        if self.need == Need::Needed {
            self.readiness.task_is_down(self.panics.task(), down);
        }
    }
}

#[cfg(test)]
mod tests;
