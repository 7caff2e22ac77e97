//! One process of the cast: it keeps its ports, and can be killed, frozen, started again with another clock, and replaced by
//! one of another build.

use std::fs::OpenOptions;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::sync::Mutex;

use super::faults::Server;
use crate::binaries::{Build, ops_of};
use crate::fault_proxy::{FaultProxy, Way};
use crate::wait::pause;

/// How long a process may take from its start until it is ready, when nothing is wrong any more; the machine may be busy.
const READY_WITHIN: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How long it may take to stop in good order; an orchestrator kills it after about as long.
const STOPPED_WITHIN: Duration = Duration::from_secs(45);

/// Where the servers are.
#[derive(Clone, Debug)]
pub(crate) struct Targets {
    pub(crate) mongod: u16,
    /// The address of a replica set, whose members are reached without a proxy.
    pub(crate) set: Option<String>,
    pub(crate) nats: Vec<u16>,
}

/// One process, with its own ways to the servers.
pub(crate) struct Member {
    pub(crate) name: &'static str,
    http: u16,
    ops: u16,
    variables: Vec<(&'static str, String)>,
    mongod: FaultProxy,
    nats: Vec<FaultProxy>,
    log: PathBuf,
    state: Mutex<State>,
}

struct State {
    /// Whose binary is started.
    build: Build,
    child: Option<Child>,
    /// Kills the child should this process end without having done so.
    leash: Option<Child>,
    /// Whether it was ready since it was started: from then on it has no reason to end by itself.
    was_ready: bool,
    skewed: bool,
    deaths: Vec<String>,
}

impl State {
    fn new(build: Build) -> Self {
        Self { build, child: None, leash: None, was_ready: false, skewed: false, deaths: Vec::new() }
    }
}

impl Member {
    /// A process to be, with the variables that all have.
    pub(crate) async fn new(
        name: &'static str,
        targets: &Targets,
        shared: &[(&'static str, String)],
        logs: &Path,
        build: &Build,
    ) -> Self {
        let address = |port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mongod = FaultProxy::before(address(targets.mongod)).await;
        let mut nats = Vec::new();
        for port in &targets.nats {
            nats.push(FaultProxy::before(address(*port)).await);
        }
        let (http, ops) = (steady_port(), steady_port());
        let urls: Vec<String> = nats.iter().map(|proxy| format!("nats://127.0.0.1:{}", proxy.port())).collect();
        // The one member of a replica set would tell its own address; this way the driver stays with the proxy.
        let direct = format!("mongodb://127.0.0.1:{}/?directConnection=true", mongod.port());
        let mut variables = shared.to_vec();
        variables.extend([
            ("DOCKET_HTTP_ADDR", format!("127.0.0.1:{http}")),
            ("DOCKET_OPS_ADDR", format!("127.0.0.1:{ops}")),
            ("MONGODB_URI", targets.set.clone().unwrap_or(direct)),
            ("NATS_URL", urls.join(",")),
        ]);
        let log = logs.join(name).with_extension("log");
        let state = Mutex::new(State::new(build.clone()));
        Self { name, http, ops, variables, mongod, nats, log, state }
    }

    /// The name of its binary, which is that of its service.
    pub(crate) fn service(&self) -> &'static str {
        self.name.split('-').next().unwrap_or(self.name)
    }

    /// Its HTTP port.
    pub(crate) fn port(&self) -> u16 {
        self.http
    }

    /// The address of its HTTP port.
    pub(crate) fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.http)
    }

    /// Starts it, if it does not run, with a clock that is wrong by so many milliseconds.
    pub(crate) async fn start(&self, clock_offset_ms: i64) {
        let mut state = self.state.lock().await;
        self.note_death(&mut state);
        if state.child.is_none() {
            let child = self.spawn(&state.build, clock_offset_ms);
            state.leash = child.id().map(leash);
            state.child = Some(child);
            state.was_ready = false;
            state.skewed = clock_offset_ms != 0;
        }
    }

    fn spawn(&self, build: &Build, clock_offset_ms: i64) -> Child {
        let log =
            OpenOptions::new().create(true).append(true).open(&self.log).expect("the folder of logs can be written");
        let output = log.try_clone().expect("a file can be opened twice");
        let binary = self.service();
        // A build reads the variables that it knows, and no others: an older one may be given all.
        let mut command = Command::new(build.path_of(binary));
        command.envs(self.variables.iter().map(|(name, value)| (*name, value.as_str())));
        if clock_offset_ms != 0 {
            command.env("DOCKET_CLOCK_OFFSET_MS", clock_offset_ms.to_string());
        }
        command.stdin(Stdio::null()).stdout(output).stderr(log).kill_on_drop(true);
        command.spawn().unwrap_or_else(|error| panic!("{binary}: {error}; it must be built before"))
    }

    fn note_death(&self, state: &mut State) {
        let Some(child) = &mut state.child else { return };
        let Ok(Some(status)) = child.try_wait() else { return };
        if state.was_ready {
            state.deaths.push(format!("{} ended by itself with {status}", self.name));
        }
        state.child = None;
    }

    /// Ends it as a power cut would (SIGKILL). Answers whether it ran.
    pub(crate) async fn kill(&self) -> bool {
        let mut state = self.state.lock().await;
        self.note_death(&mut state);
        state.leash = None;
        let child = state.child.take();
        let ran = child.is_some();
        if let Some(mut child) = child {
            child.kill().await.expect("it is our child");
        }
        ran
    }

