//! A disk that was full: what a server refused meanwhile is done once there is room, without anybody's help.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use docket_tests::{Person, binary, eventually, fill_disk, free_port, make_room, ops_of};
use rustix::process::{Pid, Signal, getuid, kill_process};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

/// A `docket` one of whose servers has a small disk of its own, which only these processes see.
struct Docket {
    child: Child,
    http: String,
    ops: String,
    folder: tempfile::TempDir,
    server: &'static str,
}

impl Docket {
    /// The server is named by its folder.
    async fn start(server: &'static str, size: &str) -> Self {
        common::http::install_tls_provider();
        let folder = tempfile::tempdir().unwrap();
        let (http, ops) = (format!("127.0.0.1:{}", free_port()), format!("127.0.0.1:{}", free_port()));
        let mut command = on_small_disk(folder.path(), server, size);
        command.env("DOCKET_HTTP_ADDR", &http).env("DOCKET_OPS_ADDR", &ops);
        let child = command.stdout(Stdio::null()).spawn().expect("unshare (util-linux) is installed");
        let (http, ops) = (format!("http://{http}"), format!("http://{ops}"));
        let docket = Self { child, http, ops, folder, server };
        eventually("docket is ready; it needs leave to mount a disk", 120, || async {
            ops_of(&docket.ops, "/readyz").await.filter(|(status, _)| *status == 200)
        })
        .await;
        docket
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id().unwrap()).unwrap()).unwrap()
    }

    /// The small disk, as the processes that see it see it.
    fn disk(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.pid().as_raw_nonzero()));
        root.join(self.folder.path().strip_prefix("/").unwrap()).join(self.server)
    }

    /// What `/status` says of a shared thing.
    async fn shared(&self, name: &str) -> Value {
        let (_, body) = ops_of(&self.ops, "/status").await.unwrap();
        serde_json::from_str::<Value>(&body).unwrap()["shared"][name].clone()
    }

    async fn is_ready(&self) -> bool {
        ops_of(&self.ops, "/readyz").await.is_some_and(|(status, _)| status == 200)
    }

    /// Has MongoDB write its data to the disk, as it does each minute by itself; without room it ends then.
    async fn checkpoint(&self) {
        let port = std::fs::read_to_string(self.disk().join("port")).unwrap();
        let direct = format!("mongodb://127.0.0.1:{port}/?directConnection=true");
        let client = mongodb::Client::with_uri_str(direct).await.unwrap();
        client.database("admin").run_command(bson::doc! { "fsync": 1 }).await.expect_err("there is no room");
    }

    async fn stop(mut self) {
        kill_process(self.pid(), Signal::TERM).unwrap();
        assert!(self.child.wait().await.unwrap().success());
    }
}

