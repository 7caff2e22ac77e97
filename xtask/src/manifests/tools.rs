//! The tools, pinned, in a place of their own: what is found does not depend on what a machine happens to have.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::Result;
use crate::run::run;

/// As pip installs them.
const REQUIREMENTS: &str = include_str!("../../tools.txt");

/// As npm installs it.
const MONGOSH: &str = "mongosh@2.12.0";

/// Installed tools.
pub(super) struct Tools {
    folder: PathBuf,
}

impl Tools {
    /// Installs what is missing.
    ///
    /// # Errors
    /// If Python is missing, or the tools cannot be had; the text says what to do.
    pub(super) fn ready() -> Result<Self> {
        let folder = crate::test::target().join("tools");
        let installed = folder.join("installed.txt");
        let wanted = format!("{REQUIREMENTS}{MONGOSH}\n");
        if fs::read_to_string(&installed).is_ok_and(|text| text == wanted) {
            return Ok(Self { folder });
        }
        install(&folder).map_err(|error| {
            format!("{error}; the checks of manifests need python3 with venv and pip, and Node 20 or newer with npm")
        })?;
        fs::write(installed, wanted)?;
        Ok(Self { folder })
    }

    /// MongoDB's shell.
    pub(super) fn mongosh(&self) -> PathBuf {
        self.folder.join("node_modules/.bin/mongosh")
    }

    /// To run one of the others.
    pub(super) fn command(&self, name: &str) -> Command {
        Command::new(self.folder.join("bin").join(name))
    }
}

fn install(folder: &PathBuf) -> Result {
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv", "--clear"]).arg(folder);
    run(venv)?;
    let requirements = folder.join("requirements.txt");
    fs::write(&requirements, REQUIREMENTS)?;
    let mut pip = Command::new(folder.join("bin/python3"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--requirement"]);
    pip.arg(requirements);
    run(pip)?;
    let mut npm = Command::new("npm");
    npm.args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-save", "--loglevel=error", "--prefix"]);
    npm.arg(folder).arg(MONGOSH);
    run(npm)
}
