//! Docket's binaries as processes of their own.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};

use crate::wait::eventually;

/// A running binary; it is killed when this is dropped.
pub struct Process {
    child: Child,
    /// The address of its HTTP port.
    pub http: String,
    /// The address of its health checks.
    pub ops: String,
}

/// Starts a binary of this build with the given variables, on free ports, and waits until it is ready.
///
/// # Panics
/// If it does not get ready.
pub async fn spawn(binary: &str, variables: &[(&str, String)]) -> Process {
    let process = begin(binary, variables);
    process.until_ready(binary).await;
    process
}

/// Starts a binary of this build with the given variables, on free ports.
///
/// # Panics
/// If it cannot be started.
pub fn begin(binary: &str, variables: &[(&str, String)]) -> Process {
    let (http, ops) = (free_port(), free_port());
    let child = Command::new(path_of(binary))
        .env("DOCKET_HTTP_ADDR", format!("127.0.0.1:{http}"))
        .env("DOCKET_OPS_ADDR", format!("127.0.0.1:{ops}"))
        .env("DOCKET_DEMO", "0")
        .envs(variables.iter().map(|(name, value)| (*name, value.as_str())))
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| panic!("{binary}: {error}; run `cargo xtask test`, which builds it"));
    Process { child, http: format!("http://127.0.0.1:{http}"), ops: format!("http://127.0.0.1:{ops}") }
}

/// Runs a binary of this build to its end, and answers with its exit status and what it printed.
///
/// # Panics
/// If it cannot be started.
pub async fn run(binary: &str, arguments: &[&str], variables: &[(&str, String)]) -> std::process::Output {
    let mut command = Command::new(path_of(binary));
    command.args(arguments).envs(variables.iter().map(|(name, value)| (*name, value.as_str()))).kill_on_drop(true);
    command.output().await.unwrap_or_else(|error| panic!("{binary}: {error}; run `cargo xtask test`, which builds it"))
}

/// Runs a binary of this build that has to end by itself, and to do so at once: within a second beyond what this machine takes to
/// start it at all, of which it gets ten times as much, as other tests run beside it. Without what the caller's own environment
/// says of servers.
///
/// # Panics
/// If it cannot be started, or does not end in time.
pub async fn run_at_once(binary: &str, arguments: &[&str], variables: &[(&str, String)]) -> std::process::Output {
    let begun = common::telemetry::stopwatch();
    run(binary, &["--version"], &[]).await;
    let bound = Duration::from_secs(1) + begun.elapsed() * 10;
    let mut command = Command::new(path_of(binary));
    for given in ["MONGODB_URI", "NATS_URL", "DOCKET_DATA_DIR", "DOCKET_DEMO"] {
        command.env_remove(given);
    }
    command.args(arguments).envs(variables.iter().map(|(name, value)| (*name, value.as_str())));
    // It is asked to stop when it is given up, so that it takes its servers with it.
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let child = child.unwrap_or_else(|error| panic!("{binary}: {error}; run `cargo xtask test`, which builds it"));
    let pid = child.id().and_then(|id| rustix::process::Pid::from_raw(i32::try_from(id).ok()?));
    let ended = child.wait_with_output();
    tokio::pin!(ended);
    if let Ok(output) = tokio::time::timeout(bound, &mut ended).await {
        return output.expect("its output can be read");
    }
    rustix::process::kill_process(pid.expect("it runs"), rustix::process::Signal::TERM).expect("it may be asked");
    let said = ended.await.map(|output| String::from_utf8_lossy(&output.stderr).into_owned());
    panic!("{binary} did not end within {bound:?}, with {variables:?}: {said:?}");
}

/// The folder with the binaries of one build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Build(PathBuf);

impl Build {
    /// This build, or the one in the folder that `DOCKET_BINARIES_DIR` names.
    ///
    /// # Panics
    /// If this process does not lie where cargo puts binaries.
    pub fn this() -> Self {
        if let Some(folder) = std::env::var_os("DOCKET_BINARIES_DIR") {
            return Self(PathBuf::from(folder));
        }
        let this = std::env::current_exe().expect("a process knows its binary");
        // target/debug/deps/it-… or target/debug/chaos -> target/debug
        let folder = this.parent().expect("a binary lies in a folder");
        let folder = if folder.ends_with("deps") { folder.parent().expect("deps lies in a folder") } else { folder };
        Self(folder.to_owned())
    }

    /// The build in this folder.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self(folder.into())
    }

    /// Where it has a binary.
    pub(crate) fn path_of(&self, binary: &str) -> PathBuf {
        self.0.join(binary)
    }
}

/// A port of loopback that is free at this moment.
///
/// # Panics
/// If there is none.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
    listener.local_addr().expect("a bound port has an address").port()
}

/// A binary of this build, or of the one in the folder that `DOCKET_BINARIES_DIR` names.
///
/// # Panics
/// If this process does not lie where cargo puts binaries.
pub fn path_of(binary: &str) -> PathBuf {
    Build::this().path_of(binary)
}

/// The answer of a process's health check.
pub async fn ops_of(address: &str, path: &str) -> Option<(u16, String)> {
    common::http::install_tls_provider();
    let client = reqwest::Client::builder().no_proxy().build().ok()?;
    let response = client.get(format!("{address}{path}")).send().await.ok()?;
    Some((response.status().as_u16(), response.text().await.ok()?))
}

impl Process {
    /// Waits until it is ready.
    ///
    /// # Panics
    /// If it does not get ready.
    pub async fn until_ready(&self, binary: &str) {
        eventually(&format!("{binary} ready"), 60, || async {
            ops_of(&self.ops, "/readyz").await.filter(|(status, _)| *status == 200)
        })
        .await;
    }

    /// Ends it as a power cut would (SIGKILL).
    pub async fn kill(mut self) {
        self.child.kill().await.expect("it ran until now");
    }

    /// Asks it to stop (SIGTERM) and waits for its end; true if it ended well.
    pub async fn terminate(mut self) -> bool {
        let pid = self.child.id().and_then(|id| rustix::process::Pid::from_raw(i32::try_from(id).ok()?));
        rustix::process::kill_process(pid.expect("it runs"), rustix::process::Signal::TERM).expect("it may be asked");
        self.child.wait().await.is_ok_and(|status| status.success())
    }
}
