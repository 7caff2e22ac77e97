//! The local servers, started for real.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may do what tests may")]

mod cluster;
mod replica_set;

use std::env;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use async_nats::jetstream;
use docket_local::{LocalError, LocalServers, Options};
use mongodb::bson::{Document, doc};
use mongodb::{Client, Collection};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// Set in a child of a test, which then owns this folder until it is killed.
const OWNER_OF: &str = "DOCKET_TEST_OWNER_OF";

/// Set in such a child: are its servers leashed?
const LEASH: &str = "DOCKET_TEST_LEASH";
const LEASHED: &str = "yes";
const UNLEASHED: &str = "no";

fn options(data_dir: &Path) -> Options {
    let shared = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../servers");
    let servers_dir = env::var_os("DOCKET_SERVERS_DIR").map_or(shared, PathBuf::from);
    Options { servers_dir, fresh: false, ..Options::for_tests(data_dir) }
}

async fn start(data_dir: &TempDir) -> LocalServers {
    LocalServers::start(options(data_dir.path())).await.unwrap()
}

async fn items(servers: &LocalServers) -> Collection<Document> {
    let client = Client::with_uri_str(servers.mongodb_uri().unwrap()).await.unwrap();
    client.database("docket").collection("items")
}

async fn jetstream(servers: &LocalServers) -> jetstream::Context {
    let url = servers.nats_url().unwrap();
    let client = async_nats::ConnectOptions::new().retry_on_initial_connect().connect(url).await.unwrap();
    jetstream::new(client)
}

async fn make_stream(servers: &LocalServers) {
    let config =
        jetstream::stream::Config { name: "things".into(), subjects: vec!["things.>".into()], ..Default::default() };
    let context = jetstream(servers).await;
    context.create_stream(config).await.unwrap();
    context.publish("things.one", "one".into()).await.unwrap().await.unwrap();
}

async fn messages(servers: &LocalServers) -> u64 {
    let mut stream = jetstream(servers).await.get_stream("things").await.unwrap();
    stream.info().await.unwrap().state.messages
}

#[tokio::test]
async fn transactions_work() {
    let folder = tempfile::tempdir().unwrap();
    let servers = start(&folder).await;
    let items = items(&servers).await;
    let mut session = items.client().start_session().await.unwrap();
    session.start_transaction().await.unwrap();
    items.insert_one(doc! { "n": 1 }).session(&mut session).await.unwrap();
    session.commit_transaction().await.unwrap();
    assert_eq!(items.count_documents(doc! {}).await.unwrap(), 1);
    servers.stop().await;
}

#[tokio::test]
async fn a_machine_that_went_down_is_noticed_until_that_is_made_good() {
    let folder = tempfile::tempdir().unwrap();
    let nats_alone = || LocalServers::start(Options { mongod: false, ..options(folder.path()) });
    let servers = nats_alone().await.unwrap();
    assert!(!servers.lost_power());
    servers.stop().await;

    let left_by_an_earlier_boot = json!({ "pid": 1, "started": 1, "boot": "another" });
    std::fs::write(folder.path().join("nats/process.json"), left_by_an_earlier_boot.to_string()).unwrap();
    for _ in 0..2 {
        let servers = nats_alone().await.unwrap();
        assert!(servers.lost_power());
        servers.stop().await;
    }
    let servers = nats_alone().await.unwrap();
    servers.made_good().unwrap();
    assert!(!servers.lost_power());
    servers.stop().await;
    let servers = nats_alone().await.unwrap();
    assert!(!servers.lost_power());
    servers.stop().await;
}

#[tokio::test]
async fn jetstream_answers() {
    let folder = tempfile::tempdir().unwrap();
    let servers = LocalServers::start(Options { mongod: false, ..options(folder.path()) }).await.unwrap();
    assert_eq!(servers.mongodb_uri(), None);
    jetstream(&servers).await.query_account().await.unwrap();
    servers.stop().await;
}

