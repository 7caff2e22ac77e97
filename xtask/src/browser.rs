//! What the pages are checked with: Chromium, and axe-core and TypeScript from the packages of the pages.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::run::run;
use crate::{Result, root};

/// The names under which Chromium is installed, the first found is taken.
const NAMES: [&str; 5] = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome"];

/// Where macOS has it.
const MAC: [&str; 2] = [
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

const MISSING: &str = "the tests of the pages need Chromium: install it (Debian: apt-get install chromium) \
                       or set CHROMIUM to its path";

/// Chromium's path: the variable `CHROMIUM`, else what is installed, else it is installed where that may be done.
pub(crate) fn chromium() -> Result<PathBuf> {
    if let Some(given) = env::var_os("CHROMIUM").map(PathBuf::from) {
        let there = given.is_file();
        return if there { Ok(given) } else { Err(format!("CHROMIUM: {} is no file", given.display()).into()) };
    }
    if let Some(found) = installed() {
        return Ok(found);
    }
    if !rustix::process::geteuid().is_root() || on_path("apt-get").is_none() {
        return Err(MISSING.into());
    }
    install(&["chromium", "fonts-liberation"])?;
    installed().ok_or_else(|| MISSING.into())
}

fn installed() -> Option<PathBuf> {
    let mac = || MAC.iter().map(PathBuf::from).find(|path| path.is_file());
    NAMES.iter().find_map(|name| on_path(name)).or_else(mac)
}

fn install(packages: &[&str]) -> Result {
    run(apt_get(&["-q", "update"]))?;
    run(apt_get(&[&["-q", "install", "-y", "--no-install-recommends"], packages].concat()))
}

fn apt_get(arguments: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
    command
}

fn on_path(name: &str) -> Option<PathBuf> {
    found_in(&env::var_os("PATH")?, name)
}

fn found_in(path: &std::ffi::OsStr, name: &str) -> Option<PathBuf> {
    env::split_paths(path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// axe-core's script: the variable `DOCKET_TEST_AXE`, else among the pages' packages, which are installed if it is not.
pub(crate) fn axe() -> Result<PathBuf> {
    if let Some(given) = env::var_os("DOCKET_TEST_AXE") {
        return Ok(given.into());
    }
    package("axe-core/axe.min.js")
}

/// Whether the types of the pages' scripts agree.
pub(crate) fn check_scripts() -> Result {
    let mut compiler = Command::new(package(".bin/tsc")?);
    compiler.args(["--noEmit", "--project"]).arg(root().join("services/web"));
    run(compiler)
}

/// A file of the packages that the pages are made with; they are installed if it is not there.
fn package(file: &str) -> Result<PathBuf> {
    let web = root().join("services/web");
    let path = web.join("node_modules").join(file);
    if !path.is_file() {
        packages(&web)?;
    }
    if path.is_file() { Ok(path) } else { Err(format!("{} is missing", path.display()).into()) }
}

/// What the lock file names, and nothing that packages would run.
fn packages(folder: &Path) -> Result {
    let npm =
        on_path("npm").ok_or("what the pages are made and tested with comes by npm: install Node.js 20 or newer")?;
    let mut command = Command::new(npm);
    command.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(folder).stdin(Stdio::null());
    run(command)
}

#[cfg(test)]
mod tests {
    use super::*;

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
