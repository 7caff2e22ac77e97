//! What a service is given to work with.

use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::bus::{Bus, BusError, Received};
use crate::clock::{SharedClock, Time};
use crate::events::DomainEvent;
use crate::http::{Admission, Readiness, Status};
use crate::settings::{Settings, SettingsError};
use crate::store::{Aggregate, Aggregates, ConnectionError, Database, Projection, Relay, StoreError};
use crate::supervisor::{Need, Spawner, Supervisor};

/// Why a process does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting is missing or wrong.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Tracing or metrics cannot be set up.
    #[error(transparent)]
    Telemetry(#[from] crate::telemetry::TelemetryError),
    /// The database refuses or does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no connection to the database.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// The broker refuses or does not answer.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// A port cannot be opened.
    #[error("cannot listen on {addr}: {source}")]
    Listen {
        /// The address.
        addr: std::net::SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// Something of the service's own.
    #[error("{0}")]
    Other(Box<dyn std::error::Error + Send + Sync>),
}

impl StartError {
    /// Whether it may be otherwise in a moment: a server that is not there yet, or does not know this service's user.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Connection(error) => !matches!(error, ConnectionError::Refused { .. }),
            Self::Bus(error) => error.may_pass(),
            Self::Store(_) => true,
            Self::Settings(_) | Self::Telemetry(_) | Self::Listen { .. } | Self::Other(_) => false,
        }
    }

    /// A reason of the service's own.
    pub fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Other(error.into())
    }
}

/// What a service is given: its database, the bus, the time, the settings.
#[derive(Clone)]
pub struct Context {
    pub(super) settings: Arc<Settings>,
    pub(super) clock: SharedClock,
    pub(super) database: Database,
    pub(super) bus: Bus,
    pub(super) relay: Relay,
    pub(super) admission: Admission,
    pub(super) supervisor: Supervisor,
    pub(super) status: Status,
}

impl Context {
    /// The settings of the process.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The clock.
    pub fn clock(&self) -> SharedClock {
        self.clock.clone()
    }

    /// The time now.
    pub fn now(&self) -> Time {
        self.clock.now()
    }

    /// The service's own database.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// The bus.
    pub fn bus(&self) -> &Bus {
        &self.bus
    }

    /// The aggregates of one kind.
    pub fn aggregates<A: Aggregate>(&self) -> Aggregates<A> {
        Aggregates::new(&self.database, self.relay.clone(), self.clock.clone())
    }

    /// A projection in the collection `name`.
    pub fn projection<T: Serialize + DeserializeOwned + Clone>(&self, name: &str) -> Projection<T> {
        Projection::new(&self.database, name)
    }

    /// How much work the process takes on at once.
    pub fn admission(&self) -> &Admission {
        &self.admission
    }

    /// What stands at `/status`: there a service tells of what it shares with others, such as a payment provider.
    pub fn status(&self) -> Status {
        self.status.clone()
    }

    /// Is cancelled when the process begins to stop.
    pub fn stopping(&self) -> CancellationToken {
        self.supervisor.stopping()
    }

    /// The supervisor of the process, which keeps the service's own tasks going.
    pub fn supervisor(&self) -> &Supervisor {
        &self.supervisor
    }

    /// Feeds `learn` with every event of a domain since `since` until the stop. Returns once all that the stream holds has
    /// been learned. A follower that breaks off begins again at `since`, so `learn` may be told things again.
    ///
    /// # Errors
    /// If the stream cannot be read.
    pub async fn follow<E: DomainEvent>(
        &self,
        since: Time,
        learn: impl Fn(Received<E>) + Clone + Send + Sync + 'static,
    ) -> Result<(), BusError> {
        follow(&self.supervisor, &self.bus, since, learn).await
    }
}

/// Follows a domain as a task that the replica needs.
pub(super) async fn follow<E: DomainEvent>(
    supervisor: &Supervisor,
    bus: &Bus,
    since: Time,
    learn: impl Fn(Received<E>) + Clone + Send + Sync + 'static,
) -> Result<(), BusError> {
    let first = bus.follow(since, supervisor.stopping(), learn.clone()).await?.boxed();
    let (first, bus) = (Mutex::new(Some(first)), bus.clone());
    supervisor.supervise(format!("follow {}", E::DOMAIN), Need::Needed, move |stop| {
        let begun = first.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (bus, learn) = (bus.clone(), learn.clone());
        async move {
            if let Some(begun) = begun {
                return begun.await;
            }
            match bus.follow(since, stop, learn).await {
                Ok(following) => following.await,
                Err(error) => tracing::warn!(%error, domain = E::DOMAIN, "a follower is still without its stream"),
            }
        }
    });
    Ok(())
}

/// What pages are given: the time, the settings, and the end.
#[derive(Clone)]
pub struct Site {
    pub(super) settings: Arc<Settings>,
    pub(super) clock: SharedClock,
    pub(super) closing: CancellationToken,
    pub(super) readiness: Readiness,
}

impl Site {
    /// The settings of the process.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The clock.
    pub fn clock(&self) -> SharedClock {
        self.clock.clone()
    }

    /// Is cancelled when the process takes no new requests: answers that would go on for ever end then.
    pub fn closing(&self) -> CancellationToken {
        self.closing.clone()
    }

    /// Has the process not be ready before `reached` has come to its end, as `/readyz` says under this name.
    pub fn not_ready_before(&self, name: &'static str, reached: impl Future<Output = ()> + Send + 'static) {
        self.readiness.set(name, false);
        let readiness = self.readiness.clone();
        Spawner::of("first calls").spawn(async move {
            reached.await;
            readiness.set(name, true);
        });
    }
}
