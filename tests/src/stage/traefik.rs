//! Traefik, which a local cluster has for its Ingress, with the file provider in place of Kubernetes's.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::process::{Child, Command};

use super::HASTE;
use super::endpoints::{Endpoints, Ready};
use super::node::Node;
use super::routing::{INSIDE, OUTSIDE};
use crate::wait::until;

/// For so long Traefik collects changes before it acts on them, if nobody says otherwise.
const THROTTLE: Duration = Duration::from_secs(2);

/// A running Traefik; it is killed when this is dropped.
pub(super) struct Traefik {
    _process: Child,
    api: String,
}

/// The ports it listens on.
pub(super) struct Entrances {
    pub(super) outside: u16,
    pub(super) inside: u16,
    api: u16,
}

impl Entrances {
    pub(super) fn new(node: &Node) -> Self {
        Self { outside: node.port(), inside: node.port(), api: node.port() }
    }
}

/// Where it reads from what leads where.
pub(super) fn configuration(node: &Node) -> PathBuf {
    let folder = node.folder.join("traefik");
    fs::create_dir_all(&folder).expect("the stage's folder can be written");
    folder.join("routing.yaml")
}

impl Traefik {
    /// Starts it.
    pub(super) fn start(node: &Node, entrances: &Entrances) -> Self {
        let routing = configuration(node);
        let mut command = Command::from(node.tools.command("traefik"));
        for (name, port) in [(OUTSIDE, entrances.outside), (INSIDE, entrances.inside), ("traefik", entrances.api)] {
            command.arg(format!("--entrypoints.{name}.address=127.0.0.1:{port}"));
        }
        command.arg(format!("--providers.file.filename={}", routing.display()));
        command.arg(format!("--providers.providersthrottleduration={}ms", (THROTTLE / HASTE).as_millis()));
        command.args(["--api.insecure=true", "--global.checknewversion=false", "--global.sendanonymoususage=false"]);
        let log = File::create(routing.with_extension("log")).expect("the stage's folder can be written");
        command.env_clear().stdin(Stdio::null()).stderr(log.try_clone().expect("a file has two handles")).stdout(log);
        let process = command.kill_on_drop(true).spawn().expect("`cargo xtask test` installs Traefik");
        Self { _process: process, api: format!("http://127.0.0.1:{}/api/http/services", entrances.api) }
    }

    /// Waits until it leads to all who are ready.
    pub(super) async fn until_it_leads(&self, endpoints: &Endpoints) {
        let client = reqwest::Client::builder().no_proxy().build().expect("a client without TLS roots can be made");
        until("Traefik leads to all that is ready", 30, || async {
            let answer = client.get(&self.api).send().await.map_err(|error| error.to_string())?;
            let known: Value = answer.json().await.map_err(|error| error.to_string())?;
            let (known, ready) = (led_to(&known), endpoints.ready());
            if known == ready { Ok(()) } else { Err(format!("it knows {known:?} of {ready:?}")) }
        })
        .await;
    }
}

/// What Traefik's own API says of the services in the file.
fn led_to(known: &Value) -> Ready {
    let services = known.as_array().into_iter().flatten().filter_map(|service| {
        let name = service["name"].as_str()?.strip_suffix("@file")?;
        let servers = service["loadBalancer"]["servers"].as_array().into_iter().flatten();
        let addresses = servers.filter_map(|server| Some(server["url"].as_str()?.strip_prefix("http://")?.to_owned()));
        Some((name.to_owned(), addresses.collect()))
    });
    services.collect()
}
