//! What can go wrong with local servers.

use std::io;
use std::path::PathBuf;

/// Why the local servers could not be found, installed, started or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocalError {
    /// A file or folder could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another live Docket owns the data folder.
    #[error(
        "{path} is in use by another Docket (process {owner}); stop it, or choose another folder with DOCKET_DATA_DIR"
    )]
    InUse {
        /// The data folder.
        path: PathBuf,
        /// Its owner's process id, as far as it is known.
        owner: String,
    },
    /// A server was named explicitly, but cannot be used.
    #[error("{variable}={path} cannot be used: {reason}")]
    Unusable {
        /// The variable which names the server.
        variable: &'static str,
        /// The path it names.
        path: PathBuf,
        /// Why it cannot be used.
        reason: String,
    },
    /// A server is neither on this machine nor could it be installed.
    #[error("no usable {server} on this machine, and {reason}\n{advice}")]
    Missing {
        /// The server's name.
        server: &'static str,
        /// Why it could not be installed.
        reason: String,
        /// What to do about it.
        advice: String,
    },
    /// A server could not be started.
    #[error("{server} {reason}; its log ends with:\n{log}")]
    NotReady {
        /// The server's name.
        server: &'static str,
        /// What happened instead.
        reason: String,
        /// The end of its log.
        log: String,
    },
    /// A server's process could not be reached with a signal.
    #[error("{server} could not be signalled: {source}")]
    Signal {
        /// The server's name.
        server: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The server is not running now.
    #[error("{0} is not running")]
    NotRunning(&'static str),
    /// The task which looks after a server has ended, as its runtime did.
    #[error("nothing looks after {0} any more")]
    Abandoned(&'static str),
}

/// Says which file an input or output error is about.
pub(crate) trait AboutFile<T> {
    fn about(self, path: impl Into<PathBuf>) -> Result<T, LocalError>;
}

impl<T> AboutFile<T> for io::Result<T> {
    fn about(self, path: impl Into<PathBuf>) -> Result<T, LocalError> {
        self.map_err(|source| LocalError::File { path: path.into(), source })
    }
}
