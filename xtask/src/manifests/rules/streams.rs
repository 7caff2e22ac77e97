//! NATS has room for what the streams reserve.

use crate::manifests::sources::Sources;
use docket_manifests::{Cluster, texts};

use super::references::nats_files;

const SIZE: &str = "DOCKET_STREAM_MIB";
const ROOM: &str = "MAX_FILE_STORE: ";

pub(super) fn findings(cluster: &Cluster, sources: &Sources) -> Vec<String> {
    let files = nats_files(cluster).unwrap_or_default();
    let room = files.values().flat_map(|file| file.lines()).find_map(|line| bytes(line.strip_prefix(ROOM)?));
    let maps = cluster.of("ConfigMap").filter_map(|map| texts(map.at("/data")).get(SIZE)?.parse::<u64>().ok());
    let (Some(room), Some(size)) = (room, maps.max()) else {
        return vec![format!("nothing says {ROOM}or {SIZE}, so nobody knows whether NATS has room for the streams")];
    };
    let reserved = size * 1024 * 1024 * sources.streams.len() as u64;
    let fits = reserved <= room;
    (!fits).then(|| format!("the streams reserve {reserved} bytes, and NATS has room for {room}")).into_iter().collect()
}

/// A size as NATS reads it: a bare unit counts by the thousand.
fn bytes(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match &text[digits.len()..] {
        "" => 1,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "T" => 1_000_000_000_000,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}
