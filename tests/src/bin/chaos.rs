//! Many seeded runs of chaos, a line for each; `cargo xtask chaos` builds what it needs and starts it.
#![expect(clippy::print_stdout, reason = "what it prints is what it is for")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use clap::Parser;
use common::clock::{Clock, SystemClock};
use docket_tests::chaos::{Broker, Equipment, Felt, Length, Report, World, run};
use docket_tests::{Build, pause};
use futures::future::join_all;

/// After so many runs a world is made anew: what is redelivered grows with every run.
const RUNS_IN_A_WORLD: usize = 6;

/// Every so many worlds are of two builds, if there is an older one.
const MIXED_EACH: usize = 4;

/// Every so many worlds have a replica set of three, and every so many a small disk for the broker; which of them do, is that
/// remainder.
const REPLICA_SET_EACH: (usize, usize) = (6, 4);
const SMALL_DISK_EACH: (usize, usize) = (10, 3);

/// A kind of fault that was planned so often and never felt is none.
const PLANNED_AND_NOT_FELT: usize = 8;

/// After so many worlds that did not start, something else is wrong.
const WORLDS_THAT_MAY_FAIL: usize = 5;
const BEFORE_ANOTHER_WORLD: Duration = Duration::from_secs(15);

#[derive(Parser)]
struct Arguments {
    /// How many seeds to run (by default 100; of the control at most 10, until one is caught)
    #[arg(long)]
    runs: Option<u64>,
    /// The first seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Longer runs, with more of everything
    #[arg(long)]
    long: bool,
    /// How many worlds at the same time
    #[arg(long, default_value_t = 3)]
    lanes: usize,
    /// How many NATS servers a world has: 1, or a cluster of 3; every third world is a cluster if not set
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=3))]
    nodes: Option<u8>,
    /// MongoDB is a replica set of three in every world, not only in each sixth
    #[arg(long)]
    replica_set: bool,
    /// The broker has a small disk, which fills up, in every world that has one broker, not only in each tenth
    #[arg(long)]
    small_disk: bool,
    /// The folder with the binaries of an older build: in each fourth world it runs beside this one
    #[arg(long)]
    older: Option<PathBuf>,
    /// Demands that promises are broken, as by a build without the guard against lost writes; ends with the first one
    #[arg(long)]
    control: bool,
    /// Where data, logs and the histories of failed runs are kept
    #[arg(long, default_value = "target/chaos", overrides_with = "folder")]
    folder: PathBuf,
}

impl Arguments {
    /// The servers of a world, by its number.
    fn equipment(&self, nth: usize) -> Equipment {
        let is_cluster = self.nodes.map_or(nth % 3 == 2, |nodes| nodes > 1);
        let broker = if is_cluster { Broker::Cluster } else { Broker::Single };
        let is = |(each, remainder): (usize, usize)| nth % each == remainder;
        Equipment {
            broker,
            replica_set: self.replica_set || is(REPLICA_SET_EACH),
            small_disk: !is_cluster && (self.small_disk || is(SMALL_DISK_EACH)),
        }
    }

    fn runs(&self) -> u64 {
        self.runs.unwrap_or(if self.control { 10 } else { 100 })
    }
}

#[derive(Default)]
struct Tally {
    next: AtomicU64,
    worlds: AtomicUsize,
    done: AtomicUsize,
    broken: AtomicUsize,
    not_begun: AtomicUsize,
    /// Worlds in which no disk was full, as none may be mounted.
    without_disk: AtomicUsize,
    felt: Mutex<Felt>,
}

impl Tally {
    fn feel(&self, felt: &Felt) {
        self.felt.lock().expect("nobody panics while adding").add(felt);
    }

