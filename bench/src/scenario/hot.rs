//! One listing that everybody wants, with places for all.

use super::meter::Meter;
use super::visits::{Hold, history, latencies};
use crate::Result;
use crate::load::{Until, closed, span};
use crate::observe::{settle, verify};
use crate::report::{Outcome, Row};
use crate::run::Bench;

pub(super) async fn run(bench: &Bench<'_>) -> Result<Outcome> {
    holds(bench, "hot", 1).await
}

/// Holds at full speed, each by another buyer, over so many listings in turn.
pub(super) async fn holds(bench: &Bench<'_>, name: &str, listings: usize) -> Result<Outcome> {
    let sizes = bench.sizes;
    let capacity = u32::try_from(sizes.holds)?;
    let tickets = bench.listings(listings, capacity).await?;
    let buyers = bench.mint.buyers(sizes.holds).await?;
    let meter = Meter::start(bench.docket).await?;
    let visit = Hold { buyers, tickets: tickets.clone() };
    let visits = closed(bench.platform.address, sizes.workers, Until::Count(sizes.holds), visit).await?;
    let history = history(&tickets, capacity, visits.iter().map(|visit| &visit.outcome));
    settle(bench, &history).await;
    let cost = meter.stop(bench.docket, history.orders()).await?;
    let row = Row::new("hold", history.orders(), span(&visits), latencies(&visits, |it| it.answer.order().is_some()))
        .answered(history.answers());
    Ok(Outcome::new(name).row(row).cost(cost).violations(verify(bench, &history).await?))
}
