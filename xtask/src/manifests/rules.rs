//! What must hold for every overlay, beyond the schemas.

mod calls;
mod entrances;
mod pages;
mod permissions;
mod references;
mod scaling;
mod workloads;

#[cfg(test)]
mod tests;

pub(super) use permissions::{Rights, rights};
pub(super) use references::{keeper, nats_files, passwords_in};

use super::cluster::Cluster;
use super::sources::Sources;

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
    ];
    rules.iter().flat_map(|rule| rule(cluster, sources)).collect()
}
