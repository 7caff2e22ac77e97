//! What the pages are checked with: Chromium, and axe-core and TypeScript from the packages of the pages.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::run::run;
use crate::system::{install, on_path};
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
    install(&["chromium", "fonts-liberation"], MISSING)?;
    installed().ok_or_else(|| MISSING.into())
}

fn installed() -> Option<PathBuf> {
    let mac = || MAC.iter().map(PathBuf::from).find(|path| path.is_file());
    NAMES.iter().find_map(|name| on_path(name)).or_else(mac)
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