    /// Asks it to stop (SIGTERM), as an orchestrator does in a roll-out, and starts it from another build; comes back when it is
    /// ready.
    pub(crate) async fn replace(&self, build: &Build) -> Result<(), String> {
        self.end_and_take(build).await;
        self.heal().await
    }

    async fn end_and_take(&self, build: &Build) {
        self.signal(Signal::TERM).await;
        let mut state = self.state.lock().await;
        if let Some(mut child) = state.child.take() {
            let ended = tokio::time::timeout(STOPPED_WITHIN, child.wait()).await;
            // A process that has just been started may be asked before it can listen.
            let asked_too_soon =
                |status: &ExitStatus| !state.was_ready && status.signal() == Some(Signal::TERM.as_raw());
            if !matches!(&ended, Ok(Ok(status)) if status.success() || asked_too_soon(status)) {
                state.deaths.push(format!("{} was asked to stop, and ended with {ended:?}", self.name));
            }
            // Who has ended is not killed by this.
            let _ = child.kill().await;
        }
        state.leash = None;
        state.build = build.clone();
    }

    /// Does so while other things go wrong: it is started, and nobody waits until it is ready. It changes between two builds.
    pub(crate) async fn exchange(&self, builds: &[Build; 2]) {
        let other = if self.state.lock().await.build == builds[0] { &builds[1] } else { &builds[0] };
        self.end_and_take(other).await;
        self.start(0).await;
    }

    /// Freezes it: connections stay open, and nothing answers. Answers whether it ran.
    pub(crate) async fn freeze(&self) -> bool {
        self.signal(Signal::STOP).await
    }

    /// Lets it go on.
    pub(crate) async fn thaw(&self) {
        self.signal(Signal::CONT).await;
    }

    async fn signal(&self, signal: Signal) -> bool {
        let mut state = self.state.lock().await;
        self.note_death(&mut state);
        let id = state.child.as_ref().and_then(Child::id);
        if let Some(pid) = id.and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)) {
            kill_process(pid, signal).expect("it is our child");
        }
        id.is_some()
    }

    /// Changes its way to a server.
    pub(crate) fn set_way(&self, to: Server, way: Way) {
        self.ways(to).iter().for_each(|proxy| proxy.set(way));
    }

    /// How much its way to a server has been felt so far, in connections and pieces.
    pub(crate) fn felt(&self, to: Server) -> usize {
        self.ways(to).iter().map(FaultProxy::felt).sum()
    }

    /// Has so many answers of a server to messages with one of these parts get lost.
    pub(crate) fn lose_answers(&self, from: Server, parts: &[&[u8]], count: usize) {
        self.ways(from).iter().for_each(|proxy| proxy.lose_answers_to(parts, count));
    }

    /// How many answers of a server were lost so far.
    pub(crate) fn lost(&self, from: Server) -> usize {
        self.ways(from).iter().map(FaultProxy::lost).sum()
    }

    fn ways(&self, to: Server) -> &[FaultProxy] {
        match to {
            Server::Mongod => std::slice::from_ref(&self.mongod),
            Server::Nats => &self.nats,
        }
    }

    /// Opens its ways, lets it go on, and starts it if it is down, as an orchestrator does; comes back when it is ready.
    pub(crate) async fn heal(&self) -> Result<(), String> {
        for server in [Server::Mongod, Server::Nats] {
            self.set_way(server, Way::Open);
            self.lose_answers(server, &[], 0);
        }
        self.thaw().await;
        let waiting = async {
            loop {
                self.start(0).await;
                if matches!(ops_of(&self.ops(), "/readyz").await, Some((200, _))) {
                    return;
                }
                pause(LOOK_EVERY).await;
            }
        };
        tokio::time::timeout(READY_WITHIN, waiting)
            .await
            .map_err(|_| format!("{} is not ready within {READY_WITHIN:?}", self.name))?;
        self.state.lock().await.was_ready = true;
        Ok(())
    }

    /// Gives a process with a wrong clock the right one.
    pub(crate) async fn set_clock_right(&self) {
        let skewed = self.state.lock().await.skewed;
        if skewed {
            self.kill().await;
            self.start(0).await;
        }
    }

    /// The address of its health checks.
    pub(crate) fn ops(&self) -> String {
        format!("http://127.0.0.1:{}", self.ops)
    }

    /// Whether it ended though nobody had ended it, each time as one line; from then on these are forgotten.
    pub(crate) async fn take_deaths(&self) -> Vec<String> {
        let mut state = self.state.lock().await;
        self.note_death(&mut state);
        std::mem::take(&mut state.deaths)
    }
}

/// Kills `pid` when this process has ended: the shell waits for the end of a pipe which only this process holds open.
fn leash(pid: u32) -> Child {
    let mut shell = Command::new("sh");
    shell.args(["-c", "read -r _; kill -KILL \"$0\" 2>/dev/null"]).arg(pid.to_string());
    shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    shell.kill_on_drop(true).spawn().expect("a POSIX system has a shell")
}

/// A free port outside the range from which outgoing connections take theirs: it stays free while its process is down.
fn steady_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 97).unwrap_or(0) * 100;
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    let mut ports = std::iter::repeat_with(|| 10_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000);
    ports.by_ref().take(10_000).find(is_free).expect("a port below 20000 is free")
}
