//! What keeps MongoDB's set and users on a cluster, beside members that run here. How it heals a member the stage shows.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use bson::{Document, doc};
use docket_local::{Options, install};
use docket_manifests::Tools;
use docket_tests::{eventually, free_port};
use tempfile::TempDir;
use tokio::process::{Child, Command};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../infra/k8s/base/mongodb/keep.js");

/// How long a keeper takes to see what has changed and to do it, in seconds: it looks every few.
const SEEN: u64 = 40;

/// A member of no set yet.
struct Member {
    host: String,
    port: u16,
    _mongod: Child,
}

impl Member {
    fn start(mongod: &Path, folder: &Path) -> Self {
        let port = free_port();
        let data = folder.join(port.to_string());
        std::fs::create_dir(&data).unwrap();
        let mut command = Command::new(mongod);
        command.args(["--replSet", "docket", "--nounixsocket", "--bind_ip", "localhost", "--oplogSize", "16"]);
        command.args(["--wiredTigerCacheSizeGB", "0.25", "--port", &port.to_string(), "--dbpath"]).arg(data);
        let mongod = command.stdout(Stdio::null()).kill_on_drop(true).spawn().unwrap();
        Self { host: format!("localhost:{port}"), port, _mongod: mongod }
    }

    /// What it says of its set.
    async fn hello(&self) -> Option<Document> {
        let uri = format!("mongodb://{}/?directConnection=true&serverSelectionTimeoutMS=2000", self.host);
        let client = mongodb::Client::with_uri_str(uri).await.ok()?;
        client.database("admin").run_command(doc! { "hello": 1 }).await.ok()
    }
}

/// The files that a keeper is given.
struct Settings(TempDir);

impl Settings {
    fn hosts(&self) -> PathBuf {
        self.0.path().join("hosts")
    }

    fn name(&self, members: &[&Member]) {
        let hosts: Vec<&str> = members.iter().map(|member| member.host.as_str()).collect();
        std::fs::write(self.hosts(), hosts.join(",")).unwrap();
    }

    fn keep(&self, member: &Member) -> Child {
        let tools =
            std::env::var_os("DOCKET_TEST_TOOLS").expect("DOCKET_TEST_TOOLS is not set: run `cargo xtask test`");
        let users = self.0.path().join("users");
        std::fs::create_dir(&users).unwrap();
        std::fs::write(users.join("root"), "the password of root").unwrap();
        let mut mongosh = Command::from(Tools::installed_in(tools.into()).mongosh());
        mongosh.args(["--quiet", "--nodb", SCRIPT]).stdin(Stdio::null()).stdout(Stdio::null());
        mongosh.env("HOSTS", self.hosts()).env("USERS", users).env("MEMBER", self.0.path().join("member"));
        mongosh.env("LOCAL", format!("127.0.0.1:{}", member.port)).env("SELF", format!("mongodb://{}", member.host));
        mongosh.env("HOME", self.0.path()).kill_on_drop(true).spawn().unwrap()
    }
}

/// Its pod goes on, and so does its keeper.
#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_is_named_while_the_set_runs_joins_it() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { nats: false, ..Options::for_tests(folder.path()) };
    let mongod = install(&options).await.unwrap().mongod.unwrap();
    let (first, second) = (Member::start(&mongod, folder.path()), Member::start(&mongod, folder.path()));
    let settings = Settings(tempfile::tempdir().unwrap());
    settings.name(&[&first]);
    let _keeper = settings.keep(&first);
    eventually("the first one is a set, and well", SEEN, || async {
        let well = first.hello().await?.get_bool("isWritablePrimary").ok()?;
        (well && settings.0.path().join("member").exists()).then_some(())
    })
    .await;
    settings.name(&[&first, &second]);
    eventually("the second one follows the first, which knows of it", SEEN, || async {
        let follows = second.hello().await?.get_bool("secondary").ok()?;
        let known = first.hello().await?.get_array("hosts").ok()?.len() == 2;
        (follows && known).then_some(())
    })
    .await;
}
