//! What builds and carries images: skaffold's file, and the workflows.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::tidy::files::File;
use docket_manifests::{Cluster, list};

/// The namespace of the images that are built here.
const OURS: &str = "docket/";

const WORKFLOWS: &str = ".github/workflows/";

/// The images that skaffold builds are those which the overlay needs, each of the service that it is named after.
pub(super) fn images(skaffold: &Value, cluster: &Cluster) -> Vec<String> {
    let artifacts = list(skaffold, "/build/artifacts");
    let name = |artifact: &Value| artifact["image"].as_str().unwrap_or_default().to_owned();
    let built: BTreeSet<String> = artifacts.iter().map(name).collect();
    let containers = cluster.workloads().flat_map(|workload| workload.containers());
    let images = containers.filter_map(|container| container["image"].as_str());
    let needed: BTreeSet<String> = images.filter(|image| image.starts_with(OURS)).map(str::to_owned).collect();
    let mut found: Vec<String> = needed.difference(&built).map(|image| format!("nothing builds {image}")).collect();
    found.extend(built.difference(&needed).map(|image| format!("{image} is built, and used nowhere")));
    let mistaken = artifacts
        .iter()
        .filter(|artifact| artifact["docker"]["buildArgs"]["SERVICE"].as_str() != name(artifact).strip_prefix(OURS));
    found.extend(mistaken.map(|artifact| format!("{} is built with another SERVICE", name(artifact))));
    found.into_iter().map(|finding| format!("skaffold.yaml: {finding}")).collect()
}

/// An action is one commit, as a tag can be moved.
pub(super) fn moving_actions(files: &[File]) -> Vec<String> {
    let workflows = files.iter().filter(|file| file.path.starts_with(WORKFLOWS));
    let used = workflows.flat_map(|file| {
        let lines = file.text.lines().filter_map(|line| line.trim().trim_start_matches("- ").strip_prefix("uses: "));
        lines.map(|used| (file.path.as_str(), used.split(' ').next().unwrap_or_default()))
    });
    let moving = used.filter(|(_, used)| !used.starts_with("./") && !is_pinned(used));
    moving.map(|(path, used)| format!("{path}: {used} is no full commit")).collect()
}

/// The workflows there are.
pub(super) fn workflows(files: &[File]) -> Vec<&str> {
    files.iter().map(|file| file.path.as_str()).filter(|path| path.starts_with(WORKFLOWS)).collect()
}

fn is_pinned(used: &str) -> bool {
    let commit = used.rsplit_once('@').map_or("", |(_, commit)| commit);
    commit.len() == 40 && commit.chars().all(|digit| digit.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLUSTER: &str = "kind: Deployment
spec: { template: { spec: { containers: [{ image: docket/orders }, { image: \"mongo:8.0\" }] } } }";

    fn findings(skaffold: &str) -> Vec<String> {
        images(&serde_saphyr::from_str(skaffold).unwrap(), &Cluster::parse(CLUSTER).unwrap())
    }

    #[test]
    fn what_is_built_is_what_is_needed() {
        let right = "build: { artifacts: [{ image: docket/orders, docker: { buildArgs: { SERVICE: orders } } }] }";
        assert!(findings(right).is_empty());
        assert_eq!(findings(&right.replace("SERVICE: orders", "SERVICE: auth")).len(), 1);
        let other = findings(&right.replace("orders", "auth"));
        assert_eq!(
            other,
            ["skaffold.yaml: nothing builds docket/orders", "skaffold.yaml: docket/auth is built, and used nowhere"]
        );
    }

    #[test]
    fn an_action_is_named_by_its_commit() {
        let text = "- uses: a/b@v4\n- uses: a/b@0123456789abcdef0123456789abcdef01234567 # v4\n- uses: ./here";
        let files = [File::new(".github/workflows/ci.yml", text), File::new("README.md", "uses: a/b@v4")];
        assert_eq!(moving_actions(&files), [".github/workflows/ci.yml: a/b@v4 is no full commit"]);
    }
}
