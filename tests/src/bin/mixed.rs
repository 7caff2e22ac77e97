//! People buy while an older build and this one replace each other; `cargo xtask mixed` builds both and starts it.
#![expect(clippy::print_stdout, reason = "what it prints is what it is for")]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use docket_tests::Build;
use docket_tests::chaos::mixed::{self, Change};
use docket_tests::chaos::{Report, World};

#[derive(Parser)]
struct Arguments {
    /// The folder with the older build's binaries
    #[arg(long)]
    older: PathBuf,
    /// Who wants what when
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where data, logs and the histories of failed runs are kept
    #[arg(long, default_value = "target/mixed/world")]
    folder: PathBuf,
}

fn main() -> ExitCode {
    common::service::block_on(both_ways(&Arguments::parse()))
}

async fn both_ways(arguments: &Arguments) -> ExitCode {
    let (older, this) = (Build::at(&arguments.older), Build::this());
    let world = match mixed::start(&arguments.folder, &older).await {
        Ok(world) => world,
        Err(why) => {
            println!("no world: {why}");
            return ExitCode::FAILURE;
        }
    };
    let roll_out = Change { name: "roll-out", to: &this, stays: &this };
    let roll_back = Change { name: "roll-back, and out again", to: &older, stays: &this };
    let mut kept = true;
    for (nth, change) in (0..).zip([roll_out, roll_back]) {
        kept &= one(arguments, &world, arguments.seed + nth, change).await;
    }
    world.stop().await;
    if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whether every promise was kept.
async fn one(arguments: &Arguments, world: &World, seed: u64, change: Change<'_>) -> bool {
    match mixed::run(world, seed, change).await {
        Ok(report) => {
            tell(arguments, &report);
            report.violations.is_empty()
        }
        Err(why) => {
            println!("{}: {why}", change.name);
            false
        }
    }
}

fn tell(arguments: &Arguments, report: &Report) {
    let Report { seed, faults, violations, harmed, to_rest, .. } = report;
    let verdict = if violations.is_empty() { "kept".to_owned() } else { format!("{} VIOLATIONS", violations.len()) };
    let (harmed, to_rest) = (harmed.as_secs(), to_rest.as_secs());
    println!("{faults}: {verdict}; {}; mixed {harmed} s, to rest {to_rest} s; seed {seed}", report.counts());
    for violation in violations.iter().take(10) {
        println!("    {violation}");
    }
    if !violations.is_empty() {
        let path = arguments.folder.join(format!("mixed-{seed}.txt"));
        match std::fs::write(&path, format!("{report:#?}")) {
            Ok(()) => println!("    the whole history is in {}", path.display()),
            Err(error) => println!("    the history could not be written to {}: {error}", path.display()),
        }
    }
}