#[tokio::test]
async fn a_restart_keeps_data_and_ports() {
    let folder = tempfile::tempdir().unwrap();
    let servers = start(&folder).await;
    let urls = (servers.mongodb_uri().unwrap().to_owned(), servers.nats_url().unwrap().to_owned());
    items(&servers).await.insert_one(doc! { "n": 1 }).await.unwrap();
    make_stream(&servers).await;
    servers.stop().await;

    let servers = start(&folder).await;
    assert_eq!((servers.mongodb_uri().unwrap(), servers.nats_url().unwrap()), (urls.0.as_str(), urls.1.as_str()));
    assert_eq!(items(&servers).await.count_documents(doc! {}).await.unwrap(), 1);
    assert_eq!(messages(&servers).await, 1);
    servers.stop().await;
}

#[tokio::test]
async fn a_replica_set_moves_when_its_port_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let servers = start(&folder).await;
    let port = servers.mongod().unwrap().port();
    items(&servers).await.insert_one(doc! { "n": 1 }).await.unwrap();
    servers.stop().await;

    take(port).await;
    let servers = start(&folder).await;
    assert_ne!(servers.mongod().unwrap().port(), port);
    assert_eq!(items(&servers).await.count_documents(doc! {}).await.unwrap(), 1);
    servers.stop().await;
}

/// Listens and hangs up, as a server of another kind does.
async fn take(port: u16) {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    tokio::spawn(async move { while listener.accept().await.is_ok() {} });
}

#[tokio::test]
async fn a_fresh_start_forgets() {
    let folder = tempfile::tempdir().unwrap();
    let servers = start(&folder).await;
    items(&servers).await.insert_one(doc! { "n": 1 }).await.unwrap();
    servers.stop().await;

    let servers = LocalServers::start(Options { fresh: true, ..options(folder.path()) }).await.unwrap();
    assert_eq!(items(&servers).await.count_documents(doc! {}).await.unwrap(), 0);
    servers.stop().await;
}

#[tokio::test]
async fn a_server_can_be_stopped_and_started_again() {
    let folder = tempfile::tempdir().unwrap();
    let servers = start(&folder).await;
    let nats = servers.nats().unwrap();
    make_stream(&servers).await;
    nats.stop().await.unwrap();
    TcpListener::bind(("127.0.0.1", nats.port())).unwrap();
    assert!(matches!(nats.pause().await, Err(LocalError::NotRunning("nats-server"))));
    nats.start().await.unwrap();
    assert_eq!(messages(&servers).await, 1);
    servers.stop().await;
}

#[tokio::test]
async fn a_server_which_dies_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let servers = start(&folder).await;
    let items = items(&servers).await;
    items.insert_one(doc! { "n": 1 }).await.unwrap();
    make_stream(&servers).await;
    servers.nats().unwrap().crash().await.unwrap();
    servers.mongod().unwrap().crash().await.unwrap();
    assert_eq!(messages(&servers).await, 1);
    assert_eq!(items.count_documents(doc! {}).await.unwrap(), 1);
    servers.stop().await;
}

#[tokio::test]
async fn a_paused_server_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let servers = start(&folder).await;
    let items = items(&servers).await;
    let mongod = servers.mongod().unwrap();
    mongod.pause().await.unwrap();
    let insert = items.insert_one(doc! { "n": 1 }).into_future();
    mongod.resume().await.unwrap();
    insert.await.unwrap();
    mongod.pause().await.unwrap();
    servers.stop().await;
}

#[tokio::test]
async fn a_server_that_hangs_is_started_again_and_one_that_was_paused_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let patience = Duration::from_secs(3);
    let servers = LocalServers::start(Options { mongod: false, patience, ..options(folder.path()) }).await.unwrap();
    make_stream(&servers).await;
    let nats = servers.nats().unwrap();

    nats.pause().await.unwrap();
    let paused = nats_process(folder.path());
    tokio::time::sleep(patience * 2).await;
    assert_eq!(nats_process(folder.path()), paused);
    nats.resume().await.unwrap();
    assert_eq!(messages(&servers).await, 1);

    kill_process(Pid::from_raw(paused.parse().unwrap()).unwrap(), Signal::STOP).unwrap();
    until_another_than(&paused, folder.path()).await;
    assert_eq!(messages(&servers).await, 1);
    servers.stop().await;
}

