//! Black-box tests: people use Docket over HTTP, on a real MongoDB, a real NATS server and the Stripe stand-in.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod auth;
mod journey;
mod model;
mod outage;
mod payments;
mod poison;
mod policies;
mod processes;
mod rebuild;
mod rolling;
mod sale;
mod tickets;
