//! How many commands MongoDB was given.

use std::collections::BTreeMap;

use bson::{Bson, doc};
use mongodb::Client;

use crate::Result;

/// What drivers and the server do by themselves.
const NOISE: [&str; 8] = [
    "hello",
    "isMaster",
    "ping",
    "serverStatus",
    "endSessions",
    "replSetUpdatePosition",
    "replSetHeartbeat",
    "buildInfo",
];

/// Commands by their names, since the server started.
#[derive(Clone, Debug, Default)]
pub(crate) struct Commands(BTreeMap<String, i64>);

impl Commands {
    /// Up to now.
    pub(crate) async fn count(client: &Client) -> Result<Self> {
        let status = client.database("admin").run_command(doc! { "serverStatus": 1 }).await?;
        let commands = status.get_document("metrics")?.get_document("commands")?;
        let counted = commands.iter().filter_map(|(name, value)| Some((name.clone(), total(value)?)));
        Ok(Self(counted.filter(|(name, total)| *total > 0 && !NOISE.contains(&name.as_str())).collect()))
    }

    /// Those since `before`.
    pub(crate) fn since(&self, before: &Self) -> BTreeMap<String, i64> {
        let earlier = |name: &String| before.0.get(name).copied().unwrap_or(0);
        let grown = self.0.iter().map(|(name, total)| (name.clone(), total - earlier(name)));
        grown.filter(|(_, count)| *count > 0).collect()
    }
}

fn total(command: &Bson) -> Option<i64> {
    match command.as_document()?.get("total")? {
        Bson::Int64(total) => Some(*total),
        Bson::Int32(total) => Some((*total).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_added_counts() {
        let of = |pairs: &[(&str, i64)]| Commands(pairs.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect());
        let grown = of(&[("find", 7), ("insert", 3), ("update", 5)]).since(&of(&[("find", 2), ("insert", 3)]));
        assert_eq!(grown, BTreeMap::from([("find".to_owned(), 5), ("update".to_owned(), 5)]));
    }
}
