//! Drives a whole Docket from outside, measures it, and checks from its answers that it kept every promise.

#![expect(clippy::float_arithmetic, reason = "rates and ratios are statistics; no money is counted here")]

mod bare;
mod buyers;
mod check;
mod cli;
mod commands;
mod comparison;
mod docket;
mod history;
mod http;
mod load;
mod machine;
mod observe;
mod options;
mod platform;
mod processes;
mod reference;
mod report;
mod run;
mod scenario;
mod stats;
mod targets;
mod timing;

pub use cli::{Cli, perform};

/// What ends a run before its time.
type Failure = Box<dyn std::error::Error + Send + Sync>;

type Result<T = ()> = std::result::Result<T, Failure>;
