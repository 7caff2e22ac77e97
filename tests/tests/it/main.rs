//! Black-box tests: people use Docket over HTTP, on a real MongoDB, a real NATS server and the Stripe stand-in.
#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test that cannot go on has failed")]

mod auth;
mod journey;
mod outage;
mod poison;
mod payments;
mod policies;
mod processes;
mod sale;
mod tickets;
