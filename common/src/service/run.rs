//! Running services: one for each process, or several in one. Starts all or nothing, and stops in good order.

use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use actix_web::web;
use mongodb::Client;
use mongodb::options::ClientOptions;
use secrecy::ExposeSecret;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::dead_letters::Desks;
use super::{Context, Job, Opened, Pages, Service, StartError};
use crate::bus::{Bus, DeadLetters, Listener, Namespace, Received, listen};
use crate::clock::{SharedClock, Time};
use crate::events::UserEvent;
use crate::http::auth::TOKENS_LIVE;
use crate::http::{
    Admission, IdempotencyStore, LoadShedder, Readiness, Revocations, Route, ServerOptions, ServiceHttp, Verifier,
    bind, serve, serve_ops,
};
use crate::settings::{Settings, SettingsError};
use crate::store::{EventArchive, Relay, StoreError};

/// How long the database may take to answer at the start.
const DATABASE_WAIT: Duration = Duration::from_secs(10);

/// How long one connection to it may take, how many there may be, and how many are made at a time. Requests beyond that
/// wait for a connection; the admission bounds how many requests there are. More connections would only have MongoDB
/// divide its cores among more commands. The address may say otherwise (`maxPoolSize` and so on).
const CONNECT_WAIT: Duration = Duration::from_secs(5);
const CONNECTIONS: u32 = 64;
const CONNECTING: u32 = 8;

const CHECK_EVERY: Duration = Duration::from_secs(2);

