//! A Docket of its own: a child process on servers that it embeds, with an empty data folder.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use mongodb::Client;
use mongodb::options::ClientOptions;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::http::{Call, Connection};
use crate::processes::{children, listening_ports};
use crate::timing::eventually;
use crate::{Result, reference};

const START: Duration = Duration::from_mins(2);
const STOP: Duration = Duration::from_secs(60);

/// Settings which would make it another Docket than the one that is to be measured.
const CLEARED: [&str; 6] =
    ["MONGODB_URI", "NATS_URL", "STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET", "STRIPE_API_BASE", "DOCKET_NAMESPACE"];

/// The processes that serve.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pids {
    pub(crate) docket: u32,
    pub(crate) mongod: u32,
    pub(crate) nats: u32,
}

/// A running Docket.
pub(crate) struct Docket {
    child: Child,
    /// Where its API is.
    pub(crate) http: SocketAddr,
    data: TempDir,
    /// Its process, and those it started.
    pub(crate) pids: Pids,
    /// A client of its MongoDB.
    pub(crate) mongodb: Client,
    /// Where its Stripe stand-in is.
    pub(crate) stripe: SocketAddr,
    /// How long it holds places.
    pub(crate) hold: Duration,
}

impl Docket {
    /// Starts the binary, which logs into `log`, and waits until it is ready.
    pub(crate) async fn start(binary: &Path, servers_dir: &Path, log: File, hold_seconds: u32) -> Result<Self> {
        let data = tempfile::Builder::new().prefix("docket-bench-").tempdir()?;
        let (http, ops) = (free_address()?, free_address()?);
        let mut command = Command::new(binary);
        for name in CLEARED {
            command.env_remove(name);
        }
        command
            .env("DOCKET_HTTP_ADDR", http.to_string())
            .env("DOCKET_OPS_ADDR", ops.to_string())
            .env("DOCKET_DATA_DIR", data.path())
            .env("DOCKET_SERVERS_DIR", servers_dir)
            .env("DOCKET_DEMO", "0")
            .env("HOLD_SECONDS", hold_seconds.to_string())
            // As in the image.
            .env("MIMALLOC_ALLOW_THP", "0")
            .env("MIMALLOC_PURGE_DELAY", "10000")
            .env("RUST_LOG", std::env::var("RUST_LOG").unwrap_or_else(|_| "warn".to_owned()));
        // In a process group of its own: Ctrl-C reaches the harness alone, which then stops it in good order.
        let child = command.process_group(0).stdin(Stdio::null()).stdout(log).kill_on_drop(true).spawn();
        let mut child = child.map_err(|error| format!("{}: {error}", binary.display()))?;
        match ready(&mut child, data.path(), [http, ops]).await {
            Ok((pids, mongodb, stripe)) => {
                let hold = Duration::from_secs(hold_seconds.into());
                Ok(Self { child, http, data, pids, mongodb, stripe, hold })
            }
            Err(error) => {
                // Why it did not start says more than how it ended.
                let _ended = end(child).await;
                Err(error)
            }
        }
    }

    /// Asks it to stop, and waits for its end; an error if it does not end well.
    pub(crate) async fn stop(self) -> Result {
        end(self.child).await?;
        Ok(self.data.close()?)
    }
}

async fn ready(child: &mut Child, data: &Path, [http, ops]: [SocketAddr; 2]) -> Result<(Pids, Client, SocketAddr)> {
    until_ready(child, ops).await?;
    let pids = pids(child.id().ok_or("docket has ended")?)?;
    Ok((pids, client(data).await?, stripe(pids.docket, &[http, ops]).await?))
}

/// Ends it and what it started. A process that does not go when it is asked to is killed.
async fn end(mut child: Child) -> Result {
    let Some(docket) = child.id() else { return Err("docket ended by itself".into()) };
    let servers = children(docket);
    signal(docket, Signal::TERM)?;
    let Ok(status) = tokio::time::timeout(STOP, child.wait()).await else {
        for pid in servers.into_values().chain([docket]) {
            signal(pid, Signal::KILL)?;
        }
        return Err(format!("docket did not stop within {STOP:?}").into());
    };
    let status = status?;
    if status.success() { Ok(()) } else { Err(format!("docket ended with {status}").into()) }
}

async fn until_ready(child: &mut Child, ops: SocketAddr) -> Result {
    let ready = eventually("docket is ready", START, || async {
        let answer = Connection::to(ops).send(&Call::get("/readyz")).await.ok()?;
        (answer.status == 200).then_some(())
    });
    tokio::select! {
        status = child.wait() => Err(format!("docket ended while it started: {}", status?).into()),
        ready = ready => ready,
    }
}

fn pids(docket: u32) -> Result<Pids> {
    let children = children(docket);
    let named = |name: &str| {
        let found = children.iter().find(|(child, _)| child.starts_with(name)).map(|(_, pid)| *pid);
        found.ok_or_else(|| format!("docket has no child process {name}"))
    };
    Ok(Pids { docket, mongod: named("mongod")?, nats: named("nats-server")? })
}

/// Docket's data folder says on which port its MongoDB listens.
fn mongodb_uri(data: &Path) -> Result<String> {
    let file: PathBuf = data.join("mongo/port");
    let port = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(format!("mongodb://127.0.0.1:{}/?replicaSet=docket", port.trim()))
}

/// With enough connections that the reference never waits for one.
async fn client(data: &Path) -> Result<Client> {
    let mut options = ClientOptions::parse(mongodb_uri(data)?).await?;
    options.max_pool_size = Some(u32::try_from(reference::CLIENTS)? + 1);
    Ok(Client::with_options(options)?)
}

/// The stand-in takes any free port and tells it to Docket only; of the ports that Docket listens on it is the one that
/// answers as the stand-in does.
async fn stripe(docket: u32, others: &[SocketAddr]) -> Result<SocketAddr> {
    let addresses = listening_ports(docket).into_iter().map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    for address in addresses.filter(|address| !others.contains(address)) {
        let answer = Connection::to(address).send(&Call::get("/test/webhooks")).await;
        if answer.is_ok_and(|answer| answer.status == 200) {
            return Ok(address);
        }
    }
    Err("docket has no Stripe stand-in".into())
}

fn signal(pid: u32, signal: Signal) -> Result {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or("not a process id")?;
    Ok(kill_process(pid, signal)?)
}

fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind(("127.0.0.1", 0))?.local_addr()
}
