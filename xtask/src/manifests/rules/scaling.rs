//! Where something scales, every service does, once, and by consumers that exist.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::manifests::sources::Sources;
use docket_manifests::{Cluster, Object, list};

const BY_LAG: &str = "nats-jetstream";

pub(super) fn findings(cluster: &Cluster, sources: &Sources) -> Vec<String> {
    let scalers: Vec<&Object> = cluster.of("HorizontalPodAutoscaler").chain(cluster.of("ScaledObject")).collect();
    if scalers.is_empty() {
        return Vec::new();
    }
    let mut found = Vec::new();
    for service in cluster.services() {
        let its: Vec<&&Object> = scalers.iter().filter(|scaler| target(scaler) == service.name()).collect();
        if its.len() != 1 {
            found.push(format!("{} has {} autoscalers", service.title(), its.len()));
        }
        if !service.at("/spec/replicas").is_null() {
            found.push(format!("{} has a number of replicas beside its autoscaler", service.title()));
        }
        found.extend(its.iter().flat_map(|scaler| lags(scaler, sources)));
    }
    let lost = scalers.iter().filter(|scaler| cluster.find("Deployment", target(scaler)).is_none());
    found.extend(lost.map(|scaler| format!("{} scales nothing", scaler.title())));
    found
}

/// Where NATS is asked how far consumers are behind.
pub(super) fn endpoints(cluster: &Cluster) -> BTreeSet<&str> {
    let triggers = cluster.of("ScaledObject").flat_map(by_lag);
    triggers.filter_map(|trigger| trigger["natsServerMonitoringEndpoint"].as_str()).collect()
}

fn target<'c>(scaler: &&'c Object) -> &'c str {
    scaler.text("/spec/scaleTargetRef/name")
}

fn by_lag(scaler: &Object) -> impl Iterator<Item = &Value> {
    let triggers = list(scaler.at("/spec"), "/triggers").iter();
    triggers.filter(|trigger| trigger["type"] == BY_LAG).map(|trigger| &trigger["metadata"])
}

/// A service that scales by lag looks at all that it listens to, and at nothing else. Its consumers have its name.
fn lags(scaler: &Object, sources: &Sources) -> Vec<String> {
    if scaler.kind() != "ScaledObject" {
        return Vec::new();
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let looked_at: BTreeSet<(String, String)> =
        by_lag(scaler).map(|trigger| (text(&trigger["consumer"]), text(&trigger["stream"]))).collect();
    let of_it = sources.listeners.iter().filter(|(service, _)| service == target(&scaler)).cloned();
    let heard: BTreeSet<(String, String)> = of_it.collect();
    let wrong = looked_at.symmetric_difference(&heard);
    wrong.map(|(consumer, stream)| format!("{}: consumer {consumer} of stream {stream}", scaler.title())).collect()
}