/// Runs services as a process of their own until a signal ends it.
pub fn main(services: Vec<Service>) -> ExitCode {
    match block_on(run(services)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs `work` on threads of its own, as every process of Docket does.
pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = || tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = move || runtime().expect("the system gives threads to a process that starts");
    actix_web::rt::System::with_tokio_rt(runtime).block_on(work)
}

async fn run(services: Vec<Service>) -> Result<(), StartError> {
    let signal = StopSignal::listen()?;
    let running = start(services, Settings::parse_from_env()?).await?;
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
    pub async fn received(mut self) {
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
    stop: CancellationToken,
    tasks: TaskTracker,
    server: ServerHandle,
    ops_server: ServerHandle,
    bus: Bus,
    telemetry: crate::telemetry::TelemetryGuard,
}

/// Starts services in this process. When this returns they answer.
///
/// # Errors
/// [`StartError`]: whatever keeps one of them from starting keeps all of them.
pub async fn start(services: Vec<Service>, settings: Settings) -> Result<Running, StartError> {
    settings.validate()?;
    let telemetry = crate::telemetry::init(&settings)?;
    let (http, http_addr) = open_port(settings.http_addr)?;
    let (ops, ops_addr) = open_port(settings.ops_addr)?;
    let settings = Arc::new(settings.bound_to(http_addr));
    let frame = Frame::connect(settings.clone()).await?;
    let mut desks = Desks::default();
    let mut mounts =
        vec![Mount { routes: super::frame_routes(), pages: None, data: Arc::new(|_| {}), http: frame.http(None) }];
    for service in services {
        mounts.push(frame.open(service, &mut desks).await?);
    }
    let desks = web::Data::new(desks);
    let mounts = Arc::new(mounts);
    let routes = mounts.iter().flat_map(|mount| &mount.routes);
    let shedder = LoadShedder::new(frame.admission.clone(), routes);
    let options = ServerOptions::new(&settings, frame.readiness.clone()).shedding(shedder);
    let served = serve(http, options, move |cfg| {
        cfg.app_data(desks.clone());
        mounts.iter().for_each(|mount| mount.configure(cfg));
    });
    let server = run_server(served, http_addr)?;
    let ops_server = run_server(serve_ops(ops, frame.readiness.clone()), ops_addr)?;
    frame.watch();
    let Frame { readiness, closing, stop, tasks, bus, .. } = frame;
    tracing::info!(%http_addr, %ops_addr, "ready");
    let (http, ops) = (http_addr, ops_addr);
    Ok(Running { http, ops, settings, readiness, closing, stop, tasks, server, ops_server, bus, telemetry })
}

/// Publishes the events that the named services have published since `since` once more. Answers how many.
///
/// # Errors
/// [`StartError`] if a server does not answer, or the broker did not take all events.
pub async fn republish(services: &[&str], settings: &Settings, since: Time) -> Result<usize, StartError> {
    let client = connect_database(settings).await?;
    let bus = connect_bus(settings).await?;
    let mut count = 0;
    for service in services {
        let archive = EventArchive::new(&client.database(&bus.namespace().database(service)));
        let mut events = archive.since(since).await?;
        while let Some(batch) = events.next_batch().await? {
            bus.publish_all(&batch).await.into_iter().collect::<Result<(), _>>()?;
            count += batch.len();
        }
    }
    Ok(count)
}

fn open_port(addr: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    bind(addr).map_err(|source| StartError::Listen { addr, source })
}

fn run_server(served: std::io::Result<Server>, addr: SocketAddr) -> Result<ServerHandle, StartError> {
    let server = served.map_err(|source| StartError::Listen { addr, source })?;
    let handle = server.handle();
    tokio::spawn(server);
    Ok(handle)
}

/// One service's routes and what its handlers need.
struct Mount {
    routes: Vec<Route>,
    pages: Option<Pages>,
    data: Arc<dyn Fn(&mut web::ServiceConfig) + Send + Sync>,
    http: ServiceHttp,
}

impl Mount {
    fn configure(&self, cfg: &mut web::ServiceConfig) {
        (self.data)(cfg);
        crate::http::configure(&self.routes, cfg, &self.http);
        self.pages.iter().for_each(|pages| pages(cfg));
    }
}

/// What all services of a process share.
struct Frame {
    settings: Arc<Settings>,
    clock: SharedClock,
    client: Client,
    bus: Bus,
    verifier: Arc<Verifier>,
    admission: Admission,
    readiness: Readiness,
    closing: CancellationToken,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Frame {
    async fn connect(settings: Arc<Settings>) -> Result<Self, StartError> {
        let clock = settings.clock();
        let client = connect_database(&settings).await?;
        let bus = connect_bus(&settings).await?;
        let (closing, stop, tasks) = (CancellationToken::new(), CancellationToken::new(), TaskTracker::new());
        let verifier = Verifier::new(settings.jwks_url(), clock.clone());
        let (learning, since) = (verifier.clone(), clock.now() - TOKENS_LIVE);
        let follow = bus.follow(since, stop.clone(), move |event| learn(learning.revocations(), &event));
        tasks.spawn(follow.await?);
        let readiness = Readiness::waiting_for(["mongodb", "nats"]);
        let admission = Admission::new(&settings);
        Ok(Self { settings, clock, client, bus, verifier, admission, readiness, closing, stop, tasks })
    }

    fn http(&self, idempotency: Option<IdempotencyStore>) -> ServiceHttp {
        let (verifier, admission) = (self.verifier.clone(), self.admission.clone());
        ServiceHttp { verifier, idempotency, public_url: self.settings.public_url(), admission }
    }

    async fn open(&self, service: Service, desks: &mut Desks) -> Result<Mount, StartError> {
        let Service { name, routes, pages, indexes, open, .. } = service;
        let database = self.client.database(&self.bus.namespace().database(name));
        for declared in indexes.iter().chain([&IdempotencyStore::indexes()]) {
            declared.ensure(&database).await?;
        }
        let idempotency = IdempotencyStore::new(&database, self.clock.clone());
        let (relay, work) = Relay::new(&database, self.bus.clone(), self.clock.clone(), self.stop.clone());
        self.tasks.spawn(work);
        let letters = DeadLetters::new(&database, self.clock.clone());
        let Opened { data, listeners, jobs } = open(self.context(database, relay)).await?;
        for listener in &listeners {
            self.hear(name, listener.clone(), letters.clone());
        }
        jobs.into_iter().for_each(|job| self.repeat(name, job));
        desks.0.insert(name, (letters, listeners));
        Ok(Mount { routes, pages, data, http: self.http(Some(idempotency)) })
    }

    fn context(&self, database: mongodb::Database, relay: Relay) -> Context {
        Context {
            settings: self.settings.clone(),
            clock: self.clock.clone(),
            database,
            bus: self.bus.clone(),
            relay,
            admission: self.admission.clone(),
            closing: self.closing.clone(),
            stop: self.stop.clone(),
            tasks: self.tasks.clone(),
        }
    }

    fn hear(&self, service: &'static str, listener: Listener, letters: DeadLetters) {
        self.tasks.spawn(listen(self.bus.clone(), service, listener, letters, self.stop.clone()));
    }

    fn repeat(&self, service: &'static str, job: Job) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            let mut turns = tokio::time::interval(job.every);
            turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    _ = turns.tick() => {}
                }
                if let Err(error) = (job.turn)().await {
                    tracing::warn!(error, service, job = job.name, "job failed; its next turn comes");
                }
            }
        });
    }

    /// Keeps `/readyz` true to what the database and the broker say.
    fn watch(&self) {
        let (client, bus, readiness, stop) =
            (self.client.clone(), self.bus.clone(), self.readiness.clone(), self.stop.clone());
        self.readiness.set("mongodb", true);
        self.readiness.set("nats", true);
        self.tasks.spawn(async move {
            while stop.run_until_cancelled(tokio::time::sleep(CHECK_EVERY)).await.is_some() {
                readiness.set("mongodb", ping(&client).await.is_ok());
                readiness.set("nats", bus.is_connected());
            }
        });
    }
}

