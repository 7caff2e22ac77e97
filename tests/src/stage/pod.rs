//! A pod as processes of this machine: with the command, the environment and the files that its manifest says.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Stdio;

use docket_manifests::{Cluster, Object, list};
use serde_json::Value;
use tokio::process::Command;

use super::HASTE;
use super::node::Node;
use super::places::Places;

/// The setting that says how long a service drains, in seconds.
const DRAIN: &str = "DOCKET_DRAIN_SECONDS";

/// How much of a log is shown of a process that failed.
const TAIL: usize = 3_000;

/// A pod's files and ports. Nothing runs in it by itself.
pub(super) struct Pod {
    pub(super) name: String,
    /// The ports of this machine, by those of its containers.
    ports: BTreeMap<u64, u16>,
    /// Its mounts and ports, and all that the node knew when it was made.
    pub(super) places: Places,
    folder: PathBuf,
}

impl Pod {
    /// A pod of a workload.
    pub(super) fn new(node: &Node, workload: &Object, name: String) -> Self {
        let folder = node.folder.join(&name);
        let mut pod = Self { name, ports: BTreeMap::new(), places: node.places.clone(), folder };
        for container in containers(workload) {
            for port in list(container, "/ports").iter().filter_map(|port| port["containerPort"].as_u64()) {
                pod.ports.insert(port, node.port());
                pod.places.put(format!("0.0.0.0:{port}"), pod.address(port));
            }
            for mount in list(container, "/volumeMounts") {
                let folder = pod.volume(&mount["name"]);
                pod.places.put(mount["mountPath"].as_str().unwrap_or_default(), folder.to_string_lossy());
            }
        }
        pod.fill(&node.cluster, workload);
        pod
    }

    /// Where one of its ports is.
    pub(super) fn address(&self, port: u64) -> String {
        format!("127.0.0.1:{}", self.ports[&port])
    }

    /// A container's environment.
    pub(super) fn environment(&self, cluster: &Cluster, container: &Value) -> BTreeMap<String, String> {
        let told = cluster.environment(container, &self.name);
        told.into_iter().map(|(name, value)| (name.clone(), self.told(&name, &value))).collect()
    }

    fn told(&self, name: &str, value: &str) -> String {
        match value.parse::<u32>() {
            Ok(seconds) if name == DRAIN => (seconds / HASTE).to_string(),
            _ => self.places.here(value),
        }
    }

    /// What runs in a container, with its environment and nothing else's, and its output in a file.
    pub(super) fn command(&self, node: &Node, container: &Value) -> Command {
        let mut command = Command::new(node.program(container));
        let words = list(container, "/command").iter().skip(1).chain(list(container, "/args"));
        command.args(words.filter_map(Value::as_str).map(|word| self.places.here(word)));
        command.env_clear().envs(&node.settings).envs(self.environment(&node.cluster, container));
        let log = File::create(self.log()).expect("the folder of a pod can be written");
        command.stdin(Stdio::null()).stderr(log.try_clone().expect("a file has two handles")).stdout(log);
        command.kill_on_drop(true);
        command
    }

    /// The end of what its process wrote.
    pub(super) fn said(&self) -> String {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let from = log.len().saturating_sub(TAIL);
        log[log.ceil_char_boundary(from)..].to_owned()
    }

    fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    fn volume(&self, name: &Value) -> PathBuf {
        self.folder.join("volumes").join(name.as_str().unwrap_or_default())
    }

    /// Makes its volumes: empty ones, and those with the files of maps and secrets.
    fn fill(&self, cluster: &Cluster, workload: &Object) {
        fs::create_dir_all(&self.folder).expect("the folder of a pod can be made");
        let claimed =
            list(workload.at("/spec"), "/volumeClaimTemplates").iter().map(|claim| &claim["metadata"]["name"]);
        let volumes = list(workload.pod(), "/volumes");
        for name in claimed.chain(volumes.iter().map(|volume| &volume["name"])) {
            fs::create_dir_all(self.volume(name)).expect("the folder of a pod can be made");
        }
        for volume in volumes {
            let map = volume["configMap"]["name"].as_str().map(|name| ("ConfigMap", name));
            let secret = volume["secret"]["secretName"].as_str().map(|name| ("Secret", name));
            let object = map.or(secret).and_then(|(kind, name)| cluster.find(kind, name));
            for (name, text) in object.into_iter().flat_map(Object::data) {
                let file = self.volume(&volume["name"]).join(name);
                fs::write(file, self.places.here(&text)).expect("the folder of a pod can be written");
            }
        }
    }
}

/// All containers, also those that run before the others.
fn containers(workload: &Object) -> impl Iterator<Item = &Value> {
    list(workload.pod(), "/initContainers").iter().chain(workload.containers())
}
