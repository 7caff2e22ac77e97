//! Programs that come with the system, not with a language's packages.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::Result;
use crate::run::run;

/// Where a program is.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    found_in(&env::var_os("PATH")?, name)
}

fn found_in(path: &std::ffi::OsStr, name: &str) -> Option<PathBuf> {
    env::split_paths(path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// Installs Debian's packages, where that may be done.
///
/// # Errors
/// `missing`, if it may not.
pub(crate) fn install(packages: &[&str], missing: &str) -> Result {
    if !rustix::process::geteuid().is_root() || on_path("apt-get").is_none() {
        return Err(missing.into());
    }
    run(apt_get(&["-q", "update"]))?;
    run(apt_get(&[&["-q", "install", "-y", "--no-install-recommends"], packages].concat()))
}

fn apt_get(arguments: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root;

    #[test]
    fn programs_are_found_in_the_order_of_the_path() {
        let folders = [root().join("xtask"), root()];
        let path = env::join_paths(&folders).unwrap_or_default();
        assert_eq!(found_in(&path, "Cargo.toml"), Some(folders[0].join("Cargo.toml")));
        assert_eq!(found_in(&path, "rustfmt.toml"), Some(folders[1].join("rustfmt.toml")));
        assert_eq!(found_in(&path, "src"), None);
    }

    #[test]
    fn apt_get_asks_nothing() {
        let command = apt_get(&["install", "-y"]);
        let asks = command.get_envs().find(|(name, _)| *name == "DEBIAN_FRONTEND");
        assert_eq!(asks.and_then(|(_, value)| value), Some("noninteractive".as_ref()));
    }
}
