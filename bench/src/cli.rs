//! The command line.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use serde::Serialize;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::comparison::{self, Build, Comparison};
use crate::docket::Docket;
use crate::options::Sizes;
use crate::processes::raise_open_files;
use crate::report::Report;
use crate::run::{Bench, run};
use crate::scenario::Scenario;
use crate::{Result, bare};

/// Of many violations so many are shown at the end.
const SHOWN: usize = 50;

/// Measures a whole Docket from outside, and checks that it kept every promise.
#[derive(Debug, Parser)]
#[command(name = "docket-bench")]
pub struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Starts Docket and runs scenarios against it
    Run(Box<Run>),
    /// Serves one answer from a file, as the measure for reads
    #[command(hide = true)]
    Bare {
        /// The answer as JSON
        file: PathBuf,
    },
}

/// What to run.
#[derive(Debug, clap::Args)]
pub(crate) struct Run {
    /// flash-sale (all of it), reference, hot, sellout, spread, browse, journey, journey-spread, read, pages, overload, ends, unpaid
    #[arg(required = true, value_parser = choice)]
    choices: Vec<Choice>,
    /// The docket binary; the one beside this binary if not said
    #[arg(long)]
    docket: Option<PathBuf>,
    /// Another docket binary that is measured in turns with the first: this, that, that, this
    #[arg(long)]
    beside: Option<PathBuf>,
    /// How often each of the two is measured
    #[arg(long, default_value_t = 4, requires = "beside", value_parser = clap::value_parser!(u8).range(1..))]
    turns: u8,
    /// Where mongod and nats-server are installed; `servers` in the folder above this binary's if not said
    #[arg(long, env = "DOCKET_SERVERS_DIR")]
    servers_dir: Option<PathBuf>,
    /// Where the figures go as JSON; Docket's log goes beside it
    #[arg(long, default_value = "target/bench/flash-sale.json")]
    json: PathBuf,
    /// Afterwards, how often to repeat the checked scenarios at a tenth of their size
    #[arg(long, default_value_t = 0, conflicts_with = "beside")]
    pub(crate) runs: usize,
    /// How long Docket holds places, in seconds
    #[arg(long, default_value_t = 900)]
    hold_seconds: u32,
    /// A tenth of all counts, for a first look
    #[arg(long)]
    tenth: bool,
    #[command(flatten)]
    sizes: Sizes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    FlashSale,
    Reference,
    One(Scenario),
}

fn choice(text: &str) -> std::result::Result<Choice, String> {
    match text {
        "flash-sale" => Ok(Choice::FlashSale),
        "reference" => Ok(Choice::Reference),
        name => Scenario::from_str(name, false).map(Choice::One),
    }
}

impl Run {
    /// Whether the raw transactions are measured.
    pub(crate) fn with_reference(&self) -> bool {
        self.choices.iter().any(|choice| matches!(choice, Choice::FlashSale | Choice::Reference))
    }

    /// The scenarios in the order in which they run.
    pub(crate) fn scenarios(&self) -> Vec<Scenario> {
        let wanted = |scenario: &Scenario| {
            let in_all = self.choices.contains(&Choice::FlashSale) && Scenario::FLASH_SALE.contains(scenario);
            in_all || self.choices.contains(&Choice::One(*scenario))
        };
        Scenario::all().filter(wanted).collect()
    }

    fn sizes(&self) -> Sizes {
        if self.tenth { self.sizes.tenth() } else { self.sizes }
    }
}

