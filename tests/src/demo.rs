//! Docket as somebody sees it who has just installed it: `docket` with its demo data, on servers and a data folder of its own.

use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::Person;
use crate::binaries::path_of;

/// The demo's seller.
const SELLER: &str = "seller@example.com";
/// The demo's buyer.
const BUYER: &str = "buyer@example.com";
const PASSWORD: &str = "docket-demo-2026";

/// A running `docket` with demo data.
pub struct Demo {
    docket: Child,
    /// It is read to the end, or Docket could not write.
    _output: Lines<BufReader<ChildStdout>>,
    _folder: TempDir,
    base: String,
}

impl Demo {
    /// Starts it on free ports, and waits until the demo data are there.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let mut command = Command::new(path_of("docket"));
        command.env("DOCKET_HTTP_ADDR", "127.0.0.1:0").env("DOCKET_OPS_ADDR", "127.0.0.1:0");
        command.env("DOCKET_DATA_DIR", folder.path()).env("DOCKET_DEMO", "1").env("RUST_LOG", "warn");
        for given in ["MONGODB_URI", "NATS_URL"] {
            command.env_remove(given);
        }
        // Ctrl-C reaches it too, and it stops its servers.
        let spawned = command.stdout(Stdio::piped()).kill_on_drop(true).spawn();
        let mut docket = spawned.unwrap_or_else(|error| panic!("docket: {error}; `cargo xtask` builds it"));
        let output = docket.stdout.take().expect("it is piped");
        let mut output = BufReader::new(output).lines();
        let base = greeting(&mut output).await.expect("docket ends before it says where it is");
        Self { docket, _output: output, _folder: folder, base }
    }

    /// Its address.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Somebody who is not signed in.
    pub fn visitor(&self) -> Person {
        Person::visitor(&self.base)
    }

    /// The seller of the demo, signed in.
    pub async fn seller(&self) -> Person {
        self.sign_in(SELLER).await
    }

    /// The buyer of the demo, signed in.
    pub async fn buyer(&self) -> Person {
        self.sign_in(BUYER).await
    }

    async fn sign_in(&self, email: &str) -> Person {
        let mut person = self.visitor();
        let body = person.post("/api/users/signin", json!({ "email": email, "password": PASSWORD })).await.expect(200);
        person.id = body["id"].clone();
        email.clone_into(&mut person.email);
        person
    }

    /// Stops it and its servers, and removes its data.
    ///
    /// # Panics
    /// If it does not end well.
    pub async fn stop(mut self) {
        let pid = self.docket.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        kill_process(pid.expect("it runs"), Signal::TERM).expect("it may be asked");
        let status = self.docket.wait().await.expect("its end can be awaited");
        assert!(status.success(), "docket: {status}");
    }
}

/// Docket says where it is when everything is ready, demo data too.
async fn greeting(output: &mut Lines<BufReader<ChildStdout>>) -> Option<String> {
    while let Ok(Some(line)) = output.next_line().await {
        if let Some((_, address)) = line.split_once("Docket is at ") {
            return address.split_whitespace().next().map(str::to_owned);
        }
    }
    None
}
