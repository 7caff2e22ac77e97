//! Both servers together.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::data_dir::Lock;
use crate::error::{AboutFile, LocalError};
use crate::find::install;
use crate::options::Options;
use crate::program::{Among, Kind, Program};
use crate::record::{Record, stop_leftovers};
use crate::server::Server;
use crate::{mongod, nats, port};

/// The running servers. Dropped without [`LocalServers::stop`] they are stopped in the background, or killed where the
/// runtime ends first.
#[derive(Debug)]
pub struct LocalServers {
    mongod: Option<Server>,
    nats: Option<Server>,
    power_cut: PathBuf,
}

impl LocalServers {
    /// Finds or installs the servers, starts them, and waits until clients can work with them.
    pub async fn start(options: Options) -> Result<LocalServers, LocalError> {
        let lock = Arc::new(Lock::own(&options.data_dir)?);
        for kind in [Kind::Nats, Kind::Mongod] {
            prepare(kind, &kind.home(&options.data_dir), &options).await?;
        }
        let power_cut = note_power_cut(&Kind::Nats.home(&options.data_dir))?;
        let binaries = install(&options).await?;
        let (mongod, nats) = tokio::try_join!(
            launch(Kind::Mongod, binaries.mongod, &options, &lock),
            launch(Kind::Nats, binaries.nats, &options, &lock),
        )?;
        Ok(LocalServers { mongod, nats, power_cut })
    }

    /// Where clients find MongoDB; `None` if it was not asked for.
    pub fn mongodb_uri(&self) -> Option<&str> {
        self.mongod().map(Server::url)
    }

    /// Where clients find NATS; `None` if it was not asked for.
    pub fn nats_url(&self) -> Option<&str> {
        self.nats().map(Server::url)
    }

    /// The `mongod`, if it was asked for.
    pub fn mongod(&self) -> Option<&Server> {
        self.mongod.as_ref()
    }

    /// The `nats-server`, if it was asked for.
    pub fn nats(&self) -> Option<&Server> {
        self.nats.as_ref()
    }

    /// Whether the machine went down while `nats-server` ran, so that it may have forgotten what it acknowledged in the last
    /// seconds. That is so until [`LocalServers::made_good`].
    pub fn lost_power(&self) -> bool {
        self.power_cut.exists()
    }

    /// What `nats-server` may have forgotten has been given to it again.
    ///
    /// # Errors
    /// If that cannot be noted.
    pub fn made_good(&self) -> Result<(), LocalError> {
        remove_if_there(fs::remove_file(&self.power_cut)).about(&self.power_cut)
    }

    /// Stops them, first NATS and then MongoDB, and waits for their end.
    pub async fn stop(self) {
        for server in [self.nats, self.mongod].into_iter().flatten() {
            server.shut_down().await;
        }
    }
}

/// Where the servers of a data folder are found that another process runs, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing was ever started in the folder.
    Nothing,
    /// They stand still.
    Stopped,
    /// Another process has started them, or is about to.
    Running {
        /// Where clients find MongoDB, if it runs one.
        mongodb_uri: Option<String>,
        /// Where clients find NATS, if it runs one.
        nats_url: Option<String>,
    },
}

impl Found {
    /// Looks into a data folder, and changes nothing.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn in_folder(data_dir: &Path) -> Result<Self, LocalError> {
        let port = |kind: Kind| port::remembered(&kind.home(data_dir));
        let (mongodb_uri, nats_url) = (port(Kind::Mongod).map(mongod::url), port(Kind::Nats).map(nats::url));
        Ok(match Lock::is_owned(data_dir)? {
            true => Self::Running { mongodb_uri, nats_url },
            false if mongodb_uri.is_none() && nats_url.is_none() => Self::Nothing,
            false => Self::Stopped,
        })
    }
}

/// Stops what an earlier run left running in `home`, and throws away its data if a fresh start is wanted.
pub(crate) async fn prepare(kind: Kind, home: &Path, options: &Options) -> Result<(), LocalError> {
    stop_leftovers(kind.name(), home).await?;
    if options.fresh { remove_if_there(fs::remove_dir_all(home)).about(home) } else { Ok(()) }
}

/// Where it stands that the machine went down while a server ran: what is noted of the process is overwritten by the next one.
fn note_power_cut(home: &Path) -> Result<PathBuf, LocalError> {
    let path = home.join("power-cut");
    if Record::outlasted_its_machine(home) {
        fs::write(&path, "").about(&path)?;
    }
    Ok(path)
}

fn remove_if_there(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

async fn launch(
    kind: Kind,
    binary: Option<PathBuf>,
    options: &Options,
    lock: &Arc<Lock>,
) -> Result<Option<Server>, LocalError> {
    let Some(binary) = binary else { return Ok(None) };
    let program = Program::new(kind, binary, &kind.home(&options.data_dir), options, Among::Alone)?;
    Server::launch(program, lock).await.map(Some)
}