#[tokio::test]
async fn a_server_that_is_told_so_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let servers = LocalServers::start(Options { mongod: false, ..options(folder.path()) }).await.unwrap();
    make_stream(&servers).await;
    let before = nats_process(folder.path());
    servers.nats().unwrap().restart().await.unwrap();
    until_another_than(&before, folder.path()).await;
    assert_eq!(messages(&servers).await, 1);
    servers.stop().await;
}

async fn until_another_than(process: &str, folder: &Path) {
    let another = async {
        while [process, ""].contains(&nats_process(folder).as_str()) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), another).await.unwrap();
}

/// The process id of `nats-server`; empty while there is none.
fn nats_process(folder: &Path) -> String {
    let record = std::fs::read_to_string(folder.join("nats/process.json")).unwrap_or_default();
    serde_json::from_str::<Value>(&record).map(|record| record["pid"].to_string()).unwrap_or_default()
}

#[tokio::test]
async fn a_folder_has_one_owner() {
    let folder = tempfile::tempdir().unwrap();
    let servers = LocalServers::start(Options { mongod: false, ..options(folder.path()) }).await.unwrap();
    let second = LocalServers::start(options(folder.path())).await;
    let error = second.unwrap_err();
    assert!(error.to_string().contains(&format!("in use by another Docket (process {})", std::process::id())));
    servers.stop().await;
}

#[tokio::test]
async fn what_a_killed_owner_left_is_stopped() {
    what_is_left_is_stopped(|_| ()).await;
}

#[tokio::test]
async fn what_an_owner_left_that_was_killed_before_it_noted_it_is_stopped() {
    what_is_left_is_stopped(|folder| {
        record_files(folder).into_iter().for_each(|file| std::fs::remove_file(file).unwrap());
    })
    .await;
}

async fn what_is_left_is_stopped(meanwhile: impl Fn(&Path)) {
    let folder = tempfile::tempdir().unwrap();
    let mut owner = spawn_owner(folder.path(), UNLEASHED);
    wait_until_owned(&mut owner).await;
    let before = recorded_processes(folder.path());
    owner.kill().await.unwrap();
    assert!(before.iter().all(|pid| is_running(pid)), "the servers outlive their owner");
    meanwhile(folder.path());

    let servers = start(&folder).await;
    assert!(!before.iter().any(|pid| is_running(pid)), "a leftover is still running");
    assert_eq!(items(&servers).await.count_documents(doc! {}).await.unwrap(), 1);
    servers.stop().await;
}

#[tokio::test]
async fn leashed_servers_end_with_their_owner() {
    let folder = tempfile::tempdir().unwrap();
    let mut owner = spawn_owner(folder.path(), LEASHED);
    wait_until_owned(&mut owner).await;
    let servers = recorded_processes(folder.path());
    owner.kill().await.unwrap();
    let ended = async {
        while servers.iter().any(|pid| is_running(pid)) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), ended).await.unwrap();
}

fn spawn_owner(folder: &Path, leash: &str) -> Child {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "owner", "--nocapture"]).env(OWNER_OF, folder).env(LEASH, leash);
    command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap()
}

async fn wait_until_owned(owner: &mut Child) {
    let mut lines = BufReader::new(owner.stdout.take().unwrap()).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        if line.contains("owned") {
            return;
        }
    }
    panic!("the owner did not get its servers");
}

/// Not a test of its own: the process which others kill.
#[tokio::test]
async fn owner() {
    let Some(folder) = env::var_os(OWNER_OF) else { return };
    let leashed = env::var(LEASH).unwrap() == LEASHED;
    let servers = LocalServers::start(Options { leashed, ..options(Path::new(&folder)) }).await.unwrap();
    items(&servers).await.insert_one(doc! { "n": 1 }).await.unwrap();
    #[expect(clippy::print_stdout, reason = "this is how the waiting test learns of it")]
    {
        println!("owned");
    }
    std::future::pending::<()>().await;
}

fn record_files(folder: &Path) -> [PathBuf; 2] {
    ["mongo", "nats"].map(|home| folder.join(home).join("process.json"))
}

fn recorded_processes(folder: &Path) -> Vec<String> {
    let records = record_files(folder).map(|file| std::fs::read_to_string(file).unwrap());
    records.iter().map(|record| serde_json::from_str::<Value>(record).unwrap()["pid"].to_string()).collect()
}

fn is_running(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}
