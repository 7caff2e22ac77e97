//! What must hold for every overlay, beyond the schemas.

mod calls;
mod entrances;
mod pages;
mod permissions;
mod references;
mod scaling;
mod streams;
mod workloads;

#[cfg(test)]
mod tests;

pub(super) use references::{nats_files, passwords_in};

use super::sources::Sources;
use docket_manifests::Cluster;

/// Every breach of a rule, in words.
pub(super) fn findings(cluster: &Cluster, sources: &Sources) -> Vec<String> {
    let rules = [
        workloads::findings,
        calls::findings,
        entrances::findings,
        references::findings,
        pages::findings,
        permissions::findings,
        scaling::findings,
        streams::findings,
    ];
    rules.iter().flat_map(|rule| rule(cluster, sources)).collect()
}
