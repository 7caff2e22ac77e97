//! What `infra/k8s` puts on a cluster, as objects, and the pinned tools which render, check and run it.
//!
//! `cargo xtask check` holds the objects against the code, and the tests run them on one machine.

mod cluster;
mod environment;
mod error;
mod tools;

pub use cluster::{Cluster, Object, at, list, selects, texts};
pub use error::ManifestError;
pub use tools::Tools;
