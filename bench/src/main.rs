//! The load harness: `docket-bench run flash-sale`, or rather `cargo xtask bench flash-sale`.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
        .init();
    docket_bench::perform(docket_bench::Cli::parse())
}
