//! The ops port: alive, ready, metrics. It is never reachable from outside.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::Arc;

use actix_web::dev::Server;
use actix_web::{App, HttpResponse, HttpServer, web};
use serde::Serialize;
use tokio::sync::watch;

use crate::telemetry::render_metrics;

/// Whether the process can serve: every check is good, and it is not shutting down.
#[derive(Clone, Debug)]
pub struct Readiness(Arc<watch::Sender<State>>);

#[derive(Clone, Debug, Default, Serialize)]
struct State {
    draining: bool,
    checks: BTreeMap<&'static str, bool>,
}

impl State {
    fn ready(&self) -> bool {
        !self.draining && self.checks.values().all(|good| *good)
    }
}

impl Readiness {
    /// Not ready before all the named checks were set.
    pub fn waiting_for(checks: impl IntoIterator<Item = &'static str>) -> Self {
        let checks = checks.into_iter().map(|name| (name, false)).collect();
        Self(Arc::new(watch::Sender::new(State { draining: false, checks })))
    }

    /// Tells how a check stands; a new name becomes a new check.
    pub fn set(&self, check: &'static str, good: bool) {
        self.0.send_if_modified(|state| state.checks.insert(check, good) != Some(good));
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

/// Serves `/livez`, `/readyz` and `/metrics`.
///
/// # Errors
/// If the listener cannot be used.
pub fn serve_ops(listener: TcpListener, readiness: Readiness) -> std::io::Result<Server> {
    let server = HttpServer::new(move || {
        let readiness = readiness.clone();
        App::new()
            .route("/livez", web::get().to(HttpResponse::Ok))
            .route("/readyz", web::get().to(move || readyz(readiness.clone())))
            .route("/metrics", web::get().to(metrics))
    });
    Ok(server.workers(1).disable_signals().shutdown_timeout(1).listen(listener)?.run())
}

async fn readyz(readiness: Readiness) -> HttpResponse {
    let state = readiness.0.borrow().clone();
    let mut response = if state.ready() { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    response.json(state)
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
