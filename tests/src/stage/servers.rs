//! NATS and MongoDB with the configurations, passwords and users that the overlay gives them.

use std::process::Stdio;
use std::sync::Mutex;

use docket_manifests::{Object, list};
use serde_json::Value;
use tokio::process::{Child, Command};

use super::node::Node;
use super::pod::Pod;
use super::probe::Probe;
use crate::wait::until;

/// The containers of MongoDB's pod: the server, and the one that keeps its users.
const SERVER: &str = "mongodb";
const KEEPER: &str = "keeper";

/// How long a server may take to answer, and the keeper to make all users, in seconds.
const PATIENCE: u64 = 60;

/// A server that runs; it is killed when this is dropped.
pub(super) struct Server {
    _process: Child,
}

/// Starts NATS, and waits until it is ready.
pub(super) async fn nats(node: &mut Node) -> Server {
    let (pod, container) = prepare(node, "nats", "nats");
    run(node, "nats", &pod, pod.command(node, &container), &container).await
}

/// Starts a member of MongoDB, and has its keeper make a replica set of it, with users.
pub(super) async fn mongodb(node: &mut Node) -> Server {
    let (mut pod, container) = prepare(node, "mongodb", SERVER);
    // A pod has an address of its own, where the usual port is free.
    pod.places.put("--bind_ip_all", "--bind_ip=127.0.0.1");
    let port = pod.address(27017).replace("127.0.0.1:", "");
    for init in list(workload(node, "mongodb").pod(), "/initContainers") {
        let done = pod.command(node, init).status().await.expect("what an init container does can be run");
        assert!(done.success(), "{}: {done}: {}", init["name"], pod.said());
    }
    let mut command = pod.command(node, &container);
    command.args(["--port", &port, "--dbpath", &pod.places.here("/data/db")]);
    // By default a stopping member lingers, so that clients find another.
    command.args(["--setParameter", "shutdownTimeoutMillisForSignaledShutdown=100"]);
    let server = run(node, "mongodb", &pod, command, &container).await;
    keep(node, &pod).await;
    server
}

/// The only pod of a StatefulSet, whom others can find from now on, and one of its containers.
fn prepare(node: &mut Node, set: &str, container: &str) -> (Pod, Value) {
    let pod = Pod::new(node, workload(node, set), format!("{set}-0"));
    let container = named(workload(node, set), container);
    let addresses = node.addresses(workload(node, set), &pod);
    node.places.extend(addresses);
    (pod, container)
}

fn workload<'n>(node: &'n Node, name: &str) -> &'n Object {
    node.cluster.find("StatefulSet", name).unwrap_or_else(|| panic!("the overlay has no {name}"))
}

fn named(workload: &Object, name: &str) -> Value {
    let found = workload.containers().iter().find(|container| container["name"] == name);
    found.unwrap_or_else(|| panic!("{} has no container {name}", workload.title())).clone()
}

async fn run(node: &Node, name: &str, pod: &Pod, mut command: Command, container: &Value) -> Server {
    let process = command.spawn().unwrap_or_else(|error| panic!("{name}: {error}"));
    let probe = Probe::new(workload(node, name), container, pod);
    until(&format!("{name} answers"), PATIENCE, || async {
        if probe.succeeds().await { Ok(()) } else { Err(pod.said()) }
    })
    .await;
    Server { _process: process }
}

/// Runs the keeper's script until it has made every user, as its container does for ever.
async fn keep(node: &Node, pod: &Pod) {
    let container = named(workload(node, "mongodb"), KEEPER);
    let environment = pod.environment(&node.cluster, &container);
    let users = std::fs::read_dir(&environment["USERS"]).expect("the keeper's users are mounted");
    let made = users.map(|user| format!("{} is made", user.expect("a folder can be read").file_name().display()));
    let made: Vec<String> = made.collect();
    let said = Mutex::new(String::new());
    until("the keeper has made all users", PATIENCE, || async {
        let mut mongosh = Command::from(node.tools.mongosh());
        mongosh.args(["--quiet", "--nodb", &pod.places.here("/keeper/keep.js")]).stdin(Stdio::null());
        let output = mongosh.envs(&environment).kill_on_drop(true).output().await.map_err(|error| error.to_string())?;
        let mut said = said.lock().expect("nobody panics while holding it");
        said.push_str(&String::from_utf8_lossy(&[output.stdout, output.stderr].concat()));
        let all = made.iter().all(|line| said.lines().any(|told| told == line));
        if all { Ok(()) } else { Err(said.clone()) }
    })
    .await;
}
