//! `cargo xtask test`: all tests, with one mongod and one nats-server for the whole run.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use docket_local::{LocalServers, Options};
use docket_manifests::Tools;
use rustix::fs::statvfs;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use crate::run::{announce, as_typed, build_all, cargo};
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
    /// Passed on to nextest, such as `--no-capture`
    #[arg(last = true)]
    rest: Vec<String>,
}

#[tokio::main]
pub(crate) async fn test(arguments: &Arguments) -> Result {
    let options = options();
    build(&options).await?;
    let tools = manifests::tools()?;
    let mut tests = tests(&tools, arguments);
    if needs_browser(arguments) {
        tests.env("CHROMIUM", browser::chromium()?).env("DOCKET_TEST_AXE", browser::axe()?);
    }
    let examples = if arguments.filter.is_none() { succeed(examples(arguments)).await } else { Ok(()) };
    let servers = start(options.clone()).await?;
    tests.envs(servers.mongodb_uri().map(|uri| ("DOCKET_TEST_MONGODB_URI", uri)));
    tests.envs(servers.nats_url().map(|url| ("DOCKET_TEST_NATS_URL", url)));
    let outcome = succeed(tests).await;
    servers.stop().await;
    match outcome {
        Ok(()) => std::fs::remove_dir_all(options.data_dir)?,
        // The next run empties the folder.
        Err(_) => eprintln!("the logs of the servers are in {}", options.data_dir.display()),
    }
    outcome.and(examples)
}

/// Tests start the services' binaries, so these must be there and new.
async fn build(options: &Options) -> Result {
    let installing = async { docket_local::install(options).await.map_err(Into::into) };
    tokio::try_join!(succeed(build_all().into()), installing)?;
    Ok(())
}

async fn start(options: Options) -> Result<LocalServers> {
    tokio::select! {
        servers = LocalServers::start(options) => Ok(servers?),
        () = interrupted() => Err("interrupted".into()),
    }
}

fn options() -> Options {
    Options { servers_dir: servers_dir(), ..Options::for_tests(data_dir()) }
}

/// Where the servers keep the data of the tests: in memory if there is room. Each test makes hundreds of files that a database flushes
/// and nobody reads after the run; on a disk that takes a quarter of a test's time.
fn data_dir() -> PathBuf {
    const MEMORY: &str = "/dev/shm";
    const ENOUGH: u64 = 8 << 30;
    let on_disk = target().join("test-servers");
    let free = statvfs(MEMORY).map_or(0, |memory| memory.f_bavail * memory.f_frsize);
    if free < ENOUGH { on_disk } else { Path::new(MEMORY).join(name_of(&on_disk)) }
}

/// One name for a whole path, so that each checkout has a folder of its own.
fn name_of(folder: &Path) -> String {
    format!("docket{}", folder.to_string_lossy().replace('/', "-"))
}

pub(crate) fn servers_dir() -> PathBuf {
    std::env::var_os("DOCKET_SERVERS_DIR").map_or_else(|| target().join("servers"), PathBuf::from)
}

pub(crate) fn target() -> PathBuf {
    let folder = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    root().join(folder)
}

/// The tests as `.config/nextest.toml` says.
fn tests(tools: &Tools, arguments: &Arguments) -> Command {
    let mut command = Command::from(as_typed(tools.command("cargo-nextest")));
    command.args(["nextest", "run"]).args(selection(arguments)).args(&arguments.filter).args(&arguments.rest);
    command.env("DOCKET_TEST_TOOLS", tools.folder()).env("DOCKET_SERVERS_DIR", servers_dir());
    command
}

/// What the documentation shows, which nextest does not run.
fn examples(arguments: &Arguments) -> Command {
    let mut command = Command::from(cargo(&["test", "--doc", "--no-fail-fast"]));
    command.args(selection(arguments));
    command
}

/// Only one package has tests in a browser.
fn needs_browser(arguments: &Arguments) -> bool {
    arguments.package.is_empty() || arguments.package.iter().any(|name| name == "docket-tests")
}

fn selection(arguments: &Arguments) -> Vec<String> {
    let mut selected: Vec<String> = arguments.package.iter().map(|name| format!("--package={name}")).collect();
    if selected.is_empty() {
        selected.push("--workspace".to_owned());
    }
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
        Arguments { filter: filter.map(str::to_owned), package, rest: vec!["--no-capture".to_owned()] }
    }

    #[test]
    fn without_a_choice_the_whole_workspace_is_tested() {
        assert_eq!(selection(&arguments(None, &[])), ["--workspace"]);
    }

    #[test]
    fn a_browser_is_wanted_only_where_it_is_used() {
        assert!(needs_browser(&arguments(None, &[])) && needs_browser(&arguments(None, &["orders", "docket-tests"])));
        assert!(!needs_browser(&arguments(None, &["orders"])));
    }

    #[test]
    fn two_checkouts_do_not_share_their_data() {
        assert_eq!(name_of(Path::new("/work/a/target/test-servers")), "docket-work-a-target-test-servers");
        assert_ne!(name_of(Path::new("/work/a/target")), name_of(Path::new("/work/b/target")));
    }

    #[test]
    fn packages_and_names_can_be_chosen() {
        let chosen = tests(&Tools::installed_in("/tools".into()), &arguments(Some("hold"), &["orders"]));
        let arguments: Vec<_> = chosen.as_std().get_args().collect();
        assert_eq!(arguments, ["nextest", "run", "--package=orders", "hold", "--no-capture"]);
    }
}
