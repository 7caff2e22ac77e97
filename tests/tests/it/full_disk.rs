//! A disk that was full: what the broker refused meanwhile is published once there is room, without anybody's help.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use docket_tests::{Person, binary, eventually, free_port, ops_of};
use rustix::process::{Pid, Signal, getuid, kill_process};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

/// A `docket` whose `nats-server` has a small disk of its own, which only these processes see.
struct Docket {
    child: Child,
    http: String,
    ops: String,
    folder: tempfile::TempDir,
}

impl Docket {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("nats")).unwrap();
        let (http, ops) = (format!("127.0.0.1:{}", free_port()), format!("127.0.0.1:{}", free_port()));
        let mut command = Command::new("unshare");
        command.arg("--mount").args((!getuid().is_root()).then_some("--map-root-user"));
        command.args(["sh", "-c", "mount -t tmpfs -o size=24m tmpfs \"$1\" && exec \"$0\""]);
        command.arg(binary("docket")).arg(folder.path().join("nats"));
        command.env("DOCKET_DATA_DIR", folder.path()).env("DOCKET_DEMO", "0");
        command.env("DOCKET_HTTP_ADDR", &http).env("DOCKET_OPS_ADDR", &ops);
        let child =
            command.stdout(Stdio::null()).kill_on_drop(true).spawn().expect("unshare (util-linux) is installed");
        let (http, ops) = (format!("http://{http}"), format!("http://{ops}"));
        let docket = Self { child, http, ops, folder };
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
        root.join(self.folder.path().strip_prefix("/").unwrap()).join("nats")
    }

    async fn publishing(&self) -> Value {
        let (_, body) = ops_of(&self.ops, "/status").await.unwrap();
        serde_json::from_str::<Value>(&body).unwrap()["shared"]["publishing"].clone()
    }

    async fn stop(mut self) {
        kill_process(self.pid(), Signal::TERM).unwrap();
        assert!(self.child.wait().await.unwrap().success());
    }
}

fn fill(disk: &Path) {
    let mut filler = File::create(disk.join("filler")).unwrap();
    for length in [64 * 1024, 1024, 1] {
        while filler.write_all(&vec![0; length]).is_ok() {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_published_soon_after_a_full_disk_has_room() {
    common::http::install_tls_provider();
    let docket = Docket::start().await;
    let seller = Person::sign_up(&docket.http, "seller@example.org").await;
    let buyer = Person::sign_up(&docket.http, "buyer@example.org").await;
    let before = seller.sell(9).await;
    eventually("a listing is known", 30, || async { (buyer.hold(&before, 1).await.status == 201).then_some(()) }).await;

    fill(&docket.disk());
    let long = "A long description. ".repeat(150);
    let listing = json!({ "title": "While the disk is full", "description": long, "price": "5", "quantity": 9 });
    let refused = eventually("publishing is refused, and said to be", 90, || async {
        // One person may not make listings as fast as this asks.
        seller.post("/api/tickets", listing.clone()).await;
        let publishing = docket.publishing().await;
        (publishing["well"] == false).then_some(publishing)
    })
    .await;
    assert!(refused["stalledSeconds"]["tickets"].as_u64().unwrap() >= 5, "{refused}");
    let (_, metrics) = ops_of(&docket.ops, "/metrics").await.unwrap();
    assert!(metrics.contains("publishing_failed_total{domain=\"tickets\"}"), "{metrics}");
    let meanwhile = eventually("a listing is made", 30, || async {
        let made = seller.post("/api/tickets", listing.clone()).await;
        (made.status == 201).then_some(made.body)
    })
    .await;
    assert_eq!(ops_of(&docket.ops, "/readyz").await.unwrap().0, 200, "it is no fault of this replica");

    std::fs::remove_file(docket.disk().join("filler")).unwrap();
    // Generous: 30 s on a machine that has nothing else to do.
    eventually("what was listed meanwhile is known", 90, || async {
        (buyer.hold(&meanwhile, 1).await.status == 201).then_some(())
    })
    .await;
    eventually("publishing is well", 30, || async { (docket.publishing().await["well"] == true).then_some(()) }).await;
    docket.stop().await;
}
