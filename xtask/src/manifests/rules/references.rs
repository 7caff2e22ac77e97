//! What one object names in another is there: maps, secrets, accounts, and each service's users.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::manifests::sources::Sources;
use docket_manifests::{Cluster, Object, list, texts};

/// Where NATS's passwords are in its configuration.
pub(super) const PASSWORD: &str = "PASSWORD_";

pub(super) fn findings(cluster: &Cluster, sources: &Sources) -> Vec<String> {
    let mut found = Vec::new();
    for workload in cluster.workloads() {
        let mut named = BTreeSet::new();
        names(workload.pod(), &mut named);
        found.extend(named.iter().filter_map(|(kind, name)| missing(cluster, sources, workload, kind, name)));
    }
    found.extend(sources.keeping.iter().flat_map(|service| users(cluster, service)));
    let unmade = sources.keeping.iter().filter(|service| !makes_password(sources, service));
    found.extend(unmade.map(|service| format!("docs/operations.md makes no passwords for {service}")));
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
pub(super) fn names(value: &Value, found: &mut BTreeSet<(&'static str, String)>) {
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

/// A service that keeps something has a user of its own at NATS, and passwords where the overlay makes them.
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
    let without = users_of_servers(cluster).filter(|secret| !texts(secret.at("/data")).contains_key(service));
    found.extend(without.map(|secret| format!("{} has no password for {service}", secret.title())));
    found
}

/// The secrets that this overlay makes of the passwords for MongoDB and NATS.
pub(super) fn users_of_servers(cluster: &Cluster) -> impl Iterator<Item = &Object> {
    cluster.of("Secret").filter(|secret| is_of_users(secret.name()))
}

/// Whether a secret of this name holds passwords for MongoDB or NATS: `nats-users`, or that with the digits of its content.
pub(super) fn is_of_users(secret: &str) -> bool {
    secret.contains("-users")
}

/// Whether the operator's recipe for the secrets makes a password for a service.
pub(super) fn makes_password(sources: &Sources, service: &str) -> bool {
    let mut made = sources.handbook.lines().filter(|line| line.starts_with("users() "));
    made.any(|line| line.split([' ', ';']).any(|word| word == service))
}

/// The files of NATS's configuration, by name.
pub(in crate::manifests) fn nats_files(cluster: &Cluster) -> Option<BTreeMap<&str, &str>> {
    let server = cluster.find("StatefulSet", "nats")?;
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
