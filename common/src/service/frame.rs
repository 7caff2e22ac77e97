//! What the services of a process stand in: servers, ports for their routes, listeners and jobs that go on.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web;
use futures::FutureExt as _;
use metrics::{Counter, counter};
use secrecy::ExposeSecret;
use tokio_util::sync::CancellationToken;

use super::behind::Behind;
use super::context::follow;
use super::dead_letters::Desks;
use super::rebuilding::Marks;
use super::shared_server::SharedServer;
use super::watch::{watch_disk, watch_publishing};
use super::{Configure, Context, Job, Kind, Opened, Service, Site, StartError};
use crate::bus::{Bus, DeadLetters, Intake, Namespace, ParkedEvents, ParkedWorker, Received, listen};
use crate::clock::SharedClock;
use crate::events::{DomainEvent as _, UserEvent};
use crate::http::auth::TOKENS_LIVE;
use crate::http::{
    Admission, AnsweredBy, IdempotencyStore, LoadShedder, Readiness, Revocations, Route, ServerOptions, ServiceHttp,
    Status, Verifier,
};
use crate::settings::{Settings, SettingsError};
use crate::store::{Client, Database, Relay};
use crate::supervisor::{Need, Supervisor};

/// Whose the routes are that every process has beside its services'.
const FRAME: &str = "frame";

/// What `/readyz`, `/status` and the metrics call the servers.
const MONGODB: &str = "mongodb";
const NATS: &str = "nats";

/// How long one turn of a job may take. What hangs longer is given up, counted, and begun again at the next turn.
const TURN_LIMIT: Duration = Duration::from_secs(120);

/// How soon servers that were not ready are asked again.
const LOOKS_AGAIN: Duration = Duration::from_secs(1);

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
    pub(super) supervisor: Supervisor,
    pub(super) status: Status,
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
    /// A frame for `services`, which has not found the servers that they need.
    pub(super) fn for_services(services: &[Service], settings: Arc<Settings>) -> Self {
        let servers = if keep_something(services) { &[MONGODB, NATS][..] } else { &[] };
        let readiness = Readiness::waiting_for(servers.iter().copied());
        Self {
            clock: settings.clock(),
            supervisor: Supervisor::new(readiness.clone()),
            readiness,
            closing: CancellationToken::new(),
            status: Status::default(),
            admission: Admission::new(&settings),
            servers: None,
            settings,
        }
    }

    /// Finds the database and the broker, if any of `services` needs them. Waits for as long as they, or this service's users
    /// there, are not there yet.
    pub(super) async fn find_servers(&mut self, services: &[Service]) -> Result<(), StartError> {
        if keep_something(services) {
            let (client, bus) = self.reach(&owned_domains(services)).await?;
            self.servers = Some(self.begin_with(client, bus).await?);
        }
        Ok(())
    }

    async fn reach(&self, owned: &[&'static str]) -> Result<(Client, Bus), StartError> {
        let mut said = String::new();
        loop {
            let error = match self.connect(owned).await {
                Ok(servers) => return Ok(servers),
                Err(error) if error.may_pass() => error.to_string(),
                Err(error) => return Err(error),
            };
            if error != said {
                tracing::warn!(error, "the servers that the settings name are not ready; waiting for them");
                said = error;
            }
            tokio::time::sleep(LOOKS_AGAIN).await;
        }
    }

    async fn connect(&self, owned: &[&'static str]) -> Result<(Client, Bus), StartError> {
        let client = connect_database(&self.settings).await?;
        let bus = connect_bus(&self.settings).await?;
        bus.bound_streams(owned).await?;
        Ok((client, bus))
    }

    async fn begin_with(&self, client: Client, bus: Bus) -> Result<Servers, StartError> {
        let verifier = Verifier::new(self.settings.jwks_url(), self.clock.clone());
        let (learning, since) = (verifier.clone(), self.clock.now() - TOKENS_LIVE);
        let learn = move |event| learn(learning.revocations(), &event);
        follow(&self.supervisor, &bus, since, learn).await?;
        if let Some(first) = bus.complete_from(UserEvent::DOMAIN, since).await? {
            tracing::warn!(%first, "the stream of users has dropped what may have ended a session; tokens of before are refused");
            verifier.revocations().refuse_made_before(first);
        }
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
                let Self { settings, clock, closing, readiness, .. } = self;
                let (settings, clock, closing) = (settings.clone(), clock.clone(), closing.clone());
                let site = Site { settings, clock, closing, readiness: readiness.clone() };
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
        let marks = Marks::of(name, &database);
        if let Some(unheard) = marks.unheard(servers.bus.clone(), self.readiness.clone()).await? {
            let begin = move |stop| unheard.clone().hear(stop);
            self.supervisor.supervise(format!("rebuilding {name}"), Need::Optional, begin);
        }
        let idempotency = IdempotencyStore::new(&database, self.clock.clone());
        let (relay, work) = Relay::new(name, &database, servers.bus.clone(), self.clock.clone());
        self.supervisor.supervise_relay(format!("relay {name}"), move |stop| work.run(stop));
        let letters = DeadLetters::new(&database, self.clock.clone());
        let parked = ParkedEvents::new(&database, self.clock.clone());
        let intake = Intake { service: name, letters: letters.clone(), parked: parked.clone() };
        let Opened { data, listeners, jobs } = (keeping.open)(self.context(servers, database, relay.clone())).await?;
        for listener in &listeners {
            let (bus, intake, listener) = (servers.bus.clone(), intake.clone(), listener.clone());
            let task = format!("listener {name} {}", listener.domain);
            let begin = move |stop| listen(bus.clone(), intake.clone(), listener.clone(), stop);
            self.supervisor.supervise(task, Need::Needed, begin);
        }
        let worker = Arc::new(ParkedWorker::new(intake.clone(), &listeners));
        let begin = move |stop| worker.clone().run(stop);
        self.supervisor.supervise(format!("parked events {name}"), Need::Needed, begin);
        jobs.into_iter().for_each(|job| self.repeat(name, job));
        let (bus, clock, domains) = (servers.bus.clone(), self.clock.clone(), keeping.domains);
        let owned = keeping.publishes;
        let behind = Arc::new(Behind { service: name, bus, clock, relay, letters, parked, domains, owned });
        let watch = move |stop| behind.clone().watch(stop);
        self.supervisor.supervise(format!("watch {name}"), Need::Optional, watch);
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
            supervisor: self.supervisor.clone(),
            status: self.status.clone(),
        }
    }

    fn repeat(&self, service: &'static str, job: Job) {
        let task = format!("job {service} {}", job.name);
        let given_up = counter!("job_turns_given_up_total", "service" => service, "job" => job.name);
        let begin = move |stop| take_turns(service, job.clone(), given_up.clone(), stop);
        self.supervisor.supervise(task, Need::Optional, begin);
    }

    /// Keeps `/readyz`, `/status` and the metrics true to what this process sees of its servers and its disk.
    pub(super) fn watch(&self) {
        let Some(servers) = &self.servers else { return };
        for server in [self.database_server(servers), self.broker(servers)] {
            server.watch(&self.supervisor, self.readiness.clone(), self.status.clone());
        }
        let (publishing, status) = (servers.bus.publishing().clone(), self.status.clone());
        let watch = move |stop| watch_publishing(publishing.clone(), status.clone(), stop);
        self.supervisor.supervise("watch publishing", Need::Optional, watch);
        let (folder, status) = (self.settings.data_dir.clone(), self.status.clone());
        let watch = move |stop| watch_disk(folder.clone(), status.clone(), stop);
        self.supervisor.supervise("watch disk", Need::Optional, watch);
    }

    fn database_server(&self, servers: &Servers) -> SharedServer {
        let (client, settings) = (servers.client.clone(), self.settings.clone());
        let (answering, admission) = (client.clone(), self.admission.clone());
        let own = move || {
            let client = client.clone();
            async move { client.ping().await.is_ok() }.boxed()
        };
        let fresh = move || {
            let settings = settings.clone();
            async move { connect_database(&settings).await.is_ok() }.boxed()
        };
        let last_answer = Box::new(move || answering.last_answer());
        let tell = Box::new(move |answers| admission.note_database(answers));
        SharedServer { name: MONGODB, own: Box::new(own), fresh: Box::new(fresh), last_answer, tell }
    }

    fn broker(&self, servers: &Servers) -> SharedServer {
        let (bus, settings) = (servers.bus.clone(), self.settings.clone());
        let own = move || {
            let bus = bus.clone();
            async move { bus.is_connected() && bus.answers().await }.boxed()
        };
        let fresh = move || {
            let settings = settings.clone();
            async move {
                match reach_bus(&settings).await {
                    Ok(bus) => bus.answers().await,
                    Err(_) => false,
                }
            }
            .boxed()
        };
        // One connection carries all, and the question with it. No request waits for the broker.
        let (last_answer, tell) = (Box::new(|| None), Box::new(|_| {}));
        SharedServer { name: NATS, own: Box::new(own), fresh: Box::new(fresh), last_answer, tell }
    }

    /// The broker, if there is one.
    pub(super) fn bus(&self) -> Option<Bus> {
        self.servers.as_ref().map(|servers| servers.bus.clone())
    }
}

