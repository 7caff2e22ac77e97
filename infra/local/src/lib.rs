//! Finds or installs a real `mongod` and `nats-server`, starts them and keeps them running.
//!
//! With no `MONGODB_URI` or `NATS_URL` given, Docket runs the very servers it runs in production, as child processes
//! with their data in one folder. [`LocalServers::start`] brings them up, [`LocalServers::stop`] takes them down, and a
//! server that dies in between is started again on the same port.

mod cluster;
mod data_dir;
mod error;
mod find;
mod install;
mod log;
mod mongod;
mod nats;
mod need;
mod options;
mod port;
mod process;
mod program;
mod record;
mod replica_set;
mod server;
mod servers;
mod supervisor;
mod wait;

pub use cluster::NatsCluster;
pub use data_dir::{IN_DATA_DIR, check_data_dir};
pub use error::LocalError;
pub use find::{Binaries, install};
pub use need::{Need, needs};
pub use options::Options;
pub use port::any_free as free_port;
pub use replica_set::{Primary, ReplicaSet};
pub use server::Server;
pub use servers::{Found, LocalServers};
