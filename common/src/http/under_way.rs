//! Requests that are being answered, so that a server ends after them and not among them.
//!
//! Each worker of the server has a runtime of its own, and ends as soon as nobody is connected to *it*. What was begun there
//! ends with it: connections to other services, desks, gathered commands. Requests of other workers may be waiting for these,
//! so no worker may be told to end before all of them have nothing to answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::dev::ServerHandle;

/// How often it is looked whether the last request has been answered.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// How many requests a server is answering, in all its workers.
#[derive(Clone, Debug, Default)]
pub struct UnderWay(Arc<AtomicUsize>);

/// One of them, for as long as this lives.
#[derive(Debug)]
pub struct OneOf(Arc<AtomicUsize>);

impl UnderWay {
    /// Counts a request until it is answered.
    pub(super) fn during<A: Future>(&self, answer: A) -> impl Future<Output = A::Output> + use<A> {
        let one = self.one();
        async move {
            let _one = one;
            answer.await
        }
    }

    /// Counts work that goes on when its client has hung up.
    pub fn one(&self) -> OneOf {
        self.0.fetch_add(1, Ordering::SeqCst);
        OneOf(self.0.clone())
    }

    /// Whether nothing is being answered.
    pub fn is_idle(&self) -> bool {
        self.0.load(Ordering::SeqCst) == 0
    }

    /// Stops a server: it takes no new connections, answers what it has been asked, and ends. Requests that are not answered
    /// within `grace` are given up.
    pub async fn stop(&self, server: &ServerHandle, grace: Duration) {
        server.pause().await;
        let answered = tokio::time::timeout(grace, self.none()).await.is_ok();
        if !answered {
            tracing::warn!(left = self.0.load(Ordering::SeqCst), "some requests were not answered in time");
        }
        server.stop(answered).await;
    }

    async fn none(&self) {
        while !self.is_idle() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

impl Drop for OneOf {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
