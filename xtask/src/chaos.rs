//! `cargo xtask chaos`: many seeded runs of people who buy while servers and processes fail.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::Result;
use crate::run::cargo;
use crate::test::{servers_dir, succeed, target};

/// The processes that are harmed.
const SERVICES: [&str; 5] = ["auth", "tickets", "orders", "expiration", "payments"];

/// Takes the guard out of every write. Whoever says that nothing can go wrong must have seen that this goes wrong.
const CONTROL: &str = "common/control-without-compare-and-set";

/// What to run.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How many seeds to run (by default 100; of the control at most 10, until one is caught)
    #[arg(long)]
    runs: Option<u64>,
    /// The first seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Longer runs, with more of everything
    #[arg(long)]
    long: bool,
    /// How many worlds at the same time
    #[arg(long, default_value_t = 3)]
    lanes: usize,
    /// Run a build without the guard against lost writes, and fail unless the checker catches it
    #[arg(long)]
    control: bool,
}

#[tokio::main]
pub(crate) async fn chaos(arguments: &Arguments) -> Result {
    let control = target().join("control");
    let binaries = if arguments.control { control.join("debug") } else { target().join("debug") };
    // The whole workspace, as the tests build it: with fewer packages the dependencies would be built once more.
    succeed(cargo(&["build", "--workspace"]).into()).await?;
    if arguments.control {
        succeed(build_control(&control)).await?;
    }
    let options = docket_local::Options { servers_dir: servers_dir(), ..docket_local::Options::for_tests(folder()) };
    docket_local::install(&options).await?;
    succeed(runs(arguments, &binaries)).await
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

fn runs(arguments: &Arguments, binaries: &Path) -> Command {
    let mut command = Command::new(target().join("debug/chaos"));
    let runs = arguments.runs.unwrap_or(if arguments.control { 10 } else { 100 });
    command.args(["--runs", &runs.to_string(), "--seed", &arguments.seed.to_string()]);
    command.args(["--lanes", &arguments.lanes.to_string()]).arg("--folder").arg(folder());
    command.args(arguments.long.then_some("--long")).args(arguments.control.then_some("--control"));
    command.env("DOCKET_SERVERS_DIR", servers_dir()).env("DOCKET_BINARIES_DIR", binaries);
    command
}
