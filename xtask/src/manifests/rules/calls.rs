//! Who calls whom, and who may: the network policies allow exactly the calls that the settings and files of the pods name.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::manifests::sources::Sources;
use docket_manifests::{Cluster, Object, list, selects, texts};

/// Where something calls, or is called from: pods, or a place outside, which has the name of the policy that lets it.
type Place = String;

/// From, to, and the port there.
type Call = (Place, Place, u64);

/// The ports of mail servers; the setting says which.
const SMTP: [u64; 3] = [25, 465, 587];

/// The ports of addresses that name none.
const USUAL: [(&str, u64); 4] = [("http", 80), ("https", 443), ("nats", 4222), ("mongodb", 27017)];

pub(super) fn findings(cluster: &Cluster, sources: &Sources) -> Vec<String> {
    let allowed = Allowed::by_policies(cluster);
    let (out, taken) = (outgoing(cluster, sources), incoming(cluster, sources));
    let mut found: Vec<String> = denied_by_default(cluster).into_iter().collect();
    found.extend(difference(&out, &allowed.out, "calls", "no policy lets it out"));
    found.extend(difference(&taken, &allowed.taken, "is to reach", "no policy lets it in"));
    found.extend(difference(&allowed.out, &out, "may call", "it does not"));
    found.extend(difference(&allowed.taken, &taken, "may reach", "it has no reason to"));
    found
}

fn difference(of: &BTreeSet<Call>, from: &BTreeSet<Call>, verb: &str, but: &str) -> Vec<String> {
    of.difference(from).map(|(one, other, port)| format!("{one} {verb} {other} on port {port}, but {but}")).collect()
}

fn denied_by_default(cluster: &Cluster) -> Option<String> {
    let denies = |policy: &Object| {
        let types = list(policy.at("/spec"), "/policyTypes");
        let rules = [policy.at("/spec/ingress"), policy.at("/spec/egress")];
        let everybody = policy.at("/spec/podSelector").as_object().is_some_and(serde_json::Map::is_empty);
        everybody && types.len() == 2 && rules.iter().all(|rules| rules.is_null())
    };
    let denied = cluster.of("NetworkPolicy").any(denies);
    (!denied).then(|| "no policy denies everything to all pods, in and out".to_owned())
}

/// What the policies allow.
#[derive(Default)]
struct Allowed {
    out: BTreeSet<Call>,
    taken: BTreeSet<Call>,
}

impl Allowed {
    fn by_policies(cluster: &Cluster) -> Self {
        let mut allowed = Self::default();
        for policy in cluster.of("NetworkPolicy") {
            for chosen in cluster.selected(policy.at("/spec/podSelector")) {
                for (peer, port) in peers(cluster, policy, "/spec/egress", "/to") {
                    allowed.out.insert((chosen.name().to_owned(), peer, port));
                }
                for (peer, port) in peers(cluster, policy, "/spec/ingress", "/from") {
                    allowed.taken.insert((peer, chosen.name().to_owned(), port));
                }
            }
        }
        allowed
    }
}

/// Everybody a policy names in one direction, with the ports. Port 0 stands for all ports, and place `*` for everywhere.
fn peers(cluster: &Cluster, policy: &Object, rules: &str, side: &str) -> Vec<(Place, u64)> {
    let mut found = Vec::new();
    for rule in policy.at(rules).as_array().into_iter().flatten() {
        let ports: Vec<u64> = list(rule, "/ports").iter().map(|port| port["port"].as_u64().unwrap_or(0)).collect();
        let ports = if ports.is_empty() { vec![0] } else { ports };
        let mut places: Vec<Place> = list(rule, side).iter().flat_map(|peer| places(cluster, policy, peer)).collect();
        if list(rule, side).is_empty() {
            places.push("*".to_owned());
        }
        found.extend(places.iter().flat_map(|place| ports.iter().map(|port| (place.clone(), *port))));
    }
    found
}

fn places(cluster: &Cluster, policy: &Object, peer: &Value) -> Vec<Place> {
    if peer["ipBlock"].is_null() && peer["namespaceSelector"].is_null() {
        return cluster.selected(&peer["podSelector"]).map(|workload| workload.name().to_owned()).collect();
    }
    vec![outside(policy.name()).to_owned()]
}

/// `entry-to-stand-in` is a way of `entry`.
fn outside(policy: &str) -> &str {
    policy.split('-').next().unwrap_or(policy)
}

/// The calls of the pods: to each other, to name servers, to Stripe, and to mail servers.
fn outgoing(cluster: &Cluster, sources: &Sources) -> BTreeSet<Call> {
    let mut calls = internal(cluster, sources);
    for workload in cluster.workloads() {
        calls.insert((workload.name().to_owned(), "dns".to_owned(), 53));
        if has_key_of_stripe(workload) && !names_stand_in(cluster, workload) {
            calls.insert((workload.name().to_owned(), "stripe".to_owned(), 443));
        }
        if super::workloads::has_mail_server(workload) {
            calls.extend(SMTP.map(|port| (workload.name().to_owned(), "smtp".to_owned(), port)));
        }
    }
    calls
}

fn has_key_of_stripe(workload: &Object) -> bool {
    let sources = workload.containers().iter().flat_map(|container| list(container, "/envFrom"));
    workload.is_service()
        && sources.filter_map(|from| from["secretRef"]["name"].as_str()).any(|name| outside(name) == "stripe")
}

fn names_stand_in(cluster: &Cluster, workload: &Object) -> bool {
    workload
        .containers()
        .iter()
        .any(|container| cluster.environment(container, workload.name()).contains_key("STRIPE_API_BASE"))
}