/// Does what was asked for. It fails if a promise was broken or nothing could be measured.
pub fn perform(cli: Cli) -> ExitCode {
    let outcome = match cli.task {
        Task::Run(wanted) => measure(&wanted),
        Task::Bare { file } => bare::serve(&file).map(|()| true),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("docket-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// True if no promise was broken.
#[tokio::main]
async fn measure(wanted: &Run) -> Result<bool> {
    raise_open_files()?;
    if let Some(folder) = wanted.json.parent() {
        std::fs::create_dir_all(folder)?;
    }
    // From now on Ctrl-C ends the run in good order, also one that is still starting.
    let interrupted = interrupted()?;
    let mut interrupted = std::pin::pin!(interrupted);
    let here = std::env::current_exe()?;
    let folder = here.parent().unwrap_or(Path::new("."));
    let binary = wanted.docket.clone().unwrap_or_else(|| folder.join("docket"));
    let servers = std::path::absolute(wanted.servers_dir.clone().unwrap_or_else(|| folder.join("../servers")))?;
    let Some(beside) = &wanted.beside else {
        let log = wanted.json.with_extension("log");
        let report = one(&binary, &servers, &log, wanted, interrupted.as_mut()).await?;
        return publish(&report, &report.tables(), &[&report], wanted);
    };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for (turn, build) in comparison::order(wanted.turns.into()).enumerate() {
        let (binary, reports) = match build {
            Build::This => (&binary, &mut ours),
            Build::Beside => (beside, &mut theirs),
        };
        eprintln!("turn {}: {}", turn + 1, binary.display());
        let log = wanted.json.with_extension(format!("{}.log", turn + 1));
        reports.push(one(binary, &servers, &log, wanted, interrupted.as_mut()).await?);
    }
    let comparison = Comparison::of(&ours, &theirs);
    let figures = json!({ "comparison": &comparison, "this": &ours, "beside": &theirs });
    publish(&figures, &comparison.tables(), &ours.iter().chain(&theirs).collect::<Vec<_>>(), wanted)
}

/// Starts a Docket, runs the scenarios against it, and stops it.
async fn one(
    binary: &Path,
    servers: &Path,
    log: &Path,
    wanted: &Run,
    interrupted: Pin<&mut impl Future<Output = ()>>,
) -> Result<Report> {
    let docket = Docket::start(binary, servers, File::create(log)?, wanted.hold_seconds).await?;
    let outcome = tokio::select! {
        outcome = against(&docket, wanted) => outcome,
        () = interrupted => Err("interrupted".into()),
    };
    // Whatever came of it, no server is left behind.
    let stopped = docket.stop().await;
    let report = outcome?;
    stopped?;
    Ok(report)
}

async fn against(docket: &Docket, wanted: &Run) -> Result<Report> {
    let bench = Bench::open(docket, wanted.sizes()).await?;
    run(&bench, wanted).await
}

#[expect(clippy::print_stdout, reason = "the tables are what this program is for")]
fn publish(figures: &impl Serialize, tables: &str, reports: &[&Report], wanted: &Run) -> Result<bool> {
    std::fs::write(&wanted.json, serde_json::to_string_pretty(figures)? + "\n")?;
    println!("{tables}");
    let violations: Vec<String> = reports.iter().flat_map(|report| report.violations()).collect();
    violations.iter().take(SHOWN).for_each(|violation| println!("violation: {violation}"));
    println!("{} violations; {} rounds; figures in {}", violations.len(), wanted.runs, wanted.json.display());
    Ok(violations.is_empty())
}

/// Ends with Ctrl-C or a request to end. The signals are caught from the call on.
fn interrupted() -> std::io::Result<impl Future<Output = ()>> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_of(arguments: &[&str]) -> Run {
        let cli = Cli::parse_from(["docket-bench", "run"].iter().chain(arguments));
        match cli.task {
            Task::Run(run) => *run,
            Task::Bare { .. } => panic!("run was asked for"),
        }
    }

    #[test]
    fn a_flash_sale_is_everything() {
        let run = run_of(&["flash-sale"]);
        assert_eq!(run.scenarios(), Scenario::FLASH_SALE);
        assert!(run.with_reference());
    }

    #[test]
    fn another_build_can_stand_beside() {
        let run = run_of(&["hot", "--beside", "older/docket", "--turns", "2"]);
        assert_eq!((run.beside.as_deref(), run.turns), (Some(Path::new("older/docket")), 2));
        for wrong in [&["hot", "--turns", "2"][..], &["hot", "--beside", "x", "--turns", "0"]] {
            let told = Cli::try_parse_from(["docket-bench", "run"].iter().chain(wrong));
            assert!(told.is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn scenarios_can_be_chosen() {
        let run = run_of(&["journey", "hot", "--tenth", "--holds", "500"]);
        assert_eq!(run.scenarios(), [Scenario::Hot, Scenario::Journey]);
        assert!(!run.with_reference());
        assert_eq!(run.sizes().holds, 50);
        assert!(Cli::try_parse_from(["docket-bench", "run", "cold"]).is_err());
    }
}
