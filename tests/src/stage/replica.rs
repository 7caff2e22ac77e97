//! A pod of a Deployment that runs: started, asked how it is, and ended as a kubelet does that.

use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use docket_manifests::{Object, at};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::process::Child;
use tokio::task::JoinHandle;

use super::HASTE;
use super::endpoints::Endpoints;
use super::node::Node;
use super::pod::Pod;
use super::probe::Probe;
use crate::wait::{eventually, pause};

/// How long one may take to its first readiness, in seconds: what the startupProbe grants.
const START: u64 = 60;

/// A process behind a Service; it is killed when this is dropped.
pub(super) struct Replica {
    pod: Pod,
    process: Child,
    endpoint: Endpoint,
    kubelet: JoinHandle<()>,
    /// How long it goes on to serve after it has been taken out, and how long it may then take to end.
    pre_stop: Duration,
    grace: Duration,
}

/// A place behind a Service.
#[derive(Clone)]
struct Endpoint {
    service: String,
    address: String,
    all: Arc<Endpoints>,
}

impl Endpoint {
    fn set(&self, ready: bool) {
        self.all.set(&self.service, &self.address, ready);
    }
}

impl Replica {
    /// Runs a Deployment's pod, and waits until it is ready.
    pub(super) async fn start(node: &Node, deployment: &Object, pod: Pod, endpoints: &Arc<Endpoints>) -> Self {
        let container = &deployment.containers()[0];
        let mut process = pod.command(node, container).spawn().unwrap_or_else(|error| {
            panic!("{}: {error}; run `cargo xtask test`, which builds it", pod.name);
        });
        let service = deployment.name().to_owned();
        let port = service_port(node, deployment);
        let endpoint = Endpoint { service, address: pod.address(port), all: endpoints.clone() };
        let kubelet = tokio::spawn(watch(Probe::new(deployment, container, &pod), endpoint.clone()));
        let ready = || async { endpoint.all.has(&endpoint.service, &endpoint.address).then_some(()) };
        let what = format!("{} is ready", pod.name);
        tokio::select! {
            () = eventually(&what, START, ready) => {}
            status = process.wait() => panic!("{} ended with {status:?}: {}", pod.name, pod.said()),
        }
        let seconds = |value: &Value| Duration::from_secs(value.as_u64().unwrap_or(0));
        let pre_stop = seconds(at(container, "/lifecycle/preStop/sleep/seconds")) / HASTE;
        let grace = seconds(at(deployment.pod(), "/terminationGracePeriodSeconds"));
        Self { pod, process, endpoint, kubelet, pre_stop, grace }
    }

    /// The service it belongs to.
    pub(super) fn service(&self) -> &str {
        &self.endpoint.service
    }

    /// Ends it, in good order. As on a cluster, the news that it is no endpoint any more and the wait before the signal begin
    /// together: nobody waits until the proxy has heard.
    ///
    /// # Panics
    /// If it does not end in time, or not well.
    pub(super) async fn end(mut self) {
        self.kubelet.abort();
        // It may be about to say that this is ready; that must not come after what is said here.
        let _ = (&mut self.kubelet).await;
        self.endpoint.set(false);
        pause(self.pre_stop).await;
        let pid = self.process.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        kill_process(pid.expect("nobody has waited for it"), Signal::TERM).expect("a child may be told to end");
        let ended = tokio::time::timeout(self.grace.saturating_sub(self.pre_stop), self.process.wait()).await;
        let well = ended.as_ref().is_ok_and(|ended| ended.as_ref().is_ok_and(ExitStatus::success));
        assert!(well, "{} did not end well: {ended:?}: {}", self.pod.name, self.pod.said());
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.kubelet.abort();
    }
}

/// The port of the pods to which their Service leads.
fn service_port(node: &Node, deployment: &Object) -> u64 {
    let service = node.cluster.find("Service", deployment.name());
    let port = service.and_then(|service| deployment.port(service.at("/spec/ports/0/targetPort")));
    port.unwrap_or_else(|| panic!("{} has no Service", deployment.title()))
}

/// Asks again and again, and notes who is ready. That a container is started again when it died is left out: here it is a fault.
async fn watch(probe: Probe, endpoint: Endpoint) {
    let mut failures = 0;
    loop {
        failures = if probe.succeeds().await { 0 } else { failures + 1 };
        if let Some(ready) = probe.verdict(failures) {
            endpoint.set(ready);
        }
        pause(probe.period).await;
    }
}
