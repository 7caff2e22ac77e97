//! What the services of a process stand in: servers, ports for their routes, listeners and jobs that go on.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web;
use secrecy::ExposeSecret;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::behind::Behind;
use super::dead_letters::Desks;
use super::{Configure, Context, Job, Kind, Opened, Service, Site, StartError};
use crate::bus::{Bus, DeadLetters, Intake, Namespace, ParkedEvents, ParkedWorker, Received, listen};
use crate::clock::SharedClock;
use crate::events::UserEvent;
use crate::http::auth::TOKENS_LIVE;
use crate::http::{
    Admission, AnsweredBy, IdempotencyStore, LoadShedder, Readiness, Revocations, Route, ServerOptions, ServiceHttp,
    Verifier,
};
use crate::settings::{Settings, SettingsError};
use crate::store::{Client, Database, Relay};

/// Whose the routes are that every process has beside its services'.
const FRAME: &str = "frame";

const CHECK_EVERY: Duration = Duration::from_secs(2);

/// What a service answers requests with.
pub(super) struct Mount {
    routes: Vec<Route>,
    configure: Configure,
}

/// What all services of a process share.
pub(super) struct Frame {
    settings: Arc<Settings>,
    clock: SharedClock,
    pub(super) readiness: Readiness,
    pub(super) closing: CancellationToken,
    pub(super) stop: CancellationToken,
    pub(super) tasks: TaskTracker,
    admission: Admission,
    servers: Option<Servers>,
}

/// What services that keep something share beyond that.
struct Servers {
    client: Client,
    bus: Bus,
    verifier: Arc<Verifier>,
}

