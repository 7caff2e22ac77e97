//! What one object names in another is there: maps, secrets, accounts, and each service's users.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::manifests::cluster::{Cluster, Object, list, texts};
use crate::manifests::sources::Sources;

/// Where NATS's passwords are in its configuration.
const PASSWORD: &str = "PASSWORD_";

pub(super) fn findings(cluster: &Cluster, sources: &Sources) -> Vec<String> {
    let mut found = Vec::new();
    for workload in cluster.workloads() {
        let mut named = BTreeSet::new();
        names(workload.pod(), &mut named);
        found.extend(named.iter().filter_map(|(kind, name)| missing(cluster, sources, workload, kind, name)));
    }
    found.extend(sources.services.iter().flat_map(|service| users(cluster, service)));
    found.extend(sources.services.iter().filter_map(|service| unmade(sources, service)));
    found
}

fn missing(cluster: &Cluster, sources: &Sources, workload: &Object, kind: &str, name: &str) -> Option<String> {
    if cluster.find(kind, name).is_some() {
        return None;
    }
    // Secrets of a real installation are the operator's, who must be told of them.
    let told = kind == "Secret" && sources.handbook.contains(&format!("secret generic {name} "));
    (!told)
        .then(|| format!("{} needs the {kind} {name}, which is not there, nor in docs/operations.md", workload.title()))
}

/// All maps, secrets and accounts that a pod names.
fn names(value: &Value, found: &mut BTreeSet<(&'static str, String)>) {
    const REFERENCES: [(&str, &str, &str); 7] = [
        ("configMapRef", "name", "ConfigMap"),
        ("configMapKeyRef", "name", "ConfigMap"),
        ("configMap", "name", "ConfigMap"),
        ("secretRef", "name", "Secret"),
        ("secretKeyRef", "name", "Secret"),
        ("secret", "secretName", "Secret"),
        ("serviceAccountName", "", "ServiceAccount"),
    ];
    let Value::Object(map) = value else {
        value.as_array().into_iter().flatten().for_each(|value| names(value, found));
        return;
    };
    for (key, value) in map {
        let references = REFERENCES.iter().filter(|(reference, _, _)| reference == key);
        let named = references.filter_map(|(_, field, kind)| {
            let name = if field.is_empty() { value.as_str() } else { value[*field].as_str() };
            Some((*kind, name?.to_owned()))
        });
        found.extend(named);
        names(value, found);
    }
}

/// A service has a user of its own at NATS, and passwords where the overlay makes them.
fn users(cluster: &Cluster, service: &str) -> Vec<String> {
    let mut found = Vec::new();
    let files = nats_files(cluster).unwrap_or_default();
    let own = format!("{service}.conf");
    let included = files.get("nats.conf").is_some_and(|main| main.contains(&format!("include {own} ")));
    let lines = files.get(own.as_str()).copied().unwrap_or_default();
    let named = lines.lines().any(|line| line == format!("user: {service}"));
    let password = lines.lines().any(|line| line == format!("password: ${PASSWORD}{service}"));
    if !(included && named && password) {
        found.push(format!(
            "{service} has no user of its own at NATS: its folder has nats.conf, and nats/nats.conf includes it"
        ));
    }
    let secrets = cluster.of("Secret").filter(|secret| secret.name().contains("-users"));
    let without = secrets.filter(|secret| !texts(secret.at("/data")).contains_key(service));
    found.extend(without.map(|secret| format!("{} has no password for {service}", secret.title())));
    found
}

/// The recipe for the secrets makes a password for each service.
fn unmade(sources: &Sources, service: &str) -> Option<String> {
    let made = sources.handbook.lines().filter(|line| line.starts_with("users() "));
    let is_made = made.flat_map(|line| line.split([' ', ';'])).any(|word| word == service);
    (!is_made).then(|| format!("docs/operations.md makes no passwords for {service}"))
}

/// The files of NATS's configuration, by name.
pub(in crate::manifests) fn nats_files(cluster: &Cluster) -> Option<BTreeMap<&str, &str>> {
    mounted(cluster, "nats")
}

/// The script that keeps MongoDB's replica set and users.
pub(in crate::manifests) fn keeper(cluster: &Cluster) -> Option<&str> {
    mounted(cluster, "mongodb")?.get("keep.js").copied()
}

fn mounted<'c>(cluster: &'c Cluster, server: &str) -> Option<BTreeMap<&'c str, &'c str>> {
    let server = cluster.find("StatefulSet", server)?;
    let mut maps = list(server.pod(), "/volumes").iter().filter_map(|volume| volume["configMap"]["name"].as_str());
    Some(texts(cluster.find("ConfigMap", maps.next()?)?.at("/data")))
}

/// The variables from which a file takes its passwords.
pub(in crate::manifests) fn passwords_in(file: &str) -> Vec<String> {
    let variable = format!("${PASSWORD}");
    let after = file.split(&variable).skip(1);
    let users = after.filter_map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next());
    users.map(|user| format!("{PASSWORD}{user}")).collect()
}
