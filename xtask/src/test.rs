//! `cargo xtask test`: all tests, with one mongod and one nats-server for the whole run.

use std::path::PathBuf;
use std::process::ExitStatus;

use docket_local::{LocalServers, Options};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use crate::run::{announce, cargo};
use crate::{Result, browser, manifests, root};

/// What to test.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Run only tests whose name contains this
    #[arg(long)]
    filter: Option<String>,
    /// Test only this package (may be repeated)
    #[arg(short, long)]
    package: Vec<String>,
    /// Passed on to the test binaries
    #[arg(last = true)]
    rest: Vec<String>,
}

#[tokio::main]
pub(crate) async fn test(arguments: &Arguments) -> Result {
    build().await?;
    let mut tests = tests(arguments);
    if needs_tools(arguments) {
        tests.env("CHROMIUM", browser::chromium()?).env("DOCKET_TEST_AXE", browser::axe()?);
        tests.env("DOCKET_TEST_TOOLS", manifests::tools()?.folder());
    }
    let servers = start().await?;
    tests.envs(servers.mongodb_uri().map(|uri| ("DOCKET_TEST_MONGODB_URI", uri)));
    tests.envs(servers.nats_url().map(|url| ("DOCKET_TEST_NATS_URL", url)));
    let outcome = succeed(tests).await;
    servers.stop().await;
    outcome
}

/// Tests start the services' binaries, so these must be there and new.
async fn build() -> Result {
    let options = options();
    let installing = async { docket_local::install(&options).await.map_err(Into::into) };
    tokio::try_join!(succeed(cargo(&["build", "--workspace"]).into()), installing)?;
    Ok(())
}

async fn start() -> Result<LocalServers> {
    tokio::select! {
        servers = LocalServers::start(options()) => Ok(servers?),
        () = interrupted() => Err("interrupted".into()),
    }
}

fn options() -> Options {
    Options { servers_dir: servers_dir(), ..Options::for_tests(target().join("test-servers")) }
}

pub(crate) fn servers_dir() -> PathBuf {
    std::env::var_os("DOCKET_SERVERS_DIR").map_or_else(|| target().join("servers"), PathBuf::from)
}

pub(crate) fn target() -> PathBuf {
    let folder = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    root().join(folder)
}

/// All of them, also after one has failed: a run is long, and what fails is told at once.
fn tests(arguments: &Arguments) -> Command {
    let mut command = Command::from(cargo(&["test", "--no-fail-fast"]));
    command.args(selection(arguments)).env("DOCKET_SERVERS_DIR", servers_dir());
    command
}

/// Only one package has tests in a browser, and behind an ingress.
fn needs_tools(arguments: &Arguments) -> bool {
    arguments.package.is_empty() || arguments.package.iter().any(|name| name == "docket-tests")
}

fn selection(arguments: &Arguments) -> Vec<String> {
    let mut selected: Vec<String> = arguments.package.iter().map(|name| format!("--package={name}")).collect();
    if selected.is_empty() {
        selected.push("--workspace".to_owned());
    }
    selected.push("--".to_owned());
    selected.extend(arguments.filter.clone());
    selected.extend(arguments.rest.clone());
    selected
}

/// Runs it to its end, or until this task is interrupted; then all that it has started is interrupted too.
pub(crate) async fn succeed(mut command: Command) -> Result {
    let shown = announce(command.as_std());
    let mut child = command.process_group(0).spawn().map_err(|error| format!("{shown}: {error}"))?;
    let status = tokio::select! {
        status = child.wait() => status?,
        () = interrupted() => interrupt(&mut child).await?,
    };
    if status.success() { Ok(()) } else { Err(format!("{shown}: {status}").into()) }
}

async fn interrupt(child: &mut Child) -> std::io::Result<ExitStatus> {
    let id = child.id().and_then(|id| i32::try_from(id).ok());
    if let Some(group) = id.and_then(Pid::from_raw) {
        kill_process_group(group, Signal::INT)?;
    }
    child.wait().await
}

/// Ctrl-C or a request to end: what was started must be stopped then too.
async fn interrupted() {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(filter: Option<&str>, package: &[&str]) -> Arguments {
        let package = package.iter().map(|name| (*name).to_owned()).collect();
        Arguments { filter: filter.map(str::to_owned), package, rest: vec!["--nocapture".to_owned()] }
    }

    #[test]
    fn without_a_choice_the_whole_workspace_is_tested() {
        assert_eq!(selection(&arguments(None, &[])), ["--workspace", "--", "--nocapture"]);
    }

    #[test]
    fn a_browser_and_an_ingress_are_wanted_only_where_they_are_used() {
        assert!(needs_tools(&arguments(None, &[])) && needs_tools(&arguments(None, &["orders", "docket-tests"])));
        assert!(!needs_tools(&arguments(None, &["orders"])));
    }

    #[test]
    fn packages_and_names_can_be_chosen() {
        let selected = selection(&arguments(Some("hold"), &["orders"]));
        assert_eq!(selected, ["--package=orders", "--", "hold", "--nocapture"]);
    }
}