/// The calls that pods take: from each other, through the entrance, from who measures them.
fn incoming(cluster: &Cluster, sources: &Sources) -> BTreeSet<Call> {
    let mut calls = internal(cluster, sources);
    for (service, port) in super::entrances::backends(cluster) {
        calls.extend(behind(cluster, &service, &port).map(|(to, port)| ("entry".to_owned(), to, port)));
    }
    for workload in cluster.workloads() {
        let annotations = texts(workload.at("/spec/template/metadata/annotations"));
        if let Some(port) = annotations.get("prometheus.io/port").and_then(|port| port.parse().ok()) {
            calls.insert(("monitoring".to_owned(), workload.name().to_owned(), port));
        }
    }
    for endpoint in super::scaling::endpoints(cluster) {
        calls.extend(called(cluster, endpoint, 80).into_iter().map(|(to, port)| ("keda".to_owned(), to, port)));
    }
    calls
}

/// Every address in a pod's environment, arguments and mounted files is a call of that pod.
fn internal(cluster: &Cluster, sources: &Sources) -> BTreeSet<Call> {
    let mut calls = BTreeSet::new();
    for workload in cluster.workloads() {
        for text in said(cluster, workload) {
            for (host, port) in addresses(&text, &sources.called_by_pages) {
                let to = called(cluster, &host, port);
                calls.extend(to.into_iter().map(|(to, port)| (workload.name().to_owned(), to, port)));
            }
        }
    }
    calls
}

fn said(cluster: &Cluster, workload: &Object) -> Vec<String> {
    let containers = || workload.containers().iter();
    let environment = containers().flat_map(|container| cluster.environment(container, workload.name()).into_values());
    let arguments = containers().flat_map(|container| [list(container, "/command"), list(container, "/args")].concat());
    let arguments = arguments.into_iter().filter_map(|argument| Some(argument.as_str()?.to_owned()));
    let volumes = list(workload.pod(), "/volumes").iter().filter_map(|volume| volume["configMap"]["name"].as_str());
    let files =
        volumes.filter_map(|name| cluster.find("ConfigMap", name)).flat_map(|map| texts(map.at("/data")).into_values());
    environment.chain(arguments).chain(files.map(str::to_owned)).collect()
}

/// The hosts and ports of all addresses in a text. `{service}` in one stands for each of `services`.
fn addresses(text: &str, services: &BTreeSet<String>) -> Vec<(String, u64)> {
    let usual: BTreeMap<&str, u64> = USUAL.into_iter().collect();
    let mut found = Vec::new();
    for (at, _) in text.match_indices("://") {
        let scheme = text[..at].rsplit(|c: char| !c.is_ascii_lowercase()).next().unwrap_or_default();
        let Some(usual) = usual.get(scheme) else { continue };
        let authority = text[at + 3..].split(['/', '"', ' ', '\n', '?', '`', '\'']).next().unwrap_or_default();
        let hosts = authority.rsplit_once('@').map_or(authority, |(_, hosts)| hosts);
        for host in hosts.split(',') {
            let (host, port) = host.rsplit_once(':').unwrap_or((host, ""));
            let port = port.parse().unwrap_or(*usual);
            match host {
                "{service}" => found.extend(services.iter().map(|service| (service.clone(), port))),
                host => found.push((host.to_owned(), port)),
            }
        }
    }
    found
}

/// The pods behind a host and port, and their own port. Hosts that are no Service are somewhere else.
fn called(cluster: &Cluster, host: &str, port: u64) -> Vec<(Place, u64)> {
    let (host, port) = host.rsplit_once(':').map_or((host, port), |(host, own)| (host, own.parse().unwrap_or(port)));
    let labels: Vec<&str> = host.split('.').collect();
    let service = match labels.as_slice() {
        [service] => service,
        // A member of a StatefulSet.
        [_, service] => service,
        [service, _, "svc", ..] | [_, service, _, "svc", ..] => service,
        _ => return Vec::new(),
    };
    behind(cluster, service, &Value::from(port)).collect()
}

fn behind<'c>(cluster: &'c Cluster, service: &str, port: &Value) -> impl Iterator<Item = (Place, u64)> + use<'c> {
    let service = cluster.find("Service", service);
    let number = service.and_then(|service| {
        let mut ports = list(service.at("/spec"), "/ports").iter();
        ports.find(|known| known["port"] == *port || known["name"] == *port).map(|known| &known["targetPort"])
    });
    let selector = service.map(|service| serde_json::json!({ "matchLabels": service.at("/spec/selector") }));
    let chosen = cluster
        .workloads()
        .filter(move |workload| selector.as_ref().is_some_and(|selector| selects(selector, &workload.labels())));
    chosen.filter_map(move |workload| Some((workload.name().to_owned(), workload.port(number?)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_with_all_their_hosts() {
        let services = BTreeSet::from(["auth".to_owned(), "orders".to_owned()]);
        let found = |text: &str| addresses(text, &services);
        let expected = [("mongodb-0.mongodb".to_owned(), 27017), ("mongodb-1.mongodb".to_owned(), 27018)];
        assert_eq!(
            found("mongodb://o:$(SECRET)@mongodb-0.mongodb,mongodb-1.mongodb:27018/x?replicaSet=docket"),
            expected
        );
        assert_eq!(found("http://{service}:8080"), [("auth".to_owned(), 8080), ("orders".to_owned(), 8080)]);
        assert_eq!(
            found("routes: [\n \"nats://nats-0.nats-members:6222\"\n]"),
            [("nats-0.nats-members".to_owned(), 6222)]
        );
        assert!(found("0.0.0.0:8080 tcp://x:1").is_empty());
    }
}
