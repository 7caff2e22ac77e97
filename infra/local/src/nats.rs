//! `nats-server` with JetStream.

use std::fs;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::error::{AboutFile, LocalError};
use crate::program::{Among, Node, Program};
use crate::wait::until;

/// How often a server that is alone syncs its messages to disk: one sync for each would cost more than all the rest of a message.
/// A killed process loses nothing by that, as the kernel has what was written; whoever survives a power cut asks
/// [`crate::LocalServers::lost_power`].
const ALONE_SYNCS: &str = "1s";

/// How much a server may keep. Each stream reserves what it may grow to, and a server that is not told otherwise refuses what goes
/// beyond three quarters of the free disk, though the streams are far from it. How full the disk is, others watch.
const MAY_KEEP: &str = "1pb";

pub(crate) fn url(port: u16) -> String {
    format!("nats://127.0.0.1:{port}")
}

pub(crate) fn command(program: &Program) -> Result<Command, LocalError> {
    let path = program.home.join("nats.conf");
    fs::write(&path, configuration(program)).about(&path)?;
    let mut command = Command::new(&program.binary);
    command.arg("--config").arg(path);
    Ok(command)
}

fn configuration(program: &Program) -> String {
    let store = program.home.join("data");
    let node = if let Among::Cluster(node) = &program.among { Some(node) } else { None };
    let sync = match node {
        _ if !program.durable => "2m",
        Some(_) => "always",
        None => ALONE_SYNCS,
    };
    let name = node.map_or("docket", |node| &node.name);
    let cluster = node.map(cluster).unwrap_or_default();
    format!(
        "server_name: {name}\nlisten: \"127.0.0.1:{port}\"\njetstream {{\n  store_dir: {store:?}\n  max_file_store: {MAY_KEEP}\n  sync_interval: {sync}\n}}\n{cluster}",
        port = program.port,
    )
}

fn cluster(node: &Node) -> String {
    let routes: Vec<String> = node.all.iter().map(|port| format!("\"nats://127.0.0.1:{port}\"")).collect();
    format!(
        "cluster {{\n  name: docket\n  listen: \"127.0.0.1:{port}\"\n  no_advertise: true\n  routes: [{routes}]\n}}\n",
        port = node.port,
        routes = routes.join(", "),
    )
}

/// The server greets only after JetStream has recovered its streams.
pub(crate) async fn ready(port: u16, bound: Duration) -> Result<(), String> {
    let greeted = until(bound, || async { greeting(port).await.ok().filter(|line| has_jetstream(line)) });
    greeted.await.map(|_| ()).ok_or_else(|| format!("did not offer JetStream within {bound:?}"))
}

/// Whether the server greets.
pub(crate) async fn answers(port: u16) -> bool {
    greeting(port).await.is_ok_and(|line| line.starts_with("INFO "))
}

async fn greeting(port: u16) -> std::io::Result<String> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).await?;
    Ok(line)
}

fn has_jetstream(greeting: &str) -> bool {
    greeting.starts_with("INFO ") && greeting.contains("\"jetstream\":true")
}
