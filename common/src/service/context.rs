//! What a service is given to work with.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::bus::{Bus, BusError};
use crate::clock::{SharedClock, Time};
use crate::http::Admission;
use crate::settings::{Settings, SettingsError};
use crate::store::{Aggregate, Aggregates, ConnectionError, Database, Projection, Relay, StoreError};

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
    pub(super) stop: CancellationToken,
    pub(super) tasks: TaskTracker,
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

    /// Is cancelled when the process begins to stop.
    pub fn stopping(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Runs work beside the service; the stop waits for it.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(work);
    }
}

/// What pages are given: the time, the settings, and the end.
#[derive(Clone)]
pub struct Site {
    pub(super) settings: Arc<Settings>,
    pub(super) clock: SharedClock,
    pub(super) closing: CancellationToken,
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
}
