//! What the two servers have in common.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;

use crate::error::{AboutFile, LocalError};
use crate::options::Options;
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

    /// How much of its disk must be free for it to go on, in bytes. A full disk ends `mongod`, and has `nats-server` refuse all that
    /// belongs into the file of the failed write.
    pub(crate) fn needs(self) -> u64 {
        const MIB: u64 = 1 << 20;
        match self {
            // Its journal is made of files of 100 MB that it allocates whole: the present one, the next one, and data beside them.
            Kind::Mongod => 256 * MIB,
            // The messages of a stream are in files of 8 MiB at the most, which it writes anew where it compacts them.
            Kind::Nats => 16 * MIB,
        }
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
    /// Whether `mongod` takes the commands of its own tests.
    pub(crate) test_commands: bool,
    /// Which one it is, if it is one of several.
    pub(crate) among: Among,
}

/// Whether a server is alone.
#[derive(Debug, Clone)]
pub(crate) enum Among {
    /// It is.
    Alone,
    /// It is a node of a cluster of `nats-server`.
    Cluster(Node),
    /// It is a member of a replica set of `mongod` that whoever starts them makes.
    ReplicaSet,
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
    /// One of this kind with its files in `home`, on no port yet.
    pub(crate) fn new(
        kind: Kind,
        binary: PathBuf,
        home: &Path,
        options: &Options,
        among: Among,
    ) -> Result<Self, LocalError> {
        let home = std::path::absolute(home).about(home)?;
        let &Options { durable, leashed, patience, test_commands, .. } = options;
        Ok(Program { kind, binary, home, port: 0, durable, leashed, patience, test_commands, among })
    }

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
            Kind::Mongod if matches!(self.among, Among::ReplicaSet) => {
                mongod::member_ready(self.port, READY_LIMIT).await
            }
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