    /// Says what was felt; false if a kind of fault never was.
    fn tell_felt(&self) -> bool {
        let felt = self.felt.lock().expect("nobody panics while adding");
        println!("felt/planned:harm of each kind of fault: {felt}");
        let never = felt.never_felt(PLANNED_AND_NOT_FELT);
        if !never.is_empty() {
            println!("planned and never felt: {}", never.join(", "));
        }
        never.is_empty()
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    common::service::block_on(all(&arguments))
}

async fn all(arguments: &Arguments) -> ExitCode {
    let (tally, began) = (Tally::default(), SystemClock.now());
    let lanes =
        (0..arguments.lanes).map(|lane| serve(arguments, &tally, arguments.folder.join(format!("lane-{lane}"))));
    join_all(lanes).await;
    let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
    let (done, broken, not_begun) = (count(&tally.done), count(&tally.broken), count(&tally.not_begun));
    let seconds = SystemClock.now().since(began).as_secs();
    println!("{done} runs in {seconds} s, {broken} with violations, {not_begun} that could not begin");
    let without_disk = count(&tally.without_disk);
    if without_disk > 0 {
        println!(
            "{without_disk} worlds had no small disk, so that none was full: to mount one needs a superuser's rights"
        );
    }
    let all_felt = tally.tell_felt();
    let good = if arguments.control { broken > 0 } else { broken == 0 && not_begun == 0 && all_felt };
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs seeds until there are none left, in one world after the other.
async fn serve(arguments: &Arguments, tally: &Tally, folder: PathBuf) {
    let is_over = || {
        let enough = arguments.control && tally.broken.load(Ordering::Relaxed) > 0;
        enough || tally.next.load(Ordering::Relaxed) >= arguments.runs()
    };
    while !is_over() {
        let nth = tally.worlds.fetch_add(1, Ordering::Relaxed);
        let equipment = arguments.equipment(nth);
        let older = arguments.older.as_deref().filter(|_| nth % MIXED_EACH == MIXED_EACH - 1);
        let started = match older {
            Some(older) => World::mixed(&folder, equipment, &Build::at(older), nth / MIXED_EACH).await,
            None => World::start(&folder, equipment).await,
        };
        let world = match started {
            Ok(world) => world,
            Err(why) => {
                println!("no world: {why}");
                if tally.not_begun.fetch_add(1, Ordering::Relaxed) + 1 >= WORLDS_THAT_MAY_FAIL {
                    return;
                }
                // What had started of it stops in the background.
                pause(BEFORE_ANOTHER_WORLD).await;
                continue;
            }
        };
        if let Some(why) = world.lacks_disk() {
            println!("no small disk: {why}");
            tally.without_disk.fetch_add(1, Ordering::Relaxed);
        }
        for _ in 0..RUNS_IN_A_WORLD {
            if is_over() || !one(arguments, tally, &world, older.is_some()).await {
                break;
            }
        }
        world.stop().await;
    }
}

/// One run; false if the world is no good any more.
async fn one(arguments: &Arguments, tally: &Tally, world: &World, mixed: bool) -> bool {
    let nth = tally.next.fetch_add(1, Ordering::Relaxed);
    if nth >= arguments.runs() {
        return false;
    }
    let seed = arguments.seed + nth;
    let length = if arguments.long { Length::Long } else { Length::of(seed) };
    match run(world, seed, length).await {
        Ok(report) => {
            tally.done.fetch_add(1, Ordering::Relaxed);
            tally.feel(&report.felt);
            tell(&report, &format!("{}{}", world.equipment(), if mixed { ", two builds" } else { "" }));
            if report.violations.is_empty() {
                return true;
            }
            tally.broken.fetch_add(1, Ordering::Relaxed);
            keep(&arguments.folder, &report);
        }
        Err(why) => {
            println!("seed {seed}: could not begin: {why}");
            tally.not_begun.fetch_add(1, Ordering::Relaxed);
        }
    }
    false
}

fn tell(report: &Report, world: &str) {
    let Report { seed, faults, felt, violations, harmed, to_rest, .. } = report;
    let (harmed, to_rest) = (harmed.as_millis(), to_rest.as_millis());
    let verdict = if violations.is_empty() { "kept".to_owned() } else { format!("{} VIOLATIONS", violations.len()) };
    println!(
        "seed {seed}: {verdict}; {}; harmed {harmed} ms, to rest {to_rest} ms; {world}; {faults}; felt {felt}",
        report.counts()
    );
    for violation in violations.iter().take(10) {
        println!("    {violation}");
    }
}

fn keep(folder: &Path, report: &Report) {
    let path = folder.join(format!("seed-{}.txt", report.seed));
    match std::fs::write(&path, format!("{report:#?}")) {
        Ok(()) => println!("    the whole history is in {}", path.display()),
        Err(error) => println!("    the history could not be written to {}: {error}", path.display()),
    }
}