impl Frame {
    /// A frame for `services`, with a database and a broker if any of them needs these.
    pub(super) async fn for_services(services: &[Service], settings: Arc<Settings>) -> Result<Self, StartError> {
        let keeping = services.iter().any(Service::keeps_state);
        let mut frame = Self {
            clock: settings.clock(),
            readiness: Readiness::waiting_for(if keeping { &["mongodb", "nats"][..] } else { &[] }.iter().copied()),
            closing: CancellationToken::new(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            admission: Admission::new(&settings),
            servers: None,
            settings,
        };
        if keeping {
            frame.servers = Some(frame.connect().await?);
        }
        Ok(frame)
    }

    async fn connect(&self) -> Result<Servers, StartError> {
        let client = connect_database(&self.settings).await?;
        let bus = connect_bus(&self.settings).await?;
        let verifier = Verifier::new(self.settings.jwks_url(), self.clock.clone());
        let (learning, since) = (verifier.clone(), self.clock.now() - TOKENS_LIVE);
        let follow = bus.follow(since, self.stop.clone(), move |event| learn(learning.revocations(), &event));
        self.tasks.spawn(follow.await?);
        Ok(Servers { client, bus, verifier })
    }

    /// Opens all services.
    pub(super) async fn open(&self, services: Vec<Service>) -> Result<Vec<Mount>, StartError> {
        let mut desks = Desks::default();
        let mut mounts = Vec::new();
        for service in services {
            mounts.push(self.open_one(service, &mut desks).await?);
        }
        if let Some(servers) = &self.servers {
            mounts.push(self.mount_desks(servers, desks));
        }
        Ok(mounts)
    }

    async fn open_one(&self, service: Service, desks: &mut Desks) -> Result<Mount, StartError> {
        match (service.kind, &self.servers) {
            (Kind::Pages(open), _) => {
                let Self { settings, clock, closing, .. } = self;
                let site = Site { settings: settings.clone(), clock: clock.clone(), closing: closing.clone() };
                Ok(Mount::of_pages(service.name, open(site)))
            }
            (Kind::Keeping(keeping), Some(servers)) => self.open_keeping(service.name, keeping, servers, desks).await,
            (Kind::Keeping(_), None) => {
                Err(StartError::other("a service that keeps something came to a frame of pages"))
            }
        }
    }

    async fn open_keeping(
        &self,
        name: &'static str,
        keeping: super::Keeping,
        servers: &Servers,
        desks: &mut Desks,
    ) -> Result<Mount, StartError> {
        let database = servers.client.database(&servers.bus.namespace().database(name));
        for declared in keeping.indexes.iter().chain([&IdempotencyStore::indexes()]) {
            declared.ensure(&database).await?;
        }
        let idempotency = IdempotencyStore::new(&database, self.clock.clone());
        let (relay, work) = Relay::new(name, &database, servers.bus.clone(), self.clock.clone(), self.stop.clone());
        self.tasks.spawn(work);
        let letters = DeadLetters::new(&database, self.clock.clone());
        let parked = ParkedEvents::new(&database, self.clock.clone());
        let intake = Intake { service: name, letters: letters.clone(), parked: parked.clone() };
        let Opened { data, listeners, jobs } = (keeping.open)(self.context(servers, database, relay.clone())).await?;
        for listener in &listeners {
            self.tasks.spawn(listen(servers.bus.clone(), intake.clone(), listener.clone(), self.stop.clone()));
        }
        self.tasks.spawn(ParkedWorker::new(intake.clone(), &listeners).run(self.stop.clone()));
        jobs.into_iter().for_each(|job| self.repeat(name, job));
        let (bus, clock, domains) = (servers.bus.clone(), self.clock.clone(), keeping.domains);
        let behind = Behind { service: name, bus, clock, relay, letters, parked, domains };
        self.tasks.spawn(behind.watch(self.stop.clone()));
        desks.0.insert(name, (intake, listeners));
        Ok(Mount::of_routes(keeping.routes, self.http(name, servers, Some(idempotency)), data))
    }

    /// The routes that every process has which keeps something.
    fn mount_desks(&self, servers: &Servers, desks: Desks) -> Mount {
        let desks = web::Data::new(desks);
        let data: Configure = Arc::new(move |cfg| {
            cfg.app_data(desks.clone());
        });
        Mount::of_routes(super::frame_routes(), self.http(FRAME, servers, None), data)
    }

    fn http(&self, service: &'static str, servers: &Servers, idempotency: Option<IdempotencyStore>) -> ServiceHttp {
        let (verifier, admission) = (servers.verifier.clone(), self.admission.clone());
        ServiceHttp { service, verifier, idempotency, public_url: self.settings.public_url(), admission }
    }

    /// How the process serves what is mounted.
    pub(super) fn options(&self, mounts: &[Mount]) -> ServerOptions {
        let routes = mounts.iter().flat_map(|mount| &mount.routes);
        let shedder = LoadShedder::new(self.admission.clone(), routes);
        ServerOptions::new(&self.settings, self.readiness.clone()).shedding(shedder)
    }

    fn context(&self, servers: &Servers, database: Database, relay: Relay) -> Context {
        Context {
            settings: self.settings.clone(),
            clock: self.clock.clone(),
            database,
            bus: servers.bus.clone(),
            relay,
            admission: self.admission.clone(),
            stop: self.stop.clone(),
            tasks: self.tasks.clone(),
        }
    }

    fn repeat(&self, service: &'static str, job: Job) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            let mut turns = tokio::time::interval(job.every);
            turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    biased;
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
    pub(super) fn watch(&self) {
        let Some(servers) = &self.servers else { return };
        let (client, bus, readiness, stop) =
            (servers.client.clone(), servers.bus.clone(), self.readiness.clone(), self.stop.clone());
        let tell = move |server: &'static str, up: bool| {
            readiness.set(server, up);
            metrics::gauge!("dependency_up", "dependency" => server).set(u8::from(up));
        };
        tell("mongodb", true);
        tell("nats", true);
        self.tasks.spawn(async move {
            while stop.run_until_cancelled(tokio::time::sleep(CHECK_EVERY)).await.is_some() {
                tell("mongodb", client.ping().await.is_ok());
                tell("nats", bus.is_connected());
            }
        });
    }

    /// The broker, if there is one.
    pub(super) fn bus(&self) -> Option<Bus> {
        self.servers.as_ref().map(|servers| servers.bus.clone())
    }
}

impl Mount {
    fn of_pages(name: &'static str, pages: Configure) -> Self {
        let configure: Configure = Arc::new(move |cfg| {
            cfg.app_data(AnsweredBy(name));
            pages(cfg);
        });
        Self { routes: Vec::new(), configure }
    }

    fn of_routes(routes: Vec<Route>, http: ServiceHttp, data: Configure) -> Self {
        let mounted = routes.clone();
        let configure: Configure = Arc::new(move |cfg| {
            data(cfg);
            crate::http::configure(&mounted, cfg, &http);
        });
        Self { routes, configure }
    }

    pub(super) fn configure(&self, cfg: &mut web::ServiceConfig) {
        (self.configure)(cfg);
    }
}

fn missing(variable: &str) -> StartError {
    SettingsError::missing(variable).into()
}

pub(super) async fn connect_bus(settings: &Settings) -> Result<Bus, StartError> {
    let bus = reach_bus(settings).await?;
    bus.ensure_streams(usize::from(settings.nats_replicas)).await?;
    Ok(bus)
}

/// The broker as it is: nothing is made there.
pub(super) async fn reach_bus(settings: &Settings) -> Result<Bus, StartError> {
    let nats = settings.nats_url.as_ref().ok_or_else(|| missing("NATS_URL"))?;
    Ok(Bus::connect(nats.expose_secret(), Namespace::new(&settings.namespace)).await?)
}

pub(super) async fn connect_database(settings: &Settings) -> Result<Client, StartError> {
    let uri = settings.mongodb_uri.as_ref().ok_or_else(|| missing("MONGODB_URI"))?;
    Ok(Client::connect(uri.expose_secret()).await?)
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
