//! The `dev` overlay on this machine: what a cluster would make of its manifests, without a cluster.
//!
//! Each service runs as its own binary, in as many replicas as `base` has, with the environment that its Deployment gives
//! it; NATS and MongoDB have the rendered configurations, passwords and users; Traefik leads by the paths of the Ingress to
//! the replicas that are ready. Traces go to a collector, as docs/operations.md says how. Addresses and folders of the cluster are replaced by places of this machine, and waits are
//! [`HASTE`] times as short. All else is as rendered.

mod endpoints;
mod name;
mod node;
mod places;
mod pod;
mod probe;
mod replica;
mod routing;
mod servers;
mod traefik;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use docket_manifests::{Cluster, Object, Tools, list};
use futures::future::join_all;
use tempfile::TempDir;
use tokio::sync::Mutex;

use crate::Collector;
use endpoints::Endpoints;
use node::Node;
use pod::Pod;
use replica::Replica;
use routing::Routing;
pub use servers::Delete;
use servers::Server;
use traefik::{Entrances, Traefik};

/// How many times faster than on a cluster proxies hear of changes, probes ask, and pods are drained.
const HASTE: u32 = 2;

const OVERLAY: &str = "infra/k8s/overlays/dev";
const BASE: &str = "infra/k8s/base";

/// The Ingress by which people come, and the port at which the overlay's settings say that they find it.
const INGRESS: &str = "docket";
const PUBLIC_PORT: u16 = 8080;

/// The overlay, as it runs.
pub struct Stage {
    node: Arc<Node>,
    endpoints: Arc<Endpoints>,
    services: Mutex<BTreeMap<String, Vec<Replica>>>,
    started: AtomicUsize,
    outside: u16,
    collector: Collector,
    _others: Vec<Replica>,
    traefik: Traefik,
    servers: Mutex<[Server; 2]>,
    folder: TempDir,
}

impl Stage {
    /// Starts everything, and waits until all are ready.
    ///
    /// # Panics
    /// If something does not get ready, or the tests were not started by `cargo xtask test`, which installs the tools.
    pub async fn start() -> Self {
        let folder = TempDir::new().expect("a folder for the stage can be made");
        let (cluster, replicas) = rendered();
        let collector = Collector::listen();
        let mut node = Node::new(cluster, tools(), folder.path()).await;
        node.settings.insert("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), collector.address().to_owned());
        let entrances = Entrances::new(&node);
        find_services(&mut node, &entrances);
        let mut servers = [Server::new(&mut node, "nats").await, Server::new(&mut node, "mongodb").await];
        for server in &mut servers {
            server.start(&node, Duration::ZERO).await;
        }

        let names: Vec<&str> = node.cluster.of("Deployment").map(Object::name).collect();
        let routing = Routing::new(&node.cluster, &names);
        let endpoints = Arc::new(Endpoints::new(&names, routing, traefik::configuration(&node)));
        let traefik = Traefik::start(&node, &entrances);
        let others = start_others(&mut node, &endpoints).await;
        let stage = Self {
            node: Arc::new(node),
            endpoints,
            services: Mutex::default(),
            started: AtomicUsize::new(0),
            outside: entrances.outside,
            collector,
            _others: others,
            traefik,
            servers: Mutex::new(servers),
            folder,
        };
        let starts = replicas.iter().flat_map(|(service, count)| (0..*count).map(|_| stage.start_replica(service)));
        for replica in join_all(starts).await {
            stage.services.lock().await.entry(replica.service().to_owned()).or_default().push(replica);
        }
        stage.traefik.until_it_leads(&stage.endpoints).await;
        stage
    }

    /// The address that people type.
    pub fn base(&self) -> String {
        let host = host(self.node.cluster.find("Ingress", INGRESS).expect("the overlay has an Ingress"));
        format!("http://{host}:{}", self.outside)
    }

    /// Where its services tell of what they do.
    pub fn collector(&self) -> &Collector {
        &self.collector
    }

    /// Its services.
    pub fn services(&self) -> Vec<&str> {
        self.node.cluster.services().map(Object::name).collect()
    }

    /// The environment of a service's container, with the addresses of this machine.
    pub fn environment(&self, service: &str) -> BTreeMap<String, String> {
        let told = self.node.cluster.environment(&deployment(&self.node, service).containers()[0], service);
        told.into_iter().map(|(name, value)| (name, self.node.places.here(&value))).collect()
    }

    /// What a Secret of the overlay holds.
    pub fn secret(&self, name: &str) -> BTreeMap<String, String> {
        self.node.cluster.find("Secret", name).map(Object::data).unwrap_or_default()
    }

    /// Where a name and port of the cluster are, such as `nats:4222`.
    pub fn address(&self, of: &str) -> String {
        self.node.places.here(of)
    }

    /// Replaces all replicas of a service, as a Deployment does which may have one too many and none too few: a new one is
    /// started, and once it is ready an old one is ended.
    ///
    /// # Panics
    /// If a new one does not get ready, or an old one does not end in good order.
    pub async fn roll(&self, service: &str) {
        let mut services = self.services.lock().await;
        let replicas = services.get_mut(service).unwrap_or_else(|| panic!("{service} does not run"));
        let mut endings = Vec::new();
        for old in std::mem::take(replicas) {
            replicas.push(self.start_replica(service).await);
            endings.push(tokio::spawn(old.end()));
        }
        for ending in endings {
            ending.await.expect("it ends in good order");
        }
    }

    /// Deletes the pod of each server, and waits until the one that takes its place is ready, at another address.
    ///
    /// # Panics
    /// If it does not get ready.
    pub async fn restart_servers(&self, delete: Delete) {
        for server in &mut *self.servers.lock().await {
            server.restart(&self.node, delete).await;
        }
    }

    /// Ends all services in good order, and then the rest.
    ///
    /// # Panics
    /// If one does not end in good order.
    pub async fn stop(self) {
        let services = std::mem::take(&mut *self.services.lock().await);
        join_all(services.into_values().flatten().map(Replica::end)).await;
    }

    async fn start_replica(&self, service: &str) -> Replica {
        let deployment = deployment(&self.node, service);
        let nth = self.started.fetch_add(1, Ordering::Relaxed);
        let pod = Pod::new(&self.node, deployment, format!("{service}-{nth}"));
        Replica::start(&self.node, deployment, pod, &self.endpoints).await
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.folder.disable_cleanup(true);
            eprintln!("the logs of all pods are in {}", self.folder.path().display());
        }
    }
}

