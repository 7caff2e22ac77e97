//! The way in: each address of the API leads to the service that answers it, everything else to the pages.

use serde_json::Value;

use crate::manifests::sources::Sources;
use docket_manifests::{Cluster, Object, list};

/// The Ingress or HTTPRoute with the addresses of the API, and who answers all others.
const ENTRANCE: &str = "docket";
const PAGES: &str = "web";

const DEAD_LETTERS: &str = "/api/dead-letters";

pub(super) fn findings(cluster: &Cluster, sources: &Sources) -> Vec<String> {
    let paths: Vec<(String, String)> =
        entrances(cluster).filter(|object| object.name() == ENTRANCE).flat_map(paths).collect();
    let mut wanted: Vec<(String, &str)> =
        sources.addresses.iter().map(|(address, service)| (address.clone(), service.as_str())).collect();
    let listening = sources.listeners.iter().map(|(service, _)| service.as_str());
    wanted.extend(listening.map(|service| (format!("{DEAD_LETTERS}/{service}"), service)));
    wanted.push(("/".to_owned(), PAGES));
    wanted.dedup();
    let answered = wanted.into_iter().map(|(address, service)| (answering(&paths, &address), address, service));
    let wrong = answered.filter(|(found, _, service)| *found != Some(*service));
    let wrong = wrong.map(|(found, address, service)| format!("{address} is of {service}, and leads to {found:?}"));
    wrong.chain(controllers(cluster)).collect()
}

/// The Services that are reached from outside, and their ports.
pub(super) fn backends(cluster: &Cluster) -> Vec<(String, Value)> {
    entrances(cluster).flat_map(|object| rules(object).into_iter().map(|(_, service, port)| (service, port))).collect()
}

fn entrances(cluster: &Cluster) -> impl Iterator<Item = &Object> {
    cluster.of("Ingress").chain(cluster.of("HTTPRoute"))
}

/// Annotations of an Ingress are read by one controller and passed over by the next.
fn controllers(cluster: &Cluster) -> impl Iterator<Item = String> {
    let annotated = cluster.of("Ingress").filter(|ingress| !ingress.at("/metadata/annotations").is_null());
    annotated.map(|ingress| format!("{} has annotations", ingress.title()))
}

fn paths(object: &Object) -> Vec<(String, String)> {
    rules(object).into_iter().map(|(path, service, _)| (path, service)).collect()
}

/// Path prefix, Service, port.
fn rules(object: &Object) -> Vec<(String, String, Value)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let rules = list(object.at("/spec"), "/rules").iter();
    if object.kind() == "Ingress" {
        let paths = rules.flat_map(|rule| list(rule, "/http/paths")).filter(|path| path["pathType"] == "Prefix");
        let paths = paths.map(|path| (&path["path"], &path["backend"]["service"]));
        return paths.map(|(path, service)| (text(path), text(&service["name"]), port(&service["port"]))).collect();
    }
    let pairs = rules.flat_map(|rule| {
        let matches = list(rule, "/matches").iter().filter(|one| one["path"]["type"] == "PathPrefix");
        matches.flat_map(|one| list(rule, "/backendRefs").iter().map(|backend| (&one["path"]["value"], backend)))
    });
    pairs.map(|(path, backend)| (text(path), text(&backend["name"]), backend["port"].clone())).collect()
}

fn port(port: &Value) -> Value {
    if port["name"].is_null() { port["number"].clone() } else { port["name"].clone() }
}

/// The longest prefix, part by part, decides.
fn answering<'p>(paths: &'p [(String, String)], address: &str) -> Option<&'p str> {
    let fits = |prefix: &str| {
        let rest = address.strip_prefix(prefix.trim_end_matches('/'));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let fitting = paths.iter().filter(|(prefix, _)| fits(prefix));
    fitting.max_by_key(|(prefix, _)| prefix.len()).map(|(_, service)| service.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_decides_and_ends_where_a_part_does() {
        let paths =
            [("/", "web"), ("/api/orders", "orders")].map(|(path, service)| (path.to_owned(), service.to_owned()));
        assert_eq!(answering(&paths, "/api/orders/{id}"), Some("orders"));
        assert_eq!(answering(&paths, "/api/orders-of-mine"), Some("web"));
        assert_eq!(answering(&paths[1..], "/"), None);
    }
}
