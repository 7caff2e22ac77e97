//! A service that keeps nothing is a stranger to MongoDB and NATS: it has no user there, and is told nothing about them.

use std::collections::BTreeSet;

use super::references::{PASSWORD, is_of_users, makes_password, names, nats_files, passwords_in, users_of_servers};
use crate::manifests::sources::Sources;
use docket_manifests::{Cluster, list, texts};

/// How the variables begin that are for services that keep something.
const KEEPING: [&str; 3] = ["MONGODB_", "NATS_", "DOCKET_JWKS_URL"];

pub(super) fn findings(cluster: &Cluster, sources: &Sources) -> Vec<String> {
    let strangers = sources.services.difference(&sources.keeping);
    let found = strangers.flat_map(|service| {
        let found = [told(cluster, service), users(cluster, sources, service)].concat();
        found.into_iter().map(move |finding| format!("{service} keeps nothing, but {finding}"))
    });
    found.collect()
}

/// The variables of its Deployment, and the secrets that it names.
fn told(cluster: &Cluster, service: &str) -> Vec<String> {
    let Some(deployment) = cluster.find("Deployment", service) else { return Vec::new() };
    let mut variables = BTreeSet::new();
    for container in deployment.containers() {
        variables.extend(cluster.environment(container, service).into_keys());
        variables.extend(list(container, "/env").iter().filter_map(|one| Some(one["name"].as_str()?.to_owned())));
    }
    variables.retain(|name| KEEPING.iter().any(|begin| name.starts_with(begin)));
    let mut named = BTreeSet::new();
    names(deployment.pod(), &mut named);
    let secrets = named.into_iter().filter(|(kind, name)| *kind == "Secret" && is_of_users(name));
    let variables = variables.into_iter().map(|name| format!("is told {name}"));
    variables.chain(secrets.map(|(_, name)| format!("is given the Secret {name}"))).collect()
}

fn users(cluster: &Cluster, sources: &Sources, service: &str) -> Vec<String> {
    let mut found = Vec::new();
    let password = format!("{PASSWORD}{service}");
    let files = nats_files(cluster).unwrap_or_default();
    let known = files.iter().filter(|(_, text)| passwords_in(text).contains(&password));
    found.extend(known.map(|(file, _)| format!("{file} of NATS has a user for it")));
    let secrets = users_of_servers(cluster).filter(|secret| texts(secret.at("/data")).contains_key(service));
    found.extend(secrets.map(|secret| format!("{} has a password for it", secret.title())));
    if makes_password(sources, service) {
        found.push("docs/operations.md makes a password for it".to_owned());
    }
    found
}