/// The overlay, and how many replicas of each service there are: the overlay has one of each, which could not be replaced
/// unnoticed; so the number is that of the base.
fn rendered() -> (Cluster, BTreeMap<String, u64>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let cluster = |folder| tools().cluster(&root.join(folder)).unwrap_or_else(|error| panic!("{error}"));
    let count = |service: &Object| (service.name().to_owned(), service.at("/spec/replicas").as_u64().unwrap_or(1));
    (cluster(OVERLAY), cluster(BASE).services().map(count).collect())
}

fn tools() -> Tools {
    let folder = std::env::var_os("DOCKET_TEST_TOOLS");
    Tools::installed_in(folder.expect("DOCKET_TEST_TOOLS is not set: run `cargo xtask test`").into())
}

fn deployment<'n>(node: &'n Node, service: &str) -> &'n Object {
    let found = node.cluster.find("Deployment", service);
    found.unwrap_or_else(|| panic!("the overlay has no Deployment {service}"))
}

/// From within the cluster, services are called by their names; from outside, by the hosts of the Ingresses.
fn find_services(node: &mut Node, entrances: &Entrances) {
    let mut places = Vec::new();
    for service in node.cluster.services() {
        let called = node.cluster.find("Service", service.name());
        for port in called.iter().flat_map(|called| list(called.at("/spec"), "/ports")) {
            // The pages' setting has a placeholder for the name.
            for name in [service.name(), "{service}"] {
                places.push((format!("{name}:{}", port["port"]), format!("127.0.0.1:{}/{name}", entrances.inside)));
            }
        }
    }
    let hosts = node.cluster.of("Ingress").map(host);
    places.extend(hosts.map(|host| (format!("{host}:{PUBLIC_PORT}"), format!("{host}:{}", entrances.outside))));
    node.places.extend(places);
}

fn host(ingress: &Object) -> &str {
    ingress.text("/spec/rules/0/host")
}

/// The Deployments that are no service of Docket: the stand-in for Stripe. Each has one pod, which is called directly.
async fn start_others(node: &mut Node, endpoints: &Arc<Endpoints>) -> Vec<Replica> {
    let others = node.cluster.of("Deployment").filter(|deployment| !deployment.is_service());
    let names: Vec<String> = others.map(|other| other.name().to_owned()).collect();
    let mut started = Vec::new();
    for name in &names {
        let pod = Pod::new(node, deployment(node, name), format!("{name}-0"));
        for (port, names) in node.names(deployment(node, name), &pod.name) {
            let address = pod.address(port);
            node.places.extend(names.into_iter().map(|there| (there, address.clone())).collect());
        }
        started.push(Replica::start(node, deployment(node, name), pod, endpoints).await);
    }
    started
}
