//! The real servers, shared by all tests of a run; each test has a namespace of its own on them.

use std::sync::atomic::{AtomicU32, Ordering};

/// Where the servers are.
#[derive(Clone, Debug)]
pub struct Servers {
    /// A replica set of one.
    pub mongodb_uri: String,
    /// A nats-server with JetStream.
    pub nats_url: String,
}

/// The servers of this run.
///
/// # Panics
/// If the tests were not started by `cargo xtask test`.
pub fn servers() -> Servers {
    let read = |name| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run `cargo xtask test`"));
    Servers { mongodb_uri: read("DOCKET_TEST_MONGODB_URI"), nats_url: read("DOCKET_TEST_NATS_URL") }
}

/// A namespace that no other test has.
pub fn namespace() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("t{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}
