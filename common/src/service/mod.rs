//! The frame of a service: what it is made of, and how one or several of them run in a process.

mod behind;
mod context;
mod dead_letters;
mod doctor;
mod frame;
mod reach;
mod rebuild;
mod rebuilding;
mod republish;
mod run;
mod shared_server;
mod watch;

pub use context::{Context, Site, StartError};
pub use doctor::{Finding, Health, examine, examine_stopped};
pub use reach::{of_ports, of_servers};
pub use rebuild::{ProjectionOf, Rebuilt, rebuild};
pub use republish::{Told, make_good, republish, tell_snapshots};
pub use run::{Running, StopSignal, block_on, ended, main, start};
pub use watch::Disk;

use std::sync::Arc;
use std::time::Duration;

use actix_web::web;
use futures::future::BoxFuture;

use crate::bus::{ListenError, Listener, Overtaken, ParkedEvents, Received};
use crate::events::DomainEvent;
use crate::http::{Policy, Role, Route, routes};
use crate::store::{Aggregate, EventArchive, Indexes, Owned};

/// What stops a job's turn. It is logged, and the job has its next turn.
pub type JobError = Box<dyn std::error::Error + Send + Sync>;

/// Work that is done again and again.
#[derive(Clone)]
pub(crate) struct Job {
    name: &'static str,
    every: Duration,
    turn: Arc<dyn Fn() -> BoxFuture<'static, Result<(), JobError>> + Send + Sync>,
}

/// Puts something into the application of each worker.
type Configure = Arc<dyn Fn(&mut web::ServiceConfig) + Send + Sync>;

/// A service that has its state: ready to serve.
pub(crate) struct Opened {
    data: Configure,
    listeners: Vec<Listener>,
    jobs: Vec<Job>,
}

type Open = Box<dyn FnOnce(Context) -> BoxFuture<'static, Result<Opened, StartError>> + Send>;

/// A service: its table of contents, and the way to open it.
pub struct Service {
    name: &'static str,
    kind: Kind,
}

/// What a service needs.
enum Kind {
    /// It keeps things, and needs a database and the broker.
    Keeping(Keeping),
    /// It shows pages, and needs nothing.
    Pages(Box<dyn FnOnce(Site) -> Configure + Send>),
}

/// A service that keeps something.
struct Keeping {
    routes: Vec<Route>,
    indexes: Vec<Indexes>,
    domains: Vec<&'static str>,
    projections: Vec<ProjectionOf>,
    owned: Vec<Owned>,
    publishes: Vec<&'static str>,
    open: Open,
}

impl Service {
    /// Begins a service whose state is made by `open`.
    #[expect(clippy::new_ret_no_self, reason = "a service is finished by its builder")]
    pub fn new<S, F, Fut>(name: &'static str, open: F) -> Builder<S>
    where
        S: Send + Sync + 'static,
        F: FnOnce(Context) -> Fut + Send + 'static,
        Fut: Future<Output = Result<S, StartError>> + Send + 'static,
    {
        let open = Box::new(move |ctx| -> BoxFuture<'static, _> { Box::pin(open(ctx)) });
        let indexes = vec![EventArchive::indexes(), dead_letters::indexes(), ParkedEvents::indexes()];
        Builder {
            name,
            open,
            routes: Vec::new(),
            indexes,
            domains: Vec::new(),
            projections: Vec::new(),
            owned: Vec::new(),
            publishes: Vec::new(),
            listeners: Vec::new(),
            jobs: Vec::new(),
        }
    }

    /// Its name, which names its database and its consumers.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Pages that everybody may ask for and that are no part of the API. What they show they ask of the APIs, as the visitor: so
    /// they have no routes with policies, keep nothing, and a process of pages alone needs neither database nor broker.
    pub fn pages<S: Send + Sync + 'static>(
        name: &'static str,
        open: impl FnOnce(Site) -> S + Send + 'static,
        mount: fn(&mut web::ServiceConfig),
    ) -> Self {
        let open = move |site| -> Configure {
            let state = web::Data::new(open(site));
            Arc::new(move |cfg| {
                cfg.app_data(state.clone());
                mount(cfg);
            })
        };
        Self { name, kind: Kind::Pages(Box::new(open)) }
    }

    /// Whether it keeps something, and so needs a database and the broker.
    pub fn keeps_state(&self) -> bool {
        matches!(self.kind, Kind::Keeping(_))
    }

    fn keeping(&self) -> Option<&Keeping> {
        match &self.kind {
            Kind::Keeping(keeping) => Some(keeping),
            Kind::Pages(_) => None,
        }
    }

    /// Its routes.
    pub fn routes(&self) -> &[Route] {
        self.keeping().map_or(&[], |keeping| &keeping.routes)
    }

    /// The indexes of its collections.
    pub fn indexes(&self) -> &[Indexes] {
        self.keeping().map_or(&[], |keeping| &keeping.indexes)
    }

    /// The domains it listens to.
    pub fn domains(&self) -> &[&'static str] {
        self.keeping().map_or(&[], |keeping| &keeping.domains)
    }

    /// What it keeps of others' aggregates.
    pub fn projections(&self) -> &[ProjectionOf] {
        self.keeping().map_or(&[], |keeping| &keeping.projections)
    }

    /// Its aggregates of which others may keep something.
    pub fn owned(&self) -> &[Owned] {
        self.keeping().map_or(&[], |keeping| &keeping.owned)
    }

    /// The domains whose events it publishes, and nobody else does.
    pub fn publishes(&self) -> &[&'static str] {
        self.keeping().map_or(&[], |keeping| &keeping.publishes)
    }
}

/// The routes that every process has beside its services', if these keep something.
pub fn frame_routes() -> Vec<Route> {
    routes! { dead_letters:
        list => Policy::Roles(&[Role::Admin]);
        // Before the letters by their ids, none of which is "replay".
        replay_all => Policy::Roles(&[Role::Admin]);
        show => Policy::Roles(&[Role::Admin]);
        replay => Policy::Roles(&[Role::Admin]);
        discard => Policy::Roles(&[Role::Admin]);
    }
}

type MakeListener<S> = Box<dyn Fn(&Arc<S>) -> Listener + Send>;
type MakeJob<S> = Box<dyn Fn(&Arc<S>) -> Job + Send>;

/// A service in the making.
pub struct Builder<S> {
    name: &'static str,
    open: Box<dyn FnOnce(Context) -> BoxFuture<'static, Result<S, StartError>> + Send>,
    routes: Vec<Route>,
    indexes: Vec<Indexes>,
    domains: Vec<&'static str>,
    projections: Vec<ProjectionOf>,
    owned: Vec<Owned>,
    publishes: Vec<&'static str>,
    listeners: Vec<MakeListener<S>>,
    jobs: Vec<MakeJob<S>>,
}

impl<S: Send + Sync + 'static> Builder<S> {
    /// With routes, each of which has its policy.
    #[must_use]
    pub fn routes(mut self, routes: Vec<Route>) -> Self {
        self.routes.extend(routes);
        self
    }

