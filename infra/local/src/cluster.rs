//! Several `nats-server` on loopback that keep streams together, as in production.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::data_dir::Lock;
use crate::error::LocalError;
use crate::find::install;
use crate::log;
use crate::options::Options;
use crate::port;
use crate::program::{Among, Kind, Node, Program};
use crate::server::{Server, launch_all};
use crate::servers::prepare;
use crate::wait::until;

/// How often the nodes are started, each time on other ports.
const ATTEMPTS: usize = 3;
const READY_LIMIT: Duration = Duration::from_mins(1);
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// A running cluster. Each node is a [`Server`] of its own, to be killed, frozen and started again.
///
/// The nodes do not tell clients of each other: who shall know all of them must be given all addresses.
#[derive(Debug)]
pub struct NatsCluster {
    nodes: Vec<Server>,
}

impl NatsCluster {
    /// Starts so many nodes, and waits until a stream can be made that has a copy on each. The folder may not be that of
    /// other servers; of the options, those about `mongod` do not matter.
    ///
    /// # Errors
    /// [`LocalError`], as for a single server.
    pub async fn start(options: Options, nodes: usize) -> Result<NatsCluster, LocalError> {
        let lock = Arc::new(Lock::own(&options.data_dir)?);
        let found = install(&Options { mongod: false, nats: true, ..options.clone() }).await?;
        let Some(binary) = found.nats else { return Err(LocalError::NotRunning(Kind::Nats.name())) };
        let mut attempt = 1;
        let cluster = loop {
            match launch(&options, nodes, &binary, &lock).await {
                // Another process may have been quicker to take one of the ports.
                Err(_) if attempt < ATTEMPTS => attempt += 1,
                launched => break launched?,
            }
        };
        if until(READY_LIMIT, || cluster.makes_streams()).await.is_none() {
            let log = log::tail(&Kind::Nats.log_in(&options.data_dir.join(name(1))));
            let reason = format!("did not become a cluster within {READY_LIMIT:?}");
            cluster.stop().await;
            return Err(LocalError::NotReady { server: Kind::Nats.name(), reason, log });
        }
        Ok(cluster)
    }

    /// Where clients connect: all nodes, separated by commas.
    pub fn url(&self) -> String {
        self.nodes.iter().map(Server::url).collect::<Vec<_>>().join(",")
    }

    /// The nodes.
    pub fn nodes(&self) -> &[Server] {
        &self.nodes
    }

    /// Stops all nodes, and waits for their end.
    pub async fn stop(self) {
        join_all(self.nodes.into_iter().map(Server::shut_down)).await;
    }

    async fn makes_streams(&self) -> Option<()> {
        let port = self.nodes.first()?.port();
        let stream = serde_json::json!({
            "name": "READY", "subjects": ["docket-local.ready"], "storage": "memory", "num_replicas": self.nodes.len(),
        });
        let trial = async {
            let made = ask(port, "$JS.API.STREAM.CREATE.READY", &stream.to_string()).await.ok()?;
            let gone = ask(port, "$JS.API.STREAM.DELETE.READY", "").await.ok()?;
            (made.get("error").is_none() && gone.get("error").is_none()).then_some(())
        };
        timeout(ANSWER_LIMIT, trial).await.ok().flatten()
    }
}

/// Starts all nodes, or none.
async fn launch(options: &Options, count: usize, binary: &Path, lock: &Arc<Lock>) -> Result<NatsCluster, LocalError> {
    let mut programs = Vec::with_capacity(count);
    for node in nodes_of(count) {
        let home = options.data_dir.join(&node.name);
        prepare(Kind::Nats, &home, options).await?;
        programs.push(Program::new(Kind::Nats, binary.to_owned(), &home, options, Among::Cluster(node))?);
    }
    Ok(NatsCluster { nodes: launch_all(programs, lock).await? })
}

/// Who they are, and where they find each other.
fn nodes_of(count: usize) -> Vec<Node> {
    let mut ports: Vec<u16> = Vec::with_capacity(count);
    while ports.len() < count {
        let port = port::any_free();
        if !ports.contains(&port) {
            ports.push(port);
        }
    }
    let node = |(nth, port): (usize, &u16)| Node { name: name(nth + 1), port: *port, all: ports.clone() };
    ports.iter().enumerate().map(node).collect()
}

fn name(nth: usize) -> String {
    format!("nats-{nth}")
}

/// Asks JetStream's API once, over a connection of its own: a client library would be much for two questions.
async fn ask(port: u16, subject: &str, question: &str) -> std::io::Result<serde_json::Value> {
    let mut lines = BufReader::new(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?);
    let wish = format!(
        "CONNECT {{\"verbose\":false,\"pedantic\":false}}\r\nSUB answer 1\r\nPUB {subject} answer {}\r\n{question}\r\n",
        question.len(),
    );
    lines.write_all(wish.as_bytes()).await?;
    let mut line = String::new();
    while lines.read_line(&mut line).await? > 0 {
        if line.starts_with('{') {
            return serde_json::from_str(&line).map_err(Into::into);
        }
        line.clear();
    }
    Err(std::io::ErrorKind::UnexpectedEof.into())
}
