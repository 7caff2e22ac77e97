//! Each service is there, says how it fares, listens where it is called, may do little, and has time to stop.

use serde_json::Value;

use crate::manifests::sources::Sources;
use docket_manifests::{Cluster, Object, at, list};

const PROBES: [&str; 3] = ["startupProbe", "livenessProbe", "readinessProbe"];

/// What the ops port answers.
const READY: &str = "/readyz";
const ALIVE: &str = "/livez";

/// What a stop needs beside its waits, in seconds.
const MARGIN: u64 = 5;

/// The setting that says where mails are given up.
const MAIL_SERVER: &str = "SMTP_URL";

/// What must be so in a pod, and in each of its containers.
const POD: [(&str, Value); 2] =
    [("/automountServiceAccountToken", Value::Bool(false)), ("/securityContext/runAsNonRoot", Value::Bool(true))];
const CONTAINER: [(&str, Value); 2] = [
    ("/securityContext/allowPrivilegeEscalation", Value::Bool(false)),
    ("/securityContext/readOnlyRootFilesystem", Value::Bool(true)),
];

pub(super) fn findings(cluster: &Cluster, sources: &Sources) -> Vec<String> {
    let mut found = folders(cluster, sources);
    for workload in cluster.workloads() {
        found.extend(probes(workload));
        found.extend(rights(workload));
        found.extend(hand_over(workload));
    }
    for service in cluster.services() {
        if has_mail_server(service) && !sources.mailing.contains(service.name()) {
            found.push(format!("{}: it sends no mails, but has {MAIL_SERVER}", service.title()));
        }
        for container in service.containers() {
            found.extend(ports(cluster, service, container));
            found.extend(settings(cluster, sources, service, container));
            found.extend(stop(cluster, service, container));
        }
    }
    found
}

/// Each service's crate has its Deployment, Service, account and disruption budget, and each Deployment its crate.
fn folders(cluster: &Cluster, sources: &Sources) -> Vec<String> {
    let kinds = ["Deployment", "Service", "ServiceAccount", "PodDisruptionBudget"];
    let wanted = sources.services.iter().flat_map(|name| kinds.map(|kind| (kind, name)));
    let missing = wanted.filter(|(kind, name)| cluster.find(kind, name).is_none());
    let missing =
        missing.map(|(kind, name)| format!("the service {name} has no {kind}: its folder in base/ makes one"));
    let strange = cluster.services().filter(|service| !sources.services.contains(service.name()));
    missing.chain(strange.map(|service| format!("{} is no crate in services/", service.name()))).collect()
}

/// Whether a pod may be told of a mail server.
pub(super) fn has_mail_server(workload: &Object) -> bool {
    let mut variables = workload.containers().iter().flat_map(|container| list(container, "/env"));
    variables.any(|variable| variable["name"] == MAIL_SERVER)
}

fn probes(workload: &Object) -> Vec<String> {
    let serving = workload.containers().iter().filter(|container| !list(container, "/ports").is_empty());
    let mut found = Vec::new();
    for container in serving {
        for probe in PROBES.into_iter().filter(|probe| container[*probe].is_null()) {
            found.push(format!("{}: {} has no {probe}", workload.title(), container["name"]));
        }
        if workload.is_service() {
            found.extend(PROBES.into_iter().filter_map(|probe| misplaced(workload, container, probe)));
        }
    }
    found
}

fn misplaced(service: &Object, container: &Value, probe: &str) -> Option<String> {
    let asks = container[probe]["httpGet"].as_object()?;
    let wanted = if probe == "readinessProbe" { READY } else { ALIVE };
    let right = asks["path"] == wanted && asks["port"] == "ops";
    (!right).then(|| format!("{}: the {probe} does not ask {wanted} on the port ops", service.title()))
}

/// The ports are those on which the settings have the process listen, and what points at them does.
fn ports(cluster: &Cluster, service: &Object, container: &Value) -> Vec<String> {
    let environment = cluster.environment(container, service.name());
    let mut found = Vec::new();
    for (name, variable) in [("http", "DOCKET_HTTP_ADDR"), ("ops", "DOCKET_OPS_ADDR")] {
        let listens = environment.get(variable).and_then(|address| address.rsplit_once(':')?.1.parse::<u64>().ok());
        let declared = service.port(&Value::from(name));
        if listens.is_none() || listens != declared {
            found.push(format!(
                "{}: {variable} has port {listens:?}, the container's port {name} is {declared:?}",
                service.title()
            ));
        }
    }
    let scraped = at(service.at("/spec/template/metadata/annotations"), "/prometheus.io~1port").as_str();
    if scraped.and_then(|port| port.parse().ok()) != service.port(&Value::from("ops")) {
        found.push(format!("{}: its metrics are looked for on port {scraped:?}", service.title()));
    }
    for (name, target) in targets(cluster, service).filter(|(_, target)| service.port(target).is_none()) {
        found.push(format!("Service {name}: {} has no port {target}", service.title()));
    }
    found
}