fn missing(variable: &str) -> StartError {
    SettingsError::missing(variable).into()
}

pub(super) async fn connect_bus(settings: &Settings) -> Result<Bus, StartError> {
    let nats = settings.nats_url.as_ref().ok_or_else(|| missing("NATS_URL"))?;
    let bus = Bus::connect(nats.expose_secret(), Namespace::new(&settings.namespace)).await?;
    bus.ensure_streams(usize::from(settings.nats_replicas)).await?;
    Ok(bus)
}

pub(super) async fn connect_database(settings: &Settings) -> Result<Client, StartError> {
    let uri = settings.mongodb_uri.as_ref().ok_or_else(|| missing("MONGODB_URI"))?;
    let mut options = ClientOptions::parse(uri.expose_secret()).await.map_err(StoreError::from)?;
    options.server_selection_timeout = Some(DATABASE_WAIT);
    options.app_name = Some("docket".to_owned());
    options.connect_timeout.get_or_insert(CONNECT_WAIT);
    options.max_pool_size.get_or_insert(CONNECTIONS);
    options.max_connecting.get_or_insert(CONNECTING);
    let client = Client::with_options(options).map_err(StoreError::from)?;
    ping(&client).await?;
    Ok(client)
}

async fn ping(client: &Client) -> Result<(), StoreError> {
    client.database("admin").run_command(bson::doc! { "ping": 1 }).await?;
    Ok(())
}

fn learn(revocations: &Revocations, received: &Received<UserEvent>) {
    let until = received.record.at + TOKENS_LIVE;
    match &received.event {
        UserEvent::SessionRevoked(revoked) => revocations.revoke_session(revoked.session_id, until),
        UserEvent::RoleChanged(changed) => revocations.require_version(changed.user_id, received.record.version, until),
        UserEvent::Disabled(disabled) => revocations.disable(disabled.user_id, until),
        _ => {}
    }
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

    /// Stops: says so at `/readyz`, takes no new requests after the drain time, answers those it has, finishes what listeners and jobs have begun, publishes what is committed.
    pub async fn stop(self) {
        self.readiness.drain();
        tokio::time::sleep(self.settings.drain()).await;
        self.closing.cancel();
        self.server.stop(true).await;
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(self.settings.shutdown_grace(), self.tasks.wait()).await.is_err() {
            tracing::warn!("some work did not end in time; the sweeps finish it at the next start");
        }
        self.bus.flush().await;
        self.ops_server.stop(true).await;
        // The exporter waits for the collector, and must not make this thread wait.
        let _ = tokio::task::spawn_blocking(|| self.telemetry.flush()).await;
    }
}
