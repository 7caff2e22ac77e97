//! What the two servers have in common.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;

use crate::error::LocalError;
use crate::{mongod, nats};

const READY_LIMIT: Duration = Duration::from_mins(1);

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Mongod,
    Nats,
}

impl Kind {
    /// The name of its binary.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Mongod => "mongod",
            Kind::Nats => "nats-server",
        }
    }

    /// The folder of its data, log, port and process record.
    pub(crate) fn home(self, data_dir: &Path) -> PathBuf {
        data_dir.join(match self {
            Kind::Mongod => "mongo",
            Kind::Nats => "nats",
        })
    }

    /// The log of one whose home this is.
    pub(crate) fn log_in(self, home: &Path) -> PathBuf {
        home.join(self.name()).with_extension("log")
    }
}

/// A server that can be started: all but its process.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    pub(crate) kind: Kind,
    pub(crate) binary: PathBuf,
    pub(crate) home: PathBuf,
    pub(crate) port: u16,
    pub(crate) durable: bool,
    pub(crate) leashed: bool,
    /// For how long it may run without answering.
    pub(crate) patience: Duration,
    /// Which node of a cluster it is, if it is one.
    pub(crate) node: Option<Node>,
}

/// A node of a cluster of `nats-server`.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) name: String,
    /// Where it listens for other nodes.
    pub(crate) port: u16,
    /// Where all of them do.
    pub(crate) all: Vec<u16>,
}

impl Program {
    /// Where clients connect.
    pub(crate) fn url(&self) -> String {
        match self.kind {
            Kind::Mongod => mongod::url(self.port),
            Kind::Nats => nats::url(self.port),
        }
    }

    /// Where its output goes.
    pub(crate) fn log(&self) -> PathBuf {
        self.kind.log_in(&self.home)
    }

    /// The command that starts it.
    pub(crate) fn command(&self) -> Result<Command, LocalError> {
        match self.kind {
            Kind::Mongod => mongod::command(self),
            Kind::Nats => nats::command(self),
        }
    }

    /// Waits until clients can work with it; the error says what is missing.
    pub(crate) async fn ready(&self) -> Result<(), String> {
        match self.kind {
            Kind::Mongod => mongod::ready(self.port, READY_LIMIT).await,
            Kind::Nats => nats::ready(self.port, READY_LIMIT).await,
        }
    }

    /// Whether it answers anything at all at this moment.
    pub(crate) async fn answers(&self) -> bool {
        match self.kind {
            Kind::Mongod => mongod::answers(self.port).await,
            Kind::Nats => nats::answers(self.port).await,
        }
    }
}
