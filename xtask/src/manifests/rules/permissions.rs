//! What each service may do at NATS is what its code does there.

use std::collections::BTreeSet;

use super::references::nats_files;
use crate::manifests::sources::Sources;
use docket_manifests::Cluster;

/// The stream that every process follows, to learn of revoked sessions.
const FOLLOWED_BY_ALL: &str = "users";

pub(super) fn findings(cluster: &Cluster, sources: &Sources) -> Vec<String> {
    let files = nats_files(cluster).unwrap_or_default();
    let mut found = Vec::new();
    for service in &sources.keeping {
        let allowed = allowed(files.get(format!("{service}.conf").as_str()).copied().unwrap_or_default());
        let missing = needed(sources, service).into_iter().filter(|subject| !allowed.contains(subject.as_str()));
        found.extend(missing.map(|subject| format!("NATS does not let {service} publish to {subject}")));
    }
    for stream in &sources.streams {
        let who_may = |subject: String| -> Vec<&String> {
            let file = |service: &String| files.get(format!("{service}.conf").as_str()).copied().unwrap_or_default();
            sources.keeping.iter().filter(|service| allowed(file(service)).contains(subject.as_str())).collect()
        };
        let publishers = who_may(format!("{stream}.v1.>"));
        if publishers.len() != 1 {
            found.push(format!("NATS lets {publishers:?} publish events of {stream}; one owns them"));
        }
        // The owner says how far its stream may grow.
        let changers = who_may(format!("$JS.API.STREAM.UPDATE.{stream}"));
        if changers != publishers {
            found.push(format!("NATS lets {changers:?} change the stream {stream}, whose owner is {publishers:?}"));
        }
    }
    found
}

/// The subjects in the list `allow`.
fn allowed(file: &str) -> BTreeSet<&str> {
    let listed =
        file.split_once("allow: [").and_then(|(_, rest)| rest.split_once(']')).map_or("", |(listed, _)| listed);
    let lines = listed.lines().filter(|line| !line.trim_start().starts_with('#'));
    lines.flat_map(|line| line.split('"').skip(1).step_by(2)).collect()
}

fn needed(sources: &Sources, service: &str) -> Vec<String> {
    let streams = sources.streams.iter();
    let mut subjects: Vec<String> =
        streams.flat_map(|stream| ["INFO", "CREATE"].map(|verb| format!("$JS.API.STREAM.{verb}.{stream}"))).collect();
    let of_it = |(own, _): &&(String, String)| own == service;
    let followed = sources.followers.iter().filter(of_it).map(|(_, stream)| stream.as_str()).chain([FOLLOWED_BY_ALL]);
    for stream in followed {
        let verbs = ["CREATE", "INFO", "DELETE", "MSG.NEXT"];
        subjects.extend(verbs.map(|verb| format!("$JS.API.CONSUMER.{verb}.{stream}.*")));
        subjects.push(format!("$JS.API.CONSUMER.CREATE.{stream}"));
    }
    for (_, stream) in sources.listeners.iter().filter(of_it) {
        subjects.push(format!("$JS.API.CONSUMER.CREATE.{stream}.{service}.{stream}.v1.>"));
        subjects.push(format!("$JS.API.CONSUMER.INFO.{stream}.{service}"));
        subjects.push(format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{service}"));
        subjects.push(format!("$JS.ACK.{stream}.{service}.>"));
    }
    subjects
}
