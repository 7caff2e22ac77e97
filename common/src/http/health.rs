//! The ops port: alive, ready, the state of what is shared, metrics. It is never reachable from outside.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::{App, HttpResponse, HttpServer, web};
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::Instant;

use super::Status;
use crate::telemetry::{render_metrics, stopwatch};

/// A needed task that is down for so long makes the process not ready.
const DOWN_FOR: Duration = Duration::from_secs(10);

/// Whether this process can serve: it has reached its servers, is not cut off from them, has its tasks, and does not stop.
///
/// A server that is away for everybody is no reason: taking all replicas out of service would make its outage longer.
#[derive(Clone, Debug)]
pub struct Readiness(Arc<watch::Sender<State>>);

#[derive(Clone, Debug, Default)]
struct State {
    draining: bool,
    checks: BTreeMap<Cow<'static, str>, bool>,
    down: BTreeMap<String, Instant>,
}

/// The answer of `/readyz`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'s> {
    ready: bool,
    draining: bool,
    checks: &'s BTreeMap<Cow<'static, str>, bool>,
    tasks_down: Vec<&'s str>,
}

impl State {
    fn ready(&self) -> bool {
        !self.draining && self.checks.values().all(|good| *good) && self.tasks_down().next().is_none()
    }

    fn tasks_down(&self) -> impl Iterator<Item = &str> {
        self.down.iter().filter(|(_, since)| since.elapsed() >= DOWN_FOR).map(|(task, _)| task.as_str())
    }

    fn report(&self) -> Report<'_> {
        let Self { draining, checks, .. } = self;
        Report { ready: self.ready(), draining: *draining, checks, tasks_down: self.tasks_down().collect() }
    }
}

impl Readiness {
    /// Not ready before all the named checks were set.
    pub fn waiting_for(checks: impl IntoIterator<Item = &'static str>) -> Self {
        let checks = checks.into_iter().map(|name| (name.into(), false)).collect();
        Self(Arc::new(watch::Sender::new(State { checks, ..State::default() })))
    }

    /// Tells how a check stands; a new name becomes a new check.
    pub fn set(&self, check: impl Into<Cow<'static, str>>, good: bool) {
        let check = check.into();
        self.0.send_if_modified(|state| state.checks.insert(check, good) != Some(good));
    }

    /// Tells whether a task that the process needs is down. What has been down for a while makes it not ready.
    pub(crate) fn task_is_down(&self, task: &str, down: bool) {
        self.0.send_modify(|state| {
            if !down {
                state.down.remove(task);
            } else if !state.down.contains_key(task) {
                state.down.insert(task.to_owned(), stopwatch());
            }
        });
    }

    /// The needed tasks that have been down for a while.
    pub fn tasks_down(&self) -> Vec<String> {
        self.0.borrow().tasks_down().map(str::to_owned).collect()
    }

    /// Begins the shutdown: no new connections shall come.
    pub fn drain(&self) {
        self.0.send_modify(|state| state.draining = true);
    }

    /// Whether the process can serve now.
    pub fn is_ready(&self) -> bool {
        self.0.borrow().ready()
    }

    /// Whether the shutdown has begun.
    pub fn is_draining(&self) -> bool {
        self.0.borrow().draining
    }

    /// Waits until the process can serve.
    pub async fn ready(&self) {
        // The sender lives as long as self, so waiting cannot fail.
        let _ = self.0.subscribe().wait_for(State::ready).await;
    }
}

impl Default for Readiness {
    fn default() -> Self {
        Self::waiting_for([])
    }
}

/// Open connections of the ops server; more wait. They come out of the files that the connections of clients leave.
const CONNECTIONS: usize = 64;

/// Serves `/livez`, `/readyz`, `/status` and `/metrics`.
///
/// # Errors
/// If the listener cannot be used.
pub fn serve_ops(listener: TcpListener, readiness: Readiness, status: Status) -> std::io::Result<Server> {
    let server = HttpServer::new(move || {
        let (readiness, status) = (readiness.clone(), status.clone());
        App::new()
            .route("/livez", web::get().to(HttpResponse::Ok))
            .route("/readyz", web::get().to(move || readyz(readiness.clone())))
            .route("/status", web::get().to(move || shared(status.clone())))
            .route("/metrics", web::get().to(metrics))
    });
    let server = server.workers(1).max_connections(CONNECTIONS).disable_signals().shutdown_timeout(1);
    Ok(server.listen(listener)?.run())
}

async fn readyz(readiness: Readiness) -> HttpResponse {
    let state = readiness.0.borrow().clone();
    let mut response = if state.ready() { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    response.json(state.report())
}

async fn shared(status: Status) -> HttpResponse {
    HttpResponse::Ok().json(status.report())
}

async fn metrics() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(render_metrics())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_is_all_checks_and_no_shutdown() {
        let readiness = Readiness::waiting_for(["mongodb", "nats"]);
        readiness.set("mongodb", true);
        assert!(!readiness.is_ready());
        readiness.set("nats", true);
        assert!(readiness.is_ready());
        readiness.set("nats", false);
        assert!(!readiness.is_ready());
        readiness.set("nats", true);
        readiness.drain();
        assert!(!readiness.is_ready() && readiness.is_draining());
    }
}
