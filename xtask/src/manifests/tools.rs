//! The tools, pinned, in a place of their own: what is found does not depend on what a machine happens to have.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::Result;
use crate::run::run;

/// As pip installs them.
const REQUIREMENTS: &str = include_str!("../../tools.txt");

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
        if fs::read_to_string(&installed).is_ok_and(|text| text == REQUIREMENTS) {
            return Ok(Self { folder });
        }
        install(&folder).map_err(|error| format!("{error}; the checks of manifests need python3 with venv and pip"))?;
        fs::write(installed, REQUIREMENTS)?;
        Ok(Self { folder })
    }

    /// To run one of them.
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
    run(pip)
}
