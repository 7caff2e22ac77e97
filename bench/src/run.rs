//! A whole run: one Docket, scenario after scenario.

use common::id::TicketId;

use crate::Result;
use crate::buyers::Mint;
use crate::cli::Run;
use crate::docket::Docket;
use crate::load::{Until, closed};
use crate::machine::Machine;
use crate::options::Sizes;
use crate::platform::Platform;
use crate::reference::{self, DISTINCT};
use crate::report::{Outcome, Report};
use crate::scenario::{Hold, Scenario};
use crate::targets::targets;
use crate::timing::wall_clock;

/// Holds before anything is measured.
const WARM_UP: usize = 2_000;

/// Of many violations so many are shown while the run goes on; the report has all.
const SHOWN: usize = 5;

/// What scenarios work with.
#[derive(Clone)]
pub(crate) struct Bench<'a> {
    pub(crate) docket: &'a Docket,
    pub(crate) platform: Platform,
    pub(crate) mint: Mint,
    pub(crate) sizes: Sizes,
}

impl<'a> Bench<'a> {
    /// Signs a seller up on a Docket that has just started.
    pub(crate) async fn open(docket: &'a Docket, sizes: Sizes) -> Result<Self> {
        let platform = Platform::open(docket.http).await?;
        let mint = Mint::open(&docket.mongodb).await?;
        Ok(Self { docket, platform, mint, sizes })
    }

    /// Fresh listings.
    pub(crate) async fn listings(&self, count: usize, capacity: u32) -> Result<Vec<TicketId>> {
        self.platform.sell(count, capacity).await
    }
}

/// Runs what is asked for, and answers with the report.
pub(crate) async fn run(bench: &Bench<'_>, wanted: &Run) -> Result<Report> {
    warm_up(bench).await?;
    let mut outcomes = Vec::new();
    if wanted.with_reference() {
        outcomes.push(progress(reference::measure(&bench.docket.mongodb, bench.sizes.length()).await?));
    }
    for scenario in wanted.scenarios() {
        let beside = wanted.with_reference() && Scenario::COMPARED.contains(&scenario);
        let outcome = if beside { compared(bench, scenario).await? } else { scenario.run(bench).await? };
        outcomes.push(progress(outcome));
    }
    let violations_in_rounds = rounds(bench, wanted.runs).await?;
    Ok(Report {
        at: wall_clock(),
        machine: Machine::look(&bench.docket.mongodb, bench.docket.pids).await?,
        sizes: bench.sizes,
        targets: targets(&outcomes),
        outcomes,
        rounds: wanted.runs,
        violations_in_rounds,
    })
}

/// Runs a scenario with transactions on distinct documents right before and right after it: shared machines are not equally
/// fast all the time.
async fn compared(bench: &Bench<'_>, scenario: Scenario) -> Result<Outcome> {
    let (mongodb, length) = (&bench.docket.mongodb, bench.sizes.length());
    let before = reference::distinct(mongodb, length).await?;
    let outcome = scenario.run(bench).await?;
    let after = reference::distinct(mongodb, length).await?;
    let beside = f64::midpoint(before.rate, after.rate);
    Ok(outcome.row(before.named("transaction, before")).row(after.named("transaction, after")).figure(DISTINCT, beside))
}

/// Caches are filled, connections opened and files grown before anything is measured.
async fn warm_up(bench: &Bench<'_>) -> Result {
    let tickets = bench.listings(1, u32::try_from(WARM_UP)?).await?;
    let visit = Hold { buyers: bench.mint.buyers(WARM_UP).await?, tickets };
    closed(bench.platform.address, bench.sizes.workers, Until::Count(WARM_UP), visit).await?;
    Ok(())
}

/// The checked scenarios again and again, a tenth of their size, for what is wrong only now and then.
async fn rounds(bench: &Bench<'_>, rounds: usize) -> Result<Vec<String>> {
    let small = Bench { sizes: Sizes { seconds: 1, ..bench.sizes.tenth() }, ..bench.clone() };
    let mut found = Vec::new();
    for round in 1..=rounds {
        for scenario in Scenario::CHECKED {
            let Outcome { name, violations, .. } = scenario.run(&small).await?;
            found.extend(violations.into_iter().map(|violation| format!("round {round}, {name}: {violation}")));
        }
        eprintln!("round {round} of {rounds}: {} violations so far", found.len());
    }
    Ok(found)
}

fn progress(outcome: Outcome) -> Outcome {
    for row in &outcome.rows {
        let (step, rate, latency) = (&row.step, row.rate, row.latency);
        eprintln!("{}: {step}: {rate:.0}/s, p50 {:.1} ms, p99 {:.1} ms", outcome.name, latency.p50, latency.p99);
    }
    outcome.violations.iter().take(SHOWN).for_each(|violation| eprintln!("{}: VIOLATION: {violation}", outcome.name));
    outcome
}
