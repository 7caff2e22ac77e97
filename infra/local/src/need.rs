//! What the servers need of a disk.

use std::path::{Path, PathBuf};

use crate::program::Kind;

/// How much room a server needs to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// The name of its binary.
    pub server: &'static str,
    /// The folder of its data, which may not be there yet, and may be a disk of its own.
    pub folder: PathBuf,
    /// How many bytes must be free there.
    pub bytes: u64,
}

/// What those of the servers need that are wanted, with their data in `data_dir`.
pub fn needs(data_dir: &Path, mongod: bool, nats: bool) -> Vec<Need> {
    let wanted = [mongod.then_some(Kind::Mongod), nats.then_some(Kind::Nats)].into_iter().flatten();
    wanted.map(|kind| Need { server: kind.name(), folder: kind.home(data_dir), bytes: kind.needs() }).collect()
}
