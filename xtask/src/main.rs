//! The one task runner, for people and for CI: `cargo xtask --help`.

mod bench;
mod browser;
mod chaos;
mod check;
mod deny;
mod documents;
mod images;
mod manifests;
mod mixed;
mod run;
mod shots;
mod system;
mod test;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

#[derive(Parser)]
#[command(about = "Tasks of the Docket workspace")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run all tests against a real mongod and a real nats-server
    Test(test::Arguments),
    /// Build Docket and the load harness in release, and measure: `bench flash-sale`, `bench hot journey`
    Bench(bench::Arguments),
    /// Have people buy while servers and processes fail, and check that every promise is kept
    Chaos(chaos::Arguments),
    /// Have people buy while an older commit's services and this build's replace each other: `mixed main~20`
    Mixed(mixed::Arguments),
    /// Take pictures of the pages, on phone and desktop, light and dark, into docs/shots
    Shots(shots::Arguments),
    /// Check format, lints, repository rules, licences, manifests, images and generated documents
    Check(check::Arguments),
    /// Write the documents which are generated from code: schemas, OpenAPI, AsyncAPI
    Documents,
}

fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    match std::env::set_current_dir(root()).map_err(Into::into).and_then(|()| perform(Arguments::parse().task)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn perform(task: Task) -> Result {
    match task {
        Task::Test(arguments) => test::test(&arguments),
        Task::Bench(arguments) => bench::bench(&arguments),
        Task::Chaos(arguments) => chaos::chaos(&arguments),
        Task::Mixed(arguments) => mixed::mixed(&arguments),
        Task::Shots(arguments) => shots::shots(&arguments),
        Task::Check(arguments) => check::check(&arguments),
        Task::Documents => documents::documents("--write"),
    }
}

/// The workspace's folder, in which every task runs.
fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_owned()
}
