//! Running services: one for each process, or several in one. Starts all or nothing, and stops in good order.

use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::sync::Arc;

use actix_web::dev::{Server, ServerHandle};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::frame::{Frame, Mount};
use super::reach::cannot_listen;
use super::{Service, StartError};
use crate::bus::{Bus, Publishing};
use crate::http::{Readiness, UnderWay, bind, serve, serve_ops};
use crate::settings::{Settings, SettingsError};
use crate::supervisor::{Need, Supervisor};

/// What a process answers whose settings are wrong: to start it again does not help.
const WRONG_SETTINGS: u8 = 2;

/// Runs services as a process of their own until a signal ends it.
pub fn main(services: Vec<Service>) -> ExitCode {
    ended(block_on(run(services)))
}

/// How a process ends, and why if it had to.
pub fn ended(outcome: Result<(), StartError>) -> ExitCode {
    let Err(error) = outcome else { return ExitCode::SUCCESS };
    eprintln!("{error}");
    if matches!(error, StartError::Settings(_)) { ExitCode::from(WRONG_SETTINGS) } else { ExitCode::FAILURE }
}

/// Runs `work` on threads of its own, as every process of Docket does.
pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = || tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = move || runtime().expect("the system gives threads to a process that starts");
    actix_web::rt::System::with_tokio_rt(runtime).block_on(work)
}

async fn run(services: Vec<Service>) -> Result<(), StartError> {
    let mut signal = StopSignal::listen()?;
    let running = tokio::select! {
        running = start(services, Settings::parse_from_env()?) => running?,
        // Nothing was answered yet, and what was taken from the bus comes again.
        () = signal.received() => return Ok(()),
    };
    signal.received().await;
    running.stop().await;
    Ok(())
}

/// Ctrl-C or SIGTERM. Listened for before anything is started, so that one which comes meanwhile is not lost.
pub struct StopSignal {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignal {
    /// Begins to listen; from now on the signals do not end the process by themselves.
    ///
    /// # Errors
    /// If the system does not let this process listen.
    pub fn listen() -> Result<Self, StartError> {
        let on = |kind| signal(kind).map_err(StartError::other);
        Ok(Self { interrupt: on(SignalKind::interrupt())?, terminate: on(SignalKind::terminate())? })
    }

    /// Waits for the first of them.
    pub async fn received(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
        tracing::info!("stopping");
    }
}

/// Services that run.
pub struct Running {
    http: SocketAddr,
    ops: SocketAddr,
    settings: Arc<Settings>,
    readiness: Readiness,
    closing: CancellationToken,
    supervisor: Supervisor,
    server: ServerHandle,
    under_way: UnderWay,
    ops_server: ServerHandle,
    bus: Option<Bus>,
    telemetry: crate::telemetry::TelemetryGuard,
}

/// Starts services in this process. When this returns they answer. Servers that are not there yet are waited for.
///
/// # Errors
/// [`StartError`]: whatever keeps one of them from starting keeps all of them.
pub async fn start(services: Vec<Service>, settings: Settings) -> Result<Running, StartError> {
    settings.validate()?;
    let telemetry = crate::telemetry::init(&settings, name_of(&services))?;
    let ((http, http_addr), (ops, ops_addr)) = open_ports(&settings)?;
    let settings = Arc::new(settings.bound_to(http_addr));
    let mut frame = Frame::for_services(&services, settings.clone());
    // It is alive while it waits for its servers, and says that it is not ready.
    let ops_served = serve_ops(ops, frame.readiness.clone(), frame.status.clone());
    let ops_server = run_server("ops server", ops_served, ops_addr, &frame.supervisor)?;
    let mounts = match open(&mut frame, services).await {
        Ok(mounts) => Arc::new(mounts),
        Err(error) => {
            ops_server.stop(false).await;
            return Err(error);
        }
    };
    let options = frame.options(&mounts);
    let under_way = options.under_way.clone();
    let served = serve(http, options, move |cfg| mounts.iter().for_each(|mount| mount.configure(cfg)));
    let server = run_server("HTTP server", served, http_addr, &frame.supervisor)?;
    frame.watch();
    let bus = frame.bus();
    let Frame { readiness, closing, supervisor, .. } = frame;
    tracing::info!(%http_addr, %ops_addr, "ready");
    let (http, ops) = (http_addr, ops_addr);
    Ok(Running { http, ops, settings, readiness, closing, supervisor, server, under_way, ops_server, bus, telemetry })
}

async fn open(frame: &mut Frame, services: Vec<Service>) -> Result<Vec<Mount>, StartError> {
    frame.find_servers(&services).await?;
    frame.open(services).await
}

/// What traces call a process: by its service, or by all of them.
fn name_of(services: &[Service]) -> &'static str {
    if let [service] = services { service.name() } else { "docket" }
}

type Port = (TcpListener, SocketAddr);

/// Both ports of a process; what is wrong with either is told.
fn open_ports(settings: &Settings) -> Result<(Port, Port), SettingsError> {
    let mut wrong = SettingsError::default();
    let mut open = |variable, addr| bind(addr).inspect_err(|error| wrong.tell(variable, cannot_listen(addr, error)));
    let http = open("DOCKET_HTTP_ADDR", settings.http_addr);
    let ops = open("DOCKET_OPS_ADDR", settings.ops_addr);
    let (Ok(http), Ok(ops)) = (http, ops) else { return Err(wrong) };
    Ok((http, ops))
}

fn run_server(
    name: &'static str,
    served: std::io::Result<Server>,
    addr: SocketAddr,
    supervisor: &Supervisor,
) -> Result<ServerHandle, StartError> {
    let server = served.map_err(|source| StartError::Listen { addr, source })?;
    let handle = server.handle();
    supervisor.serve(name, server);
    Ok(handle)
}

impl Running {
    /// Where the API answers.
    pub fn http_addr(&self) -> SocketAddr {
        self.http
    }

    /// Where health and metrics answer.
    pub fn ops_addr(&self) -> SocketAddr {
        self.ops
    }

    /// How publishing goes, if there is a broker.
    pub fn publishing(&self) -> Option<&Publishing> {
        self.bus.as_ref().map(Bus::publishing)
    }

    /// Keeps a task of the caller's going until the stop; this replica can serve without it.
    pub fn supervise<F, Fut>(&self, name: &'static str, begin: F)
    where
        F: Fn(CancellationToken) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.supervisor.supervise(name, Need::Optional, begin);
    }

    /// Stops: says so at `/readyz`, takes no new requests after the drain time, answers those it has, finishes what
    /// listeners and jobs have begun, and then publishes what is committed.
    pub async fn stop(self) {
        self.readiness.drain();
        tokio::time::sleep(self.settings.drain()).await;
        self.closing.cancel();
        self.under_way.stop(&self.server, self.settings.shutdown_grace()).await;
        self.supervisor.stop(self.settings.shutdown_grace()).await;
        if let Some(bus) = &self.bus {
            bus.flush(self.settings.shutdown_grace()).await;
        }
        self.ops_server.stop(true).await;
        // The exporter waits for the collector, and must not make this thread wait.
        let _ = tokio::task::spawn_blocking(|| self.telemetry.flush()).await;
    }
}
