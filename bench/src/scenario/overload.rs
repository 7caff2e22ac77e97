//! More buyers than can be served: first how many can be, then up to three times as many as is sustainable.

use super::meter::Meter;
use super::visits::{Hold, history, latencies};
use crate::Result;
use crate::buyers::Buyer;
use crate::history::{Attempt, History, HoldAnswer};
use crate::load::{Arrivals, Flood, Until, closed, open, span};
use crate::observe::{settle, verify};
use crate::report::{Outcome, Row};
use crate::run::Bench;
use crate::stats::{median, rate};

/// What can be sustained, as a part of the peak.
const SUSTAINABLE: f64 = 0.9;

/// What is measured in turns with the peak, and how often: shared machines are not equally fast all the time.
const MOST: (&str, f64) = ("3x", 3.0);
const ROUNDS: u64 = 3;

/// How much of the peak right before it was accepted then: the median of the rounds.
pub(crate) const ACCEPTED: &str = "3x, part of the peak";

/// Other times the sustainable rate.
const STEPS: [(&str, f64); 3] = [("1x", 1.0), ("1.5x", 1.5), ("2x", 2.0)];

/// Each tries a few times over the whole scenario.
const BUYERS: usize = 5_000;

const CAPACITY: u32 = 1_000_000;
const SEED: u64 = 20_261_121;

pub(super) async fn run(bench: &Bench<'_>) -> Result<Outcome> {
    let meter = Meter::start(bench.docket).await?;
    let mut all = History::default();
    let mut outcome = Outcome::new("overload");
    let (mut peaks, mut parts) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let (row, peak) = peak(bench, &mut all).await?;
        outcome = outcome.row(row);
        let (row, accepted) = flood(bench, MOST, peak, SEED + round, &mut all).await?;
        outcome = outcome.row(row);
        peaks.push(peak);
        parts.push(accepted / peak);
    }
    let peak = median(peaks);
    outcome = outcome.figure("peak", peak).figure(ACCEPTED, median(parts));
    for (seed, step) in (SEED + ROUNDS..).zip(STEPS) {
        let (row, accepted) = flood(bench, step, peak, seed, &mut all).await?;
        outcome = outcome.row(row).figure(step.0, accepted);
    }
    let cost = meter.stop(bench.docket, all.orders()).await?;
    Ok(outcome.cost(cost).violations(verify(bench, &all).await?))
}

async fn visit(bench: &Bench<'_>) -> Result<Hold> {
    let buyers: Vec<Buyer> = bench.mint.buyers(BUYERS).await?;
    Ok(Hold { buyers, tickets: bench.listings(1, CAPACITY).await? })
}

/// Holds a second in a closed loop.
async fn peak(bench: &Bench<'_>, all: &mut History) -> Result<(Row, f64)> {
    let (visit, sizes) = (visit(bench).await?, bench.sizes);
    let tickets = visit.tickets.clone();
    let visits = closed(bench.platform.address, sizes.workers, Until::Elapsed(sizes.length()), visit).await?;
    let history = history(&tickets, CAPACITY, visits.iter().map(|visit| &visit.outcome));
    let row = Row::new("peak, closed loop", history.orders(), span(&visits), latencies(&visits, accepted));
    let row = row.answered(history.answers());
    settle(bench, &history).await;
    let peak = rate(history.orders(), span(&visits));
    absorb(all, history);
    Ok((row, peak))
}

/// Holds that come at a rate, which is so many times the sustainable one, and how many of them a second were accepted.
async fn flood(
    bench: &Bench<'_>,
    (name, times): (&str, f64),
    peak: f64,
    seed: u64,
    all: &mut History,
) -> Result<(Row, f64)> {
    let rate_wanted = peak * SUSTAINABLE * times;
    let (visit, sizes) = (visit(bench).await?, bench.sizes);
    let tickets = visit.tickets.clone();
    let arrivals = Arrivals::poisson(rate_wanted, sizes.overload_length(), seed);
    let wanted = arrivals.len();
    let flood = open(bench.platform.address, sizes.connections, arrivals, sizes.length(), visit).await?;
    let Flood { visits, unsent } = flood;
    let history = history(&tickets, CAPACITY, visits.iter().map(|visit| &visit.outcome));
    settle(bench, &history).await;
    let mut answers = history.answers();
    answers.insert("wanted".to_owned(), wanted);
    answers.insert("not sent".to_owned(), unsent);
    let row = Row::new(
        &format!("{name}: {rate_wanted:.0}/s wanted"),
        history.orders(),
        span(&visits),
        latencies(&visits, accepted),
    );
    let per_second = rate(history.orders(), span(&visits));
    absorb(all, history);
    Ok((row.answered(answers), per_second))
}

fn accepted(attempt: &Attempt) -> bool {
    matches!(attempt.answer, HoldAnswer::Held(_))
}

fn absorb(all: &mut History, one: History) {
    all.capacity.extend(one.capacity);
    all.attempts.extend(one.attempts);
}
