//! This machine as the only node of the cluster: it has the overlay's objects, and ports, folders and programs for pods.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use docket_local::{Binaries, Options};
use docket_manifests::{Cluster, Object, Tools, list, selects};
use serde_json::{Value, json};

use super::places::Places;
use crate::binaries::path_of;

/// Whose images are the binaries of this build.
const OURS: &str = "docket/";

pub(super) struct Node {
    pub(super) cluster: Cluster,
    pub(super) tools: Tools,
    /// Where the addresses of the cluster are.
    pub(super) places: Places,
    /// Settings that an operator adds to those of the overlay, for all services.
    pub(super) settings: BTreeMap<String, String>,
    pub(super) folder: PathBuf,
    servers: Binaries,
    ports: Mutex<BTreeSet<u16>>,
}

impl Node {
    /// A node for a cluster, whose pods keep their files in `folder`.
    pub(super) async fn new(cluster: Cluster, tools: Tools, folder: &Path) -> Self {
        common::http::install_tls_provider();
        let servers = docket_local::install(&Options::for_tests(folder)).await.expect("the servers can be had");
        let (places, settings, ports) = (Places::default(), BTreeMap::new(), Mutex::default());
        Self { cluster, tools, places, settings, folder: folder.to_owned(), servers, ports }
    }

    /// A free port that nobody else was given.
    pub(super) fn port(&self) -> u16 {
        let mut given = self.ports.lock().expect("nobody panics while holding it");
        loop {
            let port = docket_local::free_port();
            if given.insert(port) {
                return port;
            }
        }
    }

    /// The names by which others find a pod that stands behind its Services alone, by the pod's ports: the Service's, and for a
    /// member of a set its own, short and whole.
    pub(super) fn names(&self, workload: &Object, pod: &str) -> Vec<(u64, Vec<String>)> {
        let mut found = Vec::new();
        for service in self.cluster.of("Service").filter(|service| is_behind(workload, service)) {
            for port in list(service.at("/spec"), "/ports") {
                let Some(target) = workload.port(&port["targetPort"]) else { continue };
                let (name, space, port) = (service.name(), workload.text("/metadata/namespace"), &port["port"]);
                let whole = format!("{pod}.{name}.{space}.svc.cluster.local:{port}");
                found.push((target, vec![whole, format!("{pod}.{name}:{port}"), format!("{name}:{port}")]));
            }
        }
        found
    }

    /// What runs in a container: what its command names, else what its image is made of.
    pub(super) fn program(&self, container: &Value) -> PathBuf {
        let server = |found: &Option<PathBuf>| found.clone().expect("all servers were asked for");
        match list(container, "/command").first().and_then(Value::as_str) {
            Some("mongod") => server(&self.servers.mongod),
            Some("nats-server") => server(&self.servers.nats),
            Some(other) => other.into(),
            None => path_of(binary(container["image"].as_str().unwrap_or_default())),
        }
    }
}

/// Whether a Service leads to a workload's pods.
fn is_behind(workload: &Object, service: &Object) -> bool {
    selects(&json!({ "matchLabels": service.at("/spec/selector") }), &workload.labels())
}

fn binary(image: &str) -> &str {
    let name = image.strip_prefix(OURS).unwrap_or_else(|| panic!("{image} is no image of this repository"));
    name.split(':').next().unwrap_or(name)
}
