//! One listing that everybody wants, with places for all: at full speed, and then at a rate that leaves air to breathe.

use super::meter::Meter;
use super::visits::{Hold, history, latencies};
use crate::Result;
use crate::history::{Attempt, History};
use crate::load::{Arrivals, Timed, Until, closed, open, span};
use crate::observe::{settle, verify};
use crate::report::{Outcome, Row};
use crate::run::Bench;
use crate::stats::rate;

/// The rate of the open loop, as a part of what the closed loop reached.
const PART: f64 = 0.5;

const SEED: u64 = 19_870_605;

pub(super) async fn run(bench: &Bench<'_>) -> Result<Outcome> {
    let (outcome, reached) = holds(bench, "hot", 1).await?;
    let wanted = reached * PART;
    let arrivals = Arrivals::poisson(wanted, bench.sizes.length(), SEED);
    let hold = visit(bench, 1, arrivals.len()).await?;
    let (tickets, capacity) = (hold.tickets.clone(), u32::try_from(arrivals.len())?);
    let flood = open(bench.platform.address, bench.sizes.connections, arrivals, bench.sizes.length(), hold).await?;
    let history = history(&tickets, capacity, flood.visits.iter().map(|visit| &visit.outcome));
    settle(bench, &history).await;
    let mut row = row("hold, open loop", &flood.visits, &history);
    row.answers.insert("not sent".to_owned(), flood.unsent);
    Ok(outcome.row(row).figure("open loop, wanted/s", wanted).violations(verify(bench, &history).await?))
}

/// Holds at full speed, each by another buyer, over so many listings in turn; and how many a second there were.
pub(super) async fn holds(bench: &Bench<'_>, name: &str, listings: usize) -> Result<(Outcome, f64)> {
    let sizes = bench.sizes;
    let hold = visit(bench, listings, sizes.holds).await?;
    let tickets = hold.tickets.clone();
    let meter = Meter::start(bench.docket).await?;
    let visits = closed(bench.platform.address, sizes.workers, Until::Count(sizes.holds), hold).await?;
    let history = history(&tickets, u32::try_from(sizes.holds)?, visits.iter().map(|visit| &visit.outcome));
    settle(bench, &history).await;
    let cost = meter.stop(bench.docket, history.orders()).await?;
    let outcome = Outcome::new(name).row(row("hold", &visits, &history)).cost(cost);
    Ok((outcome.violations(verify(bench, &history).await?), rate(history.orders(), span(&visits))))
}

/// So many buyers, and listings which each have a place for all of them.
async fn visit(bench: &Bench<'_>, listings: usize, buyers: usize) -> Result<Hold> {
    let tickets = bench.listings(listings, u32::try_from(buyers)?).await?;
    Ok(Hold { buyers: bench.mint.buyers(buyers).await?, tickets })
}

fn row(step: &str, visits: &[Timed<Attempt>], history: &History) -> Row {
    let accepted = latencies(visits, |attempt| attempt.answer.order().is_some());
    Row::new(step, history.orders(), span(visits), accepted).answered(history.answers())
}
