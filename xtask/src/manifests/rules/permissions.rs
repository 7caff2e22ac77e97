//! What each service may do at NATS is what its code does there.

use std::collections::BTreeSet;

use super::references::nats_files;
use crate::manifests::cluster::Cluster;
use crate::manifests::sources::Sources;

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
        let publishes = |service: &&String| {
            let file = files.get(format!("{service}.conf").as_str()).copied().unwrap_or_default();
            allowed(file).contains(format!("{stream}.v1.>").as_str())
        };
        let publishers: Vec<&String> = sources.keeping.iter().filter(publishes).collect();
        if publishers.len() != 1 {
            found.push(format!("NATS lets {publishers:?} publish events of {stream}; one owns them"));
        }
    }
    found
}

/// What a service must be able to do at NATS, and what it must not.
pub(in crate::manifests) struct Rights {
    /// Where it publishes.
    pub(in crate::manifests) publishes: Vec<String>,
    /// Where others publish, and nobody.
    pub(in crate::manifests) others: Vec<String>,
    /// Where it is answered.
    pub(in crate::manifests) hears: String,
    /// What may be had from JetStream only, and where others are answered.
    pub(in crate::manifests) unheard: Vec<String>,
}

/// The rights of a service, by what the sources say, and for its own events by its file.
pub(in crate::manifests) fn rights(cluster: &Cluster, sources: &Sources, service: &str) -> Rights {
    let files = nats_files(cluster).unwrap_or_default();
    let file = allowed(files.get(format!("{service}.conf").as_str()).copied().unwrap_or_default());
    let owns = |stream: &str| file.contains(format!("{stream}.v1.>").as_str());
    let (owned, foreign): (Vec<&String>, Vec<&String>) = sources.streams.iter().partition(|stream| owns(stream));
    let event = |stream: &&String| format!("{stream}.v1.018f");
    let mut publishes: Vec<String> = needed(sources, service).iter().map(|subject| one_of(subject)).collect();
    publishes.extend(owned.iter().map(event));
    let mut others: Vec<String> = foreign.iter().map(event).collect();
    for (other, stream) in sources.listeners.iter().filter(|(other, _)| other != service) {
        let verbs = ["CREATE", "DELETE", "INFO", "MSG.NEXT"];
        others.extend(verbs.map(|verb| format!("$JS.API.CONSUMER.{verb}.{stream}.{other}")));
        others.push(format!("$JS.API.CONSUMER.CREATE.{stream}.{other}.{stream}.v1.>"));
        others.push(format!("$JS.ACK.{stream}.{other}.1.2.3.4.5"));
    }
    for stream in &sources.streams {
        let purges = file.contains(format!("$JS.API.STREAM.PURGE.{stream}").as_str()) && owns(stream);
        let verbs = ["UPDATE", "DELETE", "PURGE", "MSG.GET", "MSG.DELETE"].into_iter();
        let verbs = verbs.filter(|verb| !(purges && *verb == "PURGE"));
        others.extend(verbs.map(|verb| format!("$JS.API.STREAM.{verb}.{stream}")));
    }
    others.extend(["$JS.API.STREAM.CREATE.copy", "$SYS.REQ.SERVER.PING"].map(str::to_owned));
    let inbox = |user: &str| format!("{}{user}.>", sources.inbox);
    let mut unheard: Vec<String> = sources.streams.iter().map(|stream| format!("{stream}.>")).collect();
    unheard.extend([">", "$JS.>", "*.>", "_INBOX.>"].map(str::to_owned));
    let neighbours = sources.keeping.iter().map(String::as_str).filter(|other| *other != service);
    unheard.extend(neighbours.chain(["operator"]).map(inbox));
    Rights { publishes, others, hears: inbox(service), unheard }
}

/// A subject that a pattern allows. That of a consumer's filter is itself a pattern.
fn one_of(pattern: &str) -> String {
    if pattern.starts_with("$JS.ACK.") {
        return pattern.replace('>', "1.2.3.4.5");
    }
    pattern.replace('*', "kJq2")
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
