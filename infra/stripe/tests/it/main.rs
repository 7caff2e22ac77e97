//! The stand-in as its clients see it, driven by the client that Docket uses.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod harness;
mod idempotency;
mod journal;
mod payments;
mod refunds;
mod webhooks;