    /// With the indexes of its collections.
    #[must_use]
    pub fn indexes(mut self, indexes: Vec<Indexes>) -> Self {
        self.indexes.extend(indexes);
        self
    }

    /// With an ear for the domain `E`.
    #[must_use]
    pub fn listen<E, F, Fut>(self, handle: F) -> Self
    where
        E: DomainEvent,
        F: Fn(Arc<S>, Received<E>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<(), ListenError>> + Send + 'static,
    {
        self.listen_passing_over(|_, _| false, handle)
    }

    /// With an ear for the domain `E` that passes over what a greater version of the same aggregate in the same batch
    /// overtakes.
    #[must_use]
    pub fn listen_passing_over<E, F, Fut>(mut self, overtaken: Overtaken, handle: F) -> Self
    where
        E: DomainEvent,
        F: Fn(Arc<S>, Received<E>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<(), ListenError>> + Send + 'static,
    {
        self.domains.push(E::DOMAIN);
        self.listeners
            .push(Box::new(move |state| Listener::new(state.clone(), handle.clone()).passing_over(overtaken)));
        self
    }

    /// With aggregates of its own of which others may keep something: they can be told its present state.
    #[must_use]
    pub fn owns<A: Aggregate>(mut self) -> Self {
        self.owned.push(Owned::of::<A>());
        self.publishes::<A::Event>()
    }

    /// With events of the domain `E`, which only this service publishes.
    #[must_use]
    pub fn publishes<E: DomainEvent>(mut self) -> Self {
        if !self.publishes.contains(&E::DOMAIN) {
            self.publishes.push(E::DOMAIN);
        }
        self
    }

    /// With a collection that only the events of the domain `E` write: it can be rebuilt from them.
    #[must_use]
    pub fn projection<E: DomainEvent>(mut self, collection: &'static str) -> Self {
        self.projections.push(ProjectionOf { domain: E::DOMAIN, collection, gate: None });
        self
    }

    /// With a part of a collection's documents that only the events of the domain `E` write. `gate` is the field in
    /// which the part has the version of the last event: the newest wins.
    #[must_use]
    pub fn projection_within<E: DomainEvent>(mut self, collection: &'static str, gate: &'static str) -> Self {
        self.projections.push(ProjectionOf { domain: E::DOMAIN, collection, gate: Some(gate) });
        self
    }

    /// With work that is done at every `every`, one turn after the other.
    #[must_use]
    pub fn job<F, Fut>(mut self, name: &'static str, every: Duration, turn: F) -> Self
    where
        F: Fn(Arc<S>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<(), JobError>> + Send + 'static,
    {
        self.jobs.push(Box::new(move |state| {
            let (state, turn) = (state.clone(), turn.clone());
            Job { name, every, turn: Arc::new(move || Box::pin(turn(state.clone()))) }
        }));
        self
    }

    /// The service.
    pub fn build(self) -> Service {
        let Self { name, open, routes, indexes, domains, projections, owned, publishes, listeners, jobs } = self;
        let open: Open = Box::new(move |ctx| {
            Box::pin(async move {
                let state = Arc::new(open(ctx).await?);
                Ok(Opened {
                    listeners: listeners.iter().map(|make| make(&state)).collect(),
                    jobs: jobs.iter().map(|make| make(&state)).collect(),
                    data: Arc::new(move |cfg| {
                        cfg.app_data(web::Data::from(state.clone()));
                    }),
                })
            })
        });
        let keeping = Keeping { routes, indexes, domains, projections, owned, publishes, open };
        Service { name, kind: Kind::Keeping(keeping) }
    }
}
