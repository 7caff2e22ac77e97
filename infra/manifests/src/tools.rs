//! The tools, pinned, in a place of their own: what is found does not depend on what a machine happens to have.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::ManifestError;
use crate::cluster::Cluster;

/// As pip installs them.
const REQUIREMENTS: &str = include_str!("../tools.txt");

/// As npm installs it.
const MONGOSH: &str = "mongosh@2.12.0";

/// Installed tools.
#[derive(Clone, Debug)]
pub struct Tools {
    folder: PathBuf,
}

impl Tools {
    /// The tools in a folder, which is given by an absolute path. What is missing there is installed.
    ///
    /// # Errors
    /// If Python or Node is missing, or the tools cannot be had; the text says what to do.
    pub fn install(folder: PathBuf) -> Result<Self, ManifestError> {
        let installed = folder.join("installed.txt");
        let wanted = format!("{REQUIREMENTS}{MONGOSH}\n");
        let tools = Self { folder };
        if fs::read_to_string(&installed).is_ok_and(|text| text == wanted) {
            return Ok(tools);
        }
        tracing::info!(folder = %tools.folder.display(), "installing the tools for tests and manifests, once");
        tools.fetch().map_err(|error| ManifestError::Install(Box::new(error)))?;
        fs::write(installed, wanted)?;
        Ok(tools)
    }

    /// The tools in a folder where [`Tools::install`] was done.
    pub fn installed_in(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Where they are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// To run MongoDB's shell.
    pub fn mongosh(&self) -> Command {
        Command::new(self.folder.join("node_modules/.bin/mongosh"))
    }

    /// To run one of the others.
    pub fn command(&self, name: &str) -> Command {
        Command::new(self.folder.join("bin").join(name))
    }

    /// What the kustomization in a folder applies, as YAML.
    ///
    /// # Errors
    /// If it cannot be rendered; the text is kubectl's.
    pub fn render(&self, kustomization: &Path) -> Result<String, ManifestError> {
        let mut command = self.command("kubectl");
        command.arg("kustomize").arg(kustomization);
        Ok(String::from_utf8_lossy(&output(command)?.stdout).into_owned())
    }

    /// The same as objects.
    ///
    /// # Errors
    /// As for [`Tools::render`].
    pub fn cluster(&self, kustomization: &Path) -> Result<Cluster, ManifestError> {
        Cluster::parse(&self.render(kustomization)?)
    }

    fn fetch(&self) -> Result<(), ManifestError> {
        let mut venv = Command::new("python3");
        venv.args(["-m", "venv", "--clear"]).arg(&self.folder);
        output(venv)?;
        let requirements = self.folder.join("requirements.txt");
        fs::write(&requirements, REQUIREMENTS)?;
        let mut pip = self.command("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--requirement"]);
        pip.arg(requirements);
        output(pip)?;
        let mut npm = Command::new("npm");
        npm.args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-save", "--loglevel=error"]);
        npm.arg("--prefix").arg(&self.folder).arg(MONGOSH);
        output(npm).map(|_| ())
    }
}

/// Runs it to its end; an error, with what it complained of, if it fails.
fn output(mut command: Command) -> Result<Output, ManifestError> {
    let failed = |command: &Command, reason: String| ManifestError::Command { command: format!("{command:?}"), reason };
    let output = command.output().map_err(|error| failed(&command, error.to_string()))?;
    let complaint = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() { Ok(output) } else { Err(failed(&command, complaint)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_tool_complains_of_is_told() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo no such file >&2; exit 1"]);
        let error = output(command).unwrap_err().to_string();
        assert!(error.ends_with(": no such file") && error.contains("\"sh\""), "{error}");
    }
}
