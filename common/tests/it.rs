//! What the shared crate promises, asked for from outside: over HTTP, with a real database.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod bus;
mod database;
mod http;
mod service;
mod store;