/// Has a job do its turns until the stop.
async fn take_turns(service: &'static str, job: Job, given_up: Counter, stop: CancellationToken) {
    let mut turns = tokio::time::interval(job.every);
    turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while stop.run_until_cancelled(turns.tick()).await.is_some() {
        match tokio::time::timeout(TURN_LIMIT, (job.turn)()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(error, service, job = job.name, "job failed; its next turn comes"),
            Err(_) => {
                given_up.increment(1);
                tracing::error!(service, job = job.name, "a turn of a job hangs and was given up; its next turn comes");
            }
        }
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
    let bus = Bus::connect(nats.expose_secret(), Namespace::new(&settings.namespace)).await?;
    Ok(bus.bounded_by(settings.stream_bounds()))
}

fn keep_something(services: &[Service]) -> bool {
    services.iter().any(Service::keeps_state)
}

/// The domains whose events these services publish.
fn owned_domains(services: &[Service]) -> Vec<&'static str> {
    services.iter().flat_map(|service| service.publishes()).copied().collect()
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
        UserEvent::EmailVerified(verified) => {
            revocations.require_version(verified.user_id, received.record.version, until);
        }
        UserEvent::Disabled(disabled) => revocations.disable(disabled.user_id, until),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_turn_that_hangs_for_ever_is_given_up_and_the_next_one_comes() {
        let (turns, (told, mut heard)) = (Arc::new(AtomicU32::new(0)), mpsc::unbounded_channel());
        let turn = move || {
            let (nth, told) = (turns.fetch_add(1, Ordering::SeqCst), told.clone());
            async move {
                if nth == 0 {
                    std::future::pending::<()>().await;
                }
                told.send(nth)?;
                Ok(())
            }
            .boxed()
        };
        let job = Job { name: "hangs", every: Duration::from_secs(1), turn: Arc::new(turn) };
        let stop = CancellationToken::new();
        let going_on = stop.run_until_cancelled(take_turns("tests", job, Counter::noop(), stop.clone()));
        tokio::select! {
            _ = going_on => panic!("a job goes on until the stop"),
            turn = tokio::time::timeout(TURN_LIMIT * 2, heard.recv()) => assert_eq!(turn, Ok(Some(1))),
        }
    }
}
