//! A MongoDB of a test's own, which it may stall without harm to others.

use std::path::PathBuf;

use common::store::{Client, Database};
use docket_local::{LocalServers, Options};
use mongodb::bson::{Document, doc};
use tempfile::TempDir;

pub(crate) struct OwnMongo {
    pub(crate) servers: LocalServers,
    /// As the driver has it.
    pub(crate) driver: mongodb::Client,
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
        let driver = mongodb::Client::with_uri_str(uri).await.unwrap();
        let client = Client::connect(uri).await.unwrap();
        Self { servers, driver, client, _folder: folder }
    }

    pub(crate) fn database(&self, name: &str) -> Database {
        self.client.database(name)
    }

    async fn admin(&self, command: Document) -> Document {
        self.driver.database("admin").run_command(command).await.unwrap()
    }

    /// Has every `find` wait so long, and waits until one does.
    pub(crate) async fn stall_finds(&self, millis: i64) {
        let stall = doc! { "failCommands": ["find"], "blockConnection": true, "blockTimeMS": millis };
        let set = self.admin(doc! { "configureFailPoint": "failCommand", "mode": "alwaysOn", "data": stall }).await;
        let entered = i64::from(set.get_i32("count").unwrap_or(0)) + 1;
        let once = doc! { "waitForFailPoint": "failCommand", "timesEntered": entered, "maxTimeMS": 60_000 };
        self.admin(once).await;
    }

    /// Lets them go on.
    pub(crate) async fn flow(&self) {
        self.admin(doc! { "configureFailPoint": "failCommand", "mode": "off" }).await;
    }

    pub(crate) async fn stop(self) {
        self.servers.stop().await;
    }
}
