//! Spawning: a panic is caught, counted and logged with its task and its cause.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt as _;
use metrics::{Counter, counter};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

/// Spawns work of one kind. It is made when the process is, so that its count of panics is there from the start.
#[derive(Clone, Debug)]
pub struct Spawner {
    task: Arc<str>,
    panics: Counter,
}

impl Spawner {
    /// A spawner of the work called `task`.
    pub fn of(task: impl Into<String>) -> Self {
        let task = task.into();
        Self { panics: counter!("task_panics_total", "task" => task.clone()), task: task.into() }
    }

    /// What the work is called.
    pub(super) fn task(&self) -> &str {
        &self.task
    }

    /// Runs work that ends by itself, on the runtime of the caller. Whoever waits for it must not wait for ever when it
    /// panics, but hold a channel whose other end the work has.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(self.clone().watched(work));
    }

    /// Runs work on the runtime of the caller for as long as the answer lives.
    pub fn hold(&self, work: impl Future<Output = ()> + Send + 'static) -> AbortOnDropHandle<()> {
        AbortOnDropHandle::new(tokio::spawn(self.clone().watched(work)))
    }

    /// The same for work that stays on the thread of the caller, which serves requests.
    pub fn hold_here(&self, work: impl Future<Output = ()> + 'static) -> AbortOnDropHandle<()> {
        AbortOnDropHandle::new(tokio::task::spawn_local(self.clone().watched(work)))
    }

    /// Runs work again and again as long as it panics, until it ends by itself.
    pub fn spawn_until_done<F, Fut>(&self, begin: F)
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let spawner = self.clone();
        tokio::spawn(async move {
            while let Some(cause) = caught(async { begin().await }).await {
                spawner.report(&cause);
                tokio::time::sleep(super::FIRST_WAIT).await;
            }
        });
    }

    async fn watched(self, work: impl Future<Output = ()>) {
        if let Some(cause) = caught(work).await {
            self.report(&cause);
        }
    }

    pub(super) fn report(&self, cause: &str) {
        self.panics.increment(1);
        tracing::error!(task = %self.task, cause, "a task panicked");
    }
}

/// The supervisor's own tasks, for whose end a stop waits.
pub(super) fn spawn_tracked(tasks: &TaskTracker, work: impl Future<Output = ()> + Send + 'static) {
    tasks.spawn(work);
}

/// Runs work to its end; answers what it panicked with, if it did.
pub(super) async fn caught(work: impl Future<Output = ()>) -> Option<String> {
    // What the work has of others' is behind locks that pass over poison, or is dropped with it.
    AssertUnwindSafe(work).catch_unwind().await.err().map(|cause| words(cause.as_ref()))
}

fn words(cause: &(dyn Any + Send)) -> String {
    let text = cause.downcast_ref::<&str>().copied().map(str::to_owned);
    text.or_else(|| cause.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without words".to_owned())
}
