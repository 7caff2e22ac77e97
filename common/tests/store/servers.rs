//! A MongoDB of a test's own, which it may stall without harm to others, and a way to the shared one that stalls some calls.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use common::store::{Client, Database};
use docket_local::{LocalServers, Options};
use mongodb::bson::doc;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub(crate) struct OwnMongo {
    pub(crate) servers: LocalServers,
    client: Client,
    _folder: TempDir,
}

impl OwnMongo {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let shared = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../servers");
        let servers_dir = std::env::var_os("DOCKET_SERVERS_DIR").map_or(shared, PathBuf::from);
        let options = Options { servers_dir, nats: false, ..Options::for_tests(folder.path()) };
        let servers = LocalServers::start(options).await.unwrap();
        let uri = servers.mongodb_uri().unwrap();
        let client = Client::connect(uri).await.unwrap();
        Self { servers, client, _folder: folder }
    }

    pub(crate) fn database(&self, name: &str) -> Database {
        self.client.database(name)
    }

    /// The same with options of the address, over connections of its own.
    pub(crate) async fn database_by(&self, options: &str, name: &str) -> Database {
        let uri = format!("{}&{options}", self.servers.mongodb_uri().unwrap());
        Client::connect(&uri).await.unwrap().database(name)
    }

    /// Has every query wait before it is answered, or no more.
    pub(crate) async fn slow_finds(&self, wait: Option<Duration>) {
        self.slow("find", wait).await;
    }

    /// Has every such command wait before it is answered, or no more.
    pub(crate) async fn slow(&self, command: &str, wait: Option<Duration>) {
        let point = match wait {
            Some(wait) => doc! {
                "configureFailPoint": "failCommand", "mode": "alwaysOn",
                "data": { "failCommands": [command], "blockConnection": true, "blockTimeMS": i64::try_from(wait.as_millis()).unwrap() },
            },
            None => doc! { "configureFailPoint": "failCommand", "mode": "off" },
        };
        self.database("admin").run_command(point).await.unwrap();
    }

    pub(crate) async fn stop(self) {
        self.servers.stop().await;
    }
}

/// A way to the shared MongoDB on which commands that say `word` get stuck while that is wanted, each with its connection.
pub(crate) struct StallingWay {
    pub(crate) client: Client,
    stalls: watch::Sender<bool>,
    stuck: watch::Receiver<bool>,
}

impl StallingWay {
    pub(crate) async fn stalling(word: &'static str) -> Self {
        let uri = std::env::var("DOCKET_TEST_MONGODB_URI").expect("run `cargo xtask test`, or set it");
        let address = uri.split("://").nth(1).and_then(|rest| rest.split('/').next()).unwrap().to_owned();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (stalls, (got_stuck, stuck)) = (watch::Sender::new(false), watch::channel(false));
        let wanted = stalls.subscribe();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&address).await.unwrap();
                tokio::spawn(carry(client, server, word, wanted.clone(), got_stuck.clone()));
            }
        });
        let client = Client::connect(&format!("mongodb://127.0.0.1:{port}/?directConnection=true")).await.unwrap();
        Self { client, stalls, stuck }
    }

    /// Stalls such commands from now on.
    pub(crate) fn begin_to_stall(&self) {
        self.stalls.send_replace(true);
    }

    /// The same, and waits until one is stuck.
    pub(crate) async fn stall(&mut self) {
        self.begin_to_stall();
        self.stuck.wait_for(|stuck| *stuck).await.unwrap();
    }

    /// Lets them go on.
    pub(crate) fn flow(&self) {
        self.stalls.send_replace(false);
    }
}

async fn carry(
    client: TcpStream,
    server: TcpStream,
    word: &'static str,
    mut stalls: watch::Receiver<bool>,
    stuck: watch::Sender<bool>,
) {
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
        (client.into_split(), server.into_split());
    let back = tokio::spawn(async move { copy(&mut from_server, &mut to_client).await });
    let mut chunk = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from_client.read(&mut chunk).await {
        if *stalls.borrow() && chunk[..count].windows(word.len()).any(|bytes| bytes == word.as_bytes()) {
            stuck.send_replace(true);
            let _ = stalls.wait_for(|stalls| !stalls).await;
        }
        if to_server.write_all(&chunk[..count]).await.is_err() {
            break;
        }
    }
    back.abort();
}