fn targets<'c>(cluster: &'c Cluster, workload: &'c Object) -> impl Iterator<Item = (&'c str, &'c Value)> {
    let services = cluster.of("Service").filter(|service| {
        let labels = workload.labels();
        let mut wanted = service.at("/spec/selector").as_object().into_iter().flatten();
        wanted.all(|(name, value)| labels.get(name.as_str()).copied() == value.as_str())
    });
    services.flat_map(|service| {
        list(service.at("/spec"), "/ports").iter().map(|port| (service.name(), &port["targetPort"]))
    })
}

/// Every variable is a setting, or part of another one's value.
fn settings(cluster: &Cluster, sources: &Sources, service: &Object, container: &Value) -> Vec<String> {
    let used = |name: &str| {
        list(container, "/env")
            .iter()
            .any(|variable| variable["value"].as_str().is_some_and(|value| value.contains(&format!("$({name})"))))
    };
    let declared = list(container, "/env").iter().filter_map(|variable| variable["name"].as_str().map(str::to_owned));
    let mut names: Vec<String> = cluster.environment(container, service.name()).into_keys().chain(declared).collect();
    names.sort();
    names.dedup();
    names.retain(|name| !sources.settings.contains(name) && !used(name));
    names.into_iter().map(|name| format!("{}: {name} is no setting", service.title())).collect()
}

/// Kubernetes kills what has not ended in time.
fn stop(cluster: &Cluster, service: &Object, container: &Value) -> Option<String> {
    let environment = cluster.environment(container, service.name());
    let seconds = |variable: &str| environment.get(variable).and_then(|text| text.parse::<u64>().ok());
    let pause = at(container, "/lifecycle/preStop/sleep/seconds").as_u64();
    let granted = service.pod()["terminationGracePeriodSeconds"].as_u64();
    let waits = [pause, seconds("DOCKET_DRAIN_SECONDS"), seconds("DOCKET_SHUTDOWN_GRACE_SECONDS")];
    let [Some(pause), Some(drain), Some(grace)] = waits else {
        return Some(format!("{}: no preStop sleep, or the waits of a stop are not set", service.title()));
    };
    // Requests are waited for, then the server's workers, then listeners and jobs.
    let needed = pause + drain + 3 * grace + MARGIN;
    let enough = granted.is_some_and(|granted| granted >= needed);
    (!enough).then(|| format!("{}: a stop may take {needed} s, and gets {granted:?}", service.title()))
}

/// A NATS server that has others hands its clients over to them before it ends. One that is alone would only end later.
fn hand_over(workload: &Object) -> Option<String> {
    if workload.name() != "nats" {
        return None;
    }
    let is_alone = workload.at("/spec/replicas").as_u64().is_none_or(|replicas| replicas <= 1);
    let waits = workload.containers().iter().any(|container| !at(container, "/lifecycle/preStop").is_null());
    match (is_alone, waits) {
        (true, true) => Some(format!("{}: it has a preStop, and nobody to hand its clients over to", workload.title())),
        (false, false) => Some(format!("{}: it ends without handing its clients over", workload.title())),
        _ => None,
    }
}

fn rights(workload: &Object) -> Vec<String> {
    let pod = workload.pod();
    let wrong = |value: &Value, rules: &[(&str, Value)]| -> Vec<String> {
        rules
            .iter()
            .filter(|(pointer, wanted)| at(value, pointer) != wanted)
            .map(|(pointer, wanted)| format!("{pointer} is not {wanted}"))
            .collect()
    };
    let mut found = wrong(pod, &POD);
    if at(pod, "/securityContext/seccompProfile/type") != "RuntimeDefault" {
        found.push("/securityContext/seccompProfile/type is not RuntimeDefault".to_owned());
    }
    for container in list(pod, "/containers").iter().chain(list(pod, "/initContainers")) {
        found.extend(wrong(container, &CONTAINER));
        if at(container, "/securityContext/capabilities/drop/0") != "ALL" {
            found.push("capabilities are not dropped".to_owned());
        }
        for bound in ["/resources/requests/cpu", "/resources/requests/memory", "/resources/limits/memory"] {
            if at(container, bound).is_null() {
                found.push(format!("{}: no {bound}", container["name"]));
            }
        }
    }
    found.into_iter().map(|finding| format!("{}: {finding}", workload.title())).collect()
}
