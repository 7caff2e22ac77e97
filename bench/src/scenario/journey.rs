//! The whole way: hold, pay, pass.

use super::meter::Meter;
use super::visits::{Hold, Journey, Travelled, history};
use crate::Result;
use crate::history::History;
use crate::load::{Timed, Until, closed, span};
use crate::observe::{settle, verify};
use crate::report::{Outcome, Row};
use crate::run::Bench;

pub(super) async fn run(bench: &Bench<'_>, listings: usize) -> Result<Outcome> {
    let sizes = bench.sizes;
    let capacity = u32::try_from(sizes.journeys)?;
    let tickets = bench.listings(listings, capacity).await?;
    let buyers = bench.mint.buyers(sizes.journeys).await?;
    let meter = Meter::start(bench.docket).await?;
    let visit = Journey(Hold { buyers, tickets: tickets.clone() });
    let workers = sizes.journey_workers;
    let visits = closed(bench.platform.address, workers, Until::Count(sizes.journeys), visit).await?;
    let mut history = history(&tickets, capacity, visits.iter().map(|visit| &visit.outcome.attempt));
    history.payments = visits.iter().filter_map(|visit| payment(&visit.outcome)).collect();
    settle(bench, &history).await;
    let cost = meter.stop(bench.docket, history.orders()).await?;
    let name = if listings == 1 { "journey".to_owned() } else { format!("journey-{listings}") };
    let outcome = rows(Outcome::new(&name), &visits, &history);
    Ok(outcome.cost(cost).violations(verify(bench, &history).await?))
}

fn payment(travelled: &Travelled) -> Option<(common::id::OrderId, crate::history::PayAnswer)> {
    Some((travelled.attempt.answer.order()?, travelled.payment?.0))
}

fn rows(outcome: Outcome, visits: &[Timed<Travelled>], history: &History) -> Outcome {
    let elapsed = span(visits);
    let arrived: Vec<&Timed<Travelled>> = visits.iter().filter(|visit| visit.outcome.arrived).collect();
    let pays = || visits.iter().filter_map(|visit| Some(visit.outcome.payment?.1));
    let whole = arrived.iter().map(|visit| visit.latency());
    outcome
        .row(Row::new("journey", arrived.len(), elapsed, whole).answered(history.answers()))
        .row(Row::new("its hold", visits.len(), elapsed, visits.iter().map(|visit| visit.outcome.hold_took)))
        .row(Row::new("its payment", pays().count(), elapsed, pays()))
}
