//! The HTTP server with what every answer has: a trace, a request id, safe headers, and problems told one way.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_http::{HttpService, Protocol};
use actix_service::{IntoServiceFactory as _, ServiceFactoryExt as _, fn_service, map_config};
use actix_web::dev::{AppConfig, Server};
use actix_web::middleware::{Next, from_fn};
use actix_web::web::ServiceConfig;
use actix_web::{App, web};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::{TcpSocket, TcpStream};
use tracing_actix_web::TracingLogger;

use super::client_address::TrustedProxies;
use super::connection::{Connection, UNANSWERED, one_at_a_time};
use super::finish::finish;
use super::health::Readiness;
use super::problem::Problem;
use super::reading::Reading;
use super::shed::{LoadShedder, shed};
use super::trace::RootSpan;
use super::under_way::UnderWay;
use crate::settings::Settings;

/// Connections that wait to be accepted; a flash sale opens thousands at once.
const BACKLOG: u32 = 4096;
/// Open connections of one worker; more wait in the backlog.
const CONNECTIONS: usize = 16_384;
/// Files that connections leave to the rest: those to MongoDB, NATS, Stripe and each other, a second server, and what is written.
const OTHER_FILES: usize = 400;
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long the rest of a body may come that nobody reads, before its connection is ended.
const DISCONNECT: Duration = Duration::from_secs(1);
/// How long a client may read nothing of an answer that has been sent to it, before its connection is ended.
const DEAF: Duration = Duration::from_secs(20);

/// How a server runs.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// How many threads answer.
    pub workers: usize,
    /// How long requests may take to finish after a stop.
    pub grace: Duration,
    /// While it drains, answers close their connections.
    pub readiness: Readiness,
    /// What refuses requests before anything else is done with them.
    pub shedder: Option<Arc<LoadShedder>>,
    /// Counts the requests that are being answered, and so stops the server without breaking one off.
    pub under_way: UnderWay,
    /// Who is believed when it says from where a request came.
    pub proxies: TrustedProxies,
}

impl ServerOptions {
    /// As the settings say.
    pub fn new(settings: &Settings, readiness: Readiness) -> Self {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let workers = settings.http_workers.map_or_else(cores, usize::from);
        let (grace, proxies) = (settings.shutdown_grace(), TrustedProxies::new(&settings.trusted_proxies));
        Self { workers, grace, readiness, shedder: None, under_way: UnderWay::default(), proxies }
    }

    /// With a shedder before the routes.
    #[must_use]
    pub fn shedding(self, shedder: Arc<LoadShedder>) -> Self {
        Self { shedder: Some(shedder), ..self }
    }
}

/// Opens a port, within a tokio runtime; port 0 takes a free one, which the address then tells.
///
/// # Errors
/// If the address is taken or not ours.
pub fn bind(address: SocketAddr) -> std::io::Result<(TcpListener, SocketAddr)> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let listener = socket.listen(BACKLOG)?.into_std()?;
    // What is accepted inherits it.
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(&listener).set_tcp_user_timeout(Some(DEAF))?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}

/// Serves what `mount` configures, once per worker. Signals are left to the caller: stop it by its handle.
///
/// # Errors
/// If the listener cannot be used.
pub fn serve<F>(listener: TcpListener, options: ServerOptions, mount: F) -> std::io::Result<Server>
where
    F: Fn(&mut ServiceConfig) + Clone + Send + 'static,
{
    let ServerOptions { workers, grace, readiness, shedder, under_way, proxies } = options;
    let reading = Reading::new();
    let app = move || {
        let (readiness, shedder, reading) = (readiness.clone(), shedder.clone(), reading.clone());
        let (draining, under_way) = (readiness.clone(), under_way.clone());
        App::new()
            .app_data(under_way.clone())
            .app_data(proxies.clone())
            .configure(mount.clone())
            .default_service(web::to(nothing_here))
            .wrap(from_fn(move |request, next: Next<_>| finish(readiness.clone(), reading.clone(), request, next)))
            .wrap(TracingLogger::<RootSpan>::new())
            .wrap(from_fn(move |request, next: Next<_>| {
                under_way.during(shed(shedder.clone(), draining.clone(), request, next))
            }))
            .wrap(from_fn(one_at_a_time))
    };
    let server = Server::build().workers(workers).shutdown_timeout(grace.as_secs()).disable_signals();
    let server = server.max_concurrent_connections(connections(files(), workers));
    let stopping = server.graceful_shutdown_signal();
    let server = server.listen("http", listener, move || {
        let stopping = stopping.clone();
        let stopping = move || {
            let stopping = stopping.clone();
            async move { stopping.notified().await }
        };
        let app = map_config(app().into_factory(), |()| AppConfig::default());
        let http = HttpService::build()
            .client_request_timeout(UNANSWERED)
            .keep_alive(KEEP_ALIVE)
            .client_disconnect_timeout(DISCONNECT)
            .graceful_shutdown_signal(stopping)
            .on_connect_ext(|connection: &Connection, data| drop(data.insert(connection.intake())))
            .finish(app.map_err(|error| error.error_response()));
        fn_service(async |stream: TcpStream| {
            let client = stream.peer_addr().ok();
            Ok((Connection::new(stream), Protocol::Http1, client))
        })
        .and_then(http)
    });
    Ok(server?.run())
}

/// How many files this process may have open. A shell or a service manager sets a low bound that a process may raise as far as the
/// hard one, and this does.
fn files() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    let files = if setrlimit(Resource::Nofile, raised).is_ok() { limit.maximum } else { limit.current };
    files.map_or(usize::MAX, |files| usize::try_from(files).unwrap_or(usize::MAX))
}

/// How many connections a worker may have open, so that they never take all files.
fn connections(files: usize, workers: usize) -> usize {
    let left = files.saturating_sub(OTHER_FILES) / workers.max(1);
    let bound = left.clamp(1, CONNECTIONS);
    if bound < CONNECTIONS {
        tracing::warn!(files, bound, "few files may be open (ulimit -n), so each worker takes fewer connections");
    }
    bound
}

async fn nothing_here() -> Result<&'static str, Problem> {
    Err(Problem::not_found())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_files_to_the_rest() {
        assert_eq!(connections(1_000_000, 4), CONNECTIONS);
        assert_eq!(connections(1_024, 2), 312);
        assert_eq!((connections(100, 2), connections(1_024, 0)), (1, 624), "it serves at least");
    }

    #[test]
    fn the_bound_of_a_shell_is_raised() {
        let limit = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: Some(256), ..limit }).unwrap();
        assert_eq!(files(), limit.maximum.map_or(usize::MAX, |most| most.try_into().unwrap()));
        assert_eq!(getrlimit(Resource::Nofile).current, limit.maximum);
    }
}
