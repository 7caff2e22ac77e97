//! Black-box tests: people use Docket over HTTP, on a real MongoDB, a real NATS server and the Stripe stand-in.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod auth;
mod browser;
mod chaos;
mod delivery;
mod demo;
mod doctor;
mod fault_proxy;
mod full_disk;
mod holds;
mod journey;
mod model;
mod observability;
mod outage;
mod overload;
mod pages;
mod payments;
mod poison;
mod policies;
mod power_cut;
mod readiness;
mod reads;
mod rebuild;
mod recovery;
mod refunds;
mod repetition;
mod rolling;
mod sale;
mod sales;
mod stage;
mod stored;
mod stripe_load;
mod tickets;
mod unreadable;
mod versions;