/// A `docket`, with its data in a folder, in which one of its servers has a disk of its own.
fn on_small_disk(folder: &Path, server: &str, size: &str) -> Command {
    std::fs::create_dir(folder.join(server)).unwrap();
    let mut command = Command::new("unshare");
    command.arg("--mount").args((!getuid().is_root()).then_some("--map-root-user"));
    command.args(["sh", "-c", "mount -t tmpfs -o size=$2 tmpfs \"$1\" && shift 2 && exec \"$0\" \"$@\""]);
    command.arg(binary("docket")).arg(folder.join(server)).arg(size);
    command.env("DOCKET_DATA_DIR", folder).env("DOCKET_DEMO", "0").kill_on_drop(true);
    for given in ["MONGODB_URI", "NATS_URL"] {
        command.env_remove(given);
    }
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_without_room_is_told_before_a_server_is_started_there() {
    for (server, size, says) in [("nats", "4m", "nats-server needs 16 MiB"), ("mongo", "64m", "mongod needs 256 MiB")] {
        for doctor in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let mut command = on_small_disk(folder.path(), server, size);
            command.args(doctor.then_some("doctor"));
            command.env("DOCKET_HTTP_ADDR", "127.0.0.1:0").env("DOCKET_OPS_ADDR", "127.0.0.1:0");
            let ended = tokio::time::timeout(Duration::from_secs(30), command.output());
            let output = ended.await.expect("it ends by itself").expect("unshare (util-linux) is installed");
            let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
            assert_eq!(output.status.code(), Some(if doctor { 1 } else { 2 }), "{said}");
            let path = folder.path().join(server);
            for part in ["DOCKET_DATA_DIR", says, &format!("MiB are free in {}", path.display())] {
                assert!(said.contains(part), "{part}: {said}");
            }
            assert!(!doctor || said.contains("ILL   data"), "{said}");
            let other = if server == "nats" { "mongo" } else { "nats" };
            assert!(!folder.path().join(other).exists(), "a server was started");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_published_soon_after_a_full_disk_has_room() {
    let docket = Docket::start("nats", "24m").await;
    let seller = Person::sign_up(&docket.http, "seller@example.org").await;
    let buyer = Person::sign_up(&docket.http, "buyer@example.org").await;
    let before = seller.sell(9).await;
    eventually("a listing is known", 30, || async { (buyer.hold(&before, 1).await.status == 201).then_some(()) }).await;

    fill_disk(&docket.disk()).await.unwrap();
    let long = "A long description. ".repeat(150);
    let listing = json!({ "title": "While the disk is full", "description": long, "price": "5", "quantity": 9 });
    let refused = eventually("publishing is refused, and said to be", 90, || async {
        // One person may not make listings as fast as this asks.
        seller.list(listing.clone()).await;
        let publishing = docket.shared("publishing").await;
        (publishing["well"] == false).then_some(publishing)
    })
    .await;
    assert!(refused["stalledSeconds"]["tickets"].as_u64().unwrap() >= 5, "{refused}");
    let (_, metrics) = ops_of(&docket.ops, "/metrics").await.unwrap();
    assert!(metrics.contains("publishing_failed_total{domain=\"tickets\"}"), "{metrics}");
    let meanwhile = eventually("a listing is made", 30, || async {
        let made = seller.list(listing.clone()).await;
        (made.status == 201).then_some(made.body)
    })
    .await;
    assert!(docket.is_ready().await, "it is no fault of this replica");

    make_room(&docket.disk()).await.unwrap();
    // Generous: 30 s on a machine that has nothing else to do.
    eventually("what was listed meanwhile is known", 90, || async {
        (buyer.hold(&meanwhile, 1).await.status == 201).then_some(())
    })
    .await;
    eventually("publishing is well", 30, || async {
        (docket.shared("publishing").await["well"] == true).then_some(())
    })
    .await;
    docket.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_whose_disk_was_full_comes_back_with_all_that_was_promised() {
    let docket = Docket::start("mongo", "600m").await;
    let seller = Person::sign_up(&docket.http, "seller@example.org").await;
    let buyer = Person::sign_up(&docket.http, "buyer@example.org").await;
    let promised = AtomicUsize::new(0);
    // One person may not make listings as fast as this asks.
    let list = async || {
        let listing = json!({ "title": "A show", "price": "5", "quantity": 9 });
        let answer = seller.list(listing).await;
        promised.fetch_add(usize::from(answer.status == 201), Ordering::Relaxed);
        answer
    };
    let before = list().await.expect(201);
    eventually("a listing is known", 30, || async { (buyer.hold(&before, 1).await.status == 201).then_some(()) }).await;

    fill_disk(&docket.disk()).await.unwrap();
    docket.checkpoint().await;
    let refused = eventually("listings are refused", 90, || async {
        let answer = list().await;
        (answer.status == 503).then_some(answer)
    })
    .await;
    assert!(refused.headers.contains_key("retry-after"), "{:?}", refused.headers);
    eventually("MongoDB is said to be away", 60, || async {
        (docket.shared("mongodb").await["well"] == false).then_some(())
    })
    .await;
    assert_eq!(docket.shared("mongodb").await["connectionStuck"], false);
    assert!(docket.is_ready().await, "it is away for all");
    list().await.problem(503, "unavailable");

    make_room(&docket.disk()).await.unwrap();
    eventually("MongoDB is back", 90, || async { (docket.shared("mongodb").await["well"] == true).then_some(()) })
        .await;
    let after = eventually("listings are made", 60, || async {
        let answer = list().await;
        (answer.status == 201).then_some(answer.body)
    })
    .await;
    eventually("what is listed is known", 60, || async { (buyer.hold(&after, 1).await.status == 201).then_some(()) })
        .await;
    let mine = format!("/api/tickets?sellerId={}&limit=100", seller.id.as_str().unwrap());
    let there = seller.get(&mine).await.expect(200)["items"].as_array().unwrap().len();
    let promised = promised.into_inner();
    // What was answered with 503 may have been done.
    assert!(there >= promised, "{there} listings of {promised} that were promised");
    docket.stop().await;
}
