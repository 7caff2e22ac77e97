//! The HTTP server with what every answer has: a trace, a request id, safe headers, and problems told one way.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::middleware::{Next, from_fn};
use actix_web::web::ServiceConfig;
use actix_web::{App, HttpServer, web};
use tokio::net::TcpSocket;
use tracing_actix_web::TracingLogger;

use super::client_address::TrustedProxies;
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
const SLOWEST_HEADERS: Duration = Duration::from_secs(10);
const KEEP_ALIVE: Duration = Duration::from_secs(75);
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
    let server = HttpServer::new(move || {
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
    });
    let server = server.workers(workers).shutdown_timeout(grace.as_secs()).disable_signals();
    let server = server.client_request_timeout(SLOWEST_HEADERS).keep_alive(KEEP_ALIVE);
    Ok(server.max_connections(CONNECTIONS).listen(listener)?.run())
}

async fn nothing_here() -> Result<&'static str, Problem> {
    Err(Problem::not_found())
}
