//! `cargo xtask chaos`: many seeded runs of people who buy while servers and processes fail.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::Result;
use crate::run::{build_all, cargo};
use crate::test::{servers_dir, succeed, target};

/// The processes that are harmed.
pub(crate) const SERVICES: [&str; 5] = ["auth", "tickets", "orders", "expiration", "payments"];

/// Takes the guard out of every write. Whoever says that nothing can go wrong must have seen that this goes wrong.
const CONTROL: &str = "common/control-without-compare-and-set";

/// What to run.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Flags of the runs, which `chaos -- --help` lists; with --control the build is one without the guard
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

impl Arguments {
    fn control(&self) -> bool {
        self.rest.iter().any(|flag| flag == "--control")
    }
}

#[tokio::main]
pub(crate) async fn chaos(arguments: &Arguments) -> Result {
    let control = target().join("control");
    let binaries = if arguments.control() { control.join("debug") } else { target().join("debug") };
    succeed(build_all().into()).await?;
    if arguments.control() {
        succeed(build_control(&control)).await?;
    }
    let options = docket_local::Options { servers_dir: servers_dir(), ..docket_local::Options::for_tests(folder()) };
    docket_local::install(&options).await?;
    succeed(runs(&arguments.rest, &binaries)).await
}

/// The control has a folder of its own, so that nobody ever starts its binaries by mistake.
fn build_control(folder: &Path) -> Command {
    let mut command = Command::from(cargo(&["build", "--package=common", "--features", CONTROL]));
    command.args(SERVICES.map(|service| format!("--package={service}"))).arg("--target-dir").arg(folder);
    command
}

fn folder() -> PathBuf {
    target().join("chaos")
}

fn runs(rest: &[String], binaries: &Path) -> Command {
    let mut command = Command::new(target().join("debug/chaos"));
    command.arg("--folder").arg(folder()).args(rest);
    command.env("DOCKET_SERVERS_DIR", servers_dir()).env("DOCKET_BINARIES_DIR", binaries);
    command
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, FromArgMatches as _};

    use super::*;

    fn parsed(line: &str) -> Arguments {
        let command = Arguments::augment_args(clap::Command::new("chaos"));
        let matches = command.try_get_matches_from(line.split(' ')).unwrap();
        Arguments::from_arg_matches(&matches).unwrap()
    }

    #[test]
    fn flags_are_passed_on() {
        let arguments = parsed("chaos --runs 3 --long");
        let command = runs(&arguments.rest, Path::new("binaries"));
        let passed: Vec<_> = command.as_std().get_args().skip(2).collect();
        assert_eq!(passed, ["--runs", "3", "--long"]);
    }

    #[test]
    fn the_control_is_built_when_it_is_asked_for() {
        assert!(parsed("chaos --runs 3 --control").control());
        assert!(!parsed("chaos").control());
    }
}
