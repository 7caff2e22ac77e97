//! More buyers than can be served: in turns the most that can be, what can be sustained, and three times that; then other
//! times of it.

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

/// So much of the peak comes in an open loop. What is accepted of that can be sustained.
const NEARLY: f64 = 0.9;

/// How often peak, sustainable rate and the most are measured in turns: shared machines are not equally fast all the time.
const ROUNDS: u64 = 5;

/// Times the sustainable rate.
const MOST: (&str, f64) = ("3x", 3.0);

/// How much of the peak of the same round was accepted then: the median of the rounds.
pub(crate) const ACCEPTED: &str = "3x, part of the peak";

/// Other times the sustainable rate.
const STEPS: [(&str, f64); 2] = [("1.5x", 1.5), ("2x", 2.0)];

/// Most come once or twice to a listing: who comes often has unpaid orders, which each further hold has to count.
const BUYERS: usize = 20_000;

const CAPACITY: u32 = 1_000_000;
const SEED: u64 = 20_261_121;

pub(super) async fn run(bench: &Bench<'_>) -> Result<Outcome> {
    let meter = Meter::start(bench.docket).await?;
    let mut all = History::default();
    let mut outcome = Outcome::new("overload");
    let (mut peaks, mut sustained, mut parts) = (Vec::new(), Vec::new(), Vec::new());
    for seed in SEED..SEED + ROUNDS {
        let (row, peak) = peak(bench, &mut all).await?;
        outcome = outcome.row(row);
        let (row, sustainable) = flood(bench, "1x", peak * NEARLY, seed, &mut all).await?;
        outcome = outcome.row(row);
        let (name, times) = MOST;
        let (row, accepted) = flood(bench, name, sustainable * times, seed, &mut all).await?;
        outcome = outcome.row(row);
        peaks.push(peak);
        sustained.push(sustainable);
        parts.push(accepted / peak);
    }
    let sustainable = median(sustained);
    outcome = outcome.figure("peak", median(peaks)).figure("sustainable", sustainable).figure(ACCEPTED, median(parts));
    for (name, times) in STEPS {
        let (row, accepted) = flood(bench, name, sustainable * times, SEED, &mut all).await?;
        outcome = outcome.row(row).figure(name, accepted);
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

/// Holds that come at a rate, and how many of them a second were accepted.
async fn flood(bench: &Bench<'_>, name: &str, rate_wanted: f64, seed: u64, all: &mut History) -> Result<(Row, f64)> {
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
