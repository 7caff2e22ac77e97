//! What to start, and where.

use std::env;
use std::path::PathBuf;
use std::time::Duration;

/// Which servers to start, and where their files live.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder which holds the data, logs and ports. One live owner at a time.
    pub data_dir: PathBuf,
    /// The folder which holds installed server binaries.
    pub servers_dir: PathBuf,
    /// Start `mongod`?
    pub mongod: bool,
    /// Start `nats-server`?
    pub nats: bool,
    /// Should JetStream sync messages to disk within a second? A cluster then syncs each before it acknowledges it.
    pub durable: bool,
    /// Throw away what an earlier run left in the data folder?
    pub fresh: bool,
    /// Should the servers end when this process ends, however it ends? Else the next start stops what was left behind.
    pub leashed: bool,
    /// A server that runs and has not answered for so long is killed and started again.
    pub patience: Duration,
    /// Should `mongod` do the commands that make it ill (`failCommand`)?
    pub test_commands: bool,
}

/// Longer than any stall from which a server recovers: a checkpoint on a slow disk, the recovery of its journal.
const PATIENCE: Duration = Duration::from_secs(90);

impl Options {
    /// Both servers, durable, with their data in `data_dir`.
    ///
    /// Binaries are installed into `DOCKET_SERVERS_DIR`, by default into `servers` inside `data_dir`.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        let data_dir = data_dir.into();
        let servers_dir = env::var_os("DOCKET_SERVERS_DIR").map_or_else(|| data_dir.join("servers"), PathBuf::from);
        let (mongod, nats, durable, fresh, leashed, test_commands) = (true, true, true, false, false, false);
        Options { data_dir, servers_dir, mongod, nats, durable, fresh, leashed, patience: PATIENCE, test_commands }
    }

    /// The same for tests: starts empty, leaves nothing running, JetStream syncs now and then only, and `mongod` can be made
    /// ill by commands.
    pub fn for_tests(data_dir: impl Into<PathBuf>) -> Self {
        Options { durable: false, fresh: true, leashed: true, test_commands: true, ..Options::new(data_dir) }
    }
}
