//! NATS and MongoDB with the configurations, passwords and users that the overlay gives them.

use std::fs::{self, File};
use std::process::Stdio;
use std::time::Duration;

use docket_manifests::{Object, list};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::process::{Child, Command};

use super::name::Name;
use super::node::Node;
use super::pod::Pod;
use super::probe::Probe;
use crate::wait::{pause, until};

/// The containers of MongoDB's pod: the server, and the one that keeps its users.
const SERVER: &str = "mongodb";
const KEEPER: &str = "keeper";

/// How long a server may take to answer, and the keeper to make all users, in seconds.
const PATIENCE: u64 = 60;

/// So long the name of a pod leads nowhere when the pod is back: the endpoints and the caches of name servers are behind.
const UNKNOWN: Duration = Duration::from_secs(3);

/// How a pod is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delete {
    /// It is told to end.
    Gracefully,
    /// It is killed.
    ByForce,
}

/// The one pod of a StatefulSet, and the names by which it is called.
pub(super) struct Server {
    set: String,
    names: Vec<(u64, Name)>,
    processes: Vec<Child>,
}

impl Server {
    /// A set whose names are known to all others from now on.
    pub(super) async fn new(node: &mut Node, set: &str) -> Self {
        let mut names = Vec::new();
        for (port, called) in node.names(workload(node, set), &pod_of(set)) {
            let name = Name::new().await;
            node.places.extend(called.into_iter().map(|there| (there, name.address())).collect());
            names.push((port, name));
        }
        Self { set: set.to_owned(), names, processes: Vec::new() }
    }

    /// Starts the pod, at an address that no pod had before, and waits until it is ready. Until `known_after` nobody finds it.
    pub(super) async fn start(&mut self, node: &Node, known_after: Duration) {
        let mut pod = Pod::new(node, workload(node, &self.set), pod_of(&self.set));
        match self.set.as_str() {
            SERVER => self.start_mongodb(node, &mut pod, known_after).await,
            _ => self.start_nats(node, &pod, known_after).await,
        }
    }

    /// Deletes the pod, and starts it anew at another address, which nobody knows at first.
    pub(super) async fn restart(&mut self, node: &Node, delete: Delete) {
        self.names.iter().for_each(|(_, name)| name.lead_to(None));
        for mut process in self.processes.drain(..) {
            let pid = process.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
            let how = if delete == Delete::ByForce { Signal::KILL } else { Signal::TERM };
            kill_process(pid.expect("nobody has waited for it"), how).expect("a child may be told to end");
            let ended = tokio::time::timeout(Duration::from_secs(PATIENCE), process.wait()).await;
            assert!(ended.is_ok(), "a process of {} does not end", self.set);
        }
        self.start(node, UNKNOWN).await;
    }

    async fn start_nats(&mut self, node: &Node, pod: &Pod, known_after: Duration) {
        let container = named(workload(node, &self.set), "nats");
        self.run(pod.command(node, &container));
        self.be_known(pod, known_after).await;
        self.until_ready(node, pod, &container).await;
    }

    /// A member of MongoDB, whose keeper makes a replica set of it, with users.
    async fn start_mongodb(&mut self, node: &Node, pod: &mut Pod, known_after: Duration) {
        // A pod has an address of its own, where the usual port is free.
        pod.places.put("--bind_ip_all", "--bind_ip=127.0.0.1");
        pod.places.put("127.0.0.1:27017", pod.address(27017));
        let port = pod.address(27017).replace("127.0.0.1:", "");
        for init in list(workload(node, SERVER).pod(), "/initContainers") {
            let done = pod.command(node, init).status().await.expect("what an init container does can be run");
            assert!(done.success(), "{}: {done}: {}", init["name"], pod.said());
        }
        let container = named(workload(node, SERVER), SERVER);
        let mut command = pod.command(node, &container);
        command.args(["--port", &port, "--dbpath", &pod.places.here("/data/db")]);
        // By default a stopping member lingers, so that clients find another.
        command.args(["--setParameter", "shutdownTimeoutMillisForSignaledShutdown=100"]);
        self.run(command);
        self.keep(node, pod).await;
        self.be_known(pod, known_after).await;
        self.until_ready(node, pod, &container).await;
        until_member(node, pod).await;
    }

    /// The keeper, which goes on for as long as the pod.
    async fn keep(&mut self, node: &Node, pod: &Pod) {
        let container = named(workload(node, SERVER), KEEPER);
        let environment = pod.environment(&node.cluster, &container);
        let _ = fs::remove_file(&environment["MEMBER"]);
        let log = File::create(pod.places.here("/tmp/keeper.log")).expect("the folder of a pod can be written");
        let mut mongosh = Command::from(node.tools.mongosh());
        mongosh.args(["--quiet", "--nodb", &pod.places.here("/keeper/keep.js")]).stdin(Stdio::null()).stdout(log);
        mongosh.envs(&environment).kill_on_drop(true);
        self.run(mongosh);
    }

    fn run(&mut self, mut command: Command) {
        let process = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", self.set));
        self.processes.push(process);
    }

    async fn be_known(&self, pod: &Pod, after: Duration) {
        pause(after).await;
        self.names.iter().for_each(|(port, name)| name.lead_to(Some(&pod.address(*port))));
    }

    async fn until_ready(&self, node: &Node, pod: &Pod, container: &Value) {
        let probe = Probe::new(workload(node, &self.set), container, pod);
        until(&format!("{} answers", self.set), PATIENCE, || async {
            if probe.succeeds().await { Ok(()) } else { Err(pod.said()) }
        })
        .await;
    }
}

/// As the keeper's readinessProbe finds it out, and until it has made every user.
async fn until_member(node: &Node, pod: &Pod) {
    let environment = pod.environment(&node.cluster, &named(workload(node, SERVER), KEEPER));
    let log = pod.places.here("/tmp/keeper.log");
    let users = fs::read_dir(&environment["USERS"]).expect("the keeper's users are mounted").count();
    until("MongoDB is a member with all users", PATIENCE, || async {
        let said = fs::read_to_string(&log).unwrap_or_default();
        let is_new = said.contains("the replica set begins");
        let made = said.lines().filter(|line| line.ends_with(" is made")).count();
        let all = !is_new || made == users;
        if all && fs::exists(&environment["MEMBER"]).unwrap_or(false) { Ok(()) } else { Err(said) }
    })
    .await;
}

fn pod_of(set: &str) -> String {
    format!("{set}-0")
}

fn workload<'n>(node: &'n Node, name: &str) -> &'n Object {
    node.cluster.find("StatefulSet", name).unwrap_or_else(|| panic!("the overlay has no {name}"))
}

fn named(workload: &Object, name: &str) -> Value {
    let found = workload.containers().iter().find(|container| container["name"] == name);
    found.unwrap_or_else(|| panic!("{} has no container {name}", workload.title())).clone()
}
