//! Deadlines of holds, kept by a real broker. `cargo xtask test` starts the servers.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic, and tells what it measured")]

mod broker;
mod scheduler;
mod service;
