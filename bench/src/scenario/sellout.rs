//! Far more buyers than places. Each tries once; who got a place pays.

use std::collections::HashMap;

use super::meter::Meter;
use super::visits::{Hold, PayAll, history, latencies};
use crate::Result;
use crate::buyers::Buyer;
use crate::history::{Attempt, History, HoldAnswer};
use crate::load::{Timed, Until, closed, span};
use crate::observe::{paid, settle, verify};
use crate::report::{Outcome, Row};
use crate::run::Bench;

pub(super) async fn run(bench: &Bench<'_>) -> Result<Outcome> {
    let sizes = bench.sizes;
    let tickets = bench.listings(1, sizes.places).await?;
    let buyers = bench.mint.buyers(sizes.buyers).await?;
    let meter = Meter::start(bench.docket).await?;
    let visit = Hold { buyers: buyers.clone(), tickets: tickets.clone() };
    let visits = closed(bench.platform.address, sizes.sellout_workers, Until::Count(sizes.buyers), visit).await?;
    let mut history = history(&tickets, sizes.places, visits.iter().map(|visit| &visit.outcome));
    let outcome = rows(Outcome::new("sellout"), &visits, &history);
    let payments = pay(bench, &buyers, &mut history).await?;
    settle(bench, &history).await;
    let cost = meter.stop(bench.docket, history.orders()).await?;
    let outcome = outcome.row(payments).figure("places", sizes.places.into()).figure("sold", paid(&history) as f64);
    Ok(outcome.cost(cost).violations(verify(bench, &history).await?))
}

fn rows(outcome: Outcome, visits: &[Timed<Attempt>], history: &History) -> Outcome {
    let (wins, losses) = (|it: &Attempt| it.answer.order().is_some(), |it: &Attempt| it.answer == HoldAnswer::SoldOut);
    let sold_out = visits.iter().filter(|visit| wins(&visit.outcome)).map(|visit| visit.ended).max();
    let late: Vec<Timed<Attempt>> =
        visits.iter().filter(|visit| sold_out.is_some_and(|moment| visit.begun > moment)).copied().collect();
    let losers = late.iter().filter(|visit| losses(&visit.outcome)).count();
    outcome
        .row(
            Row::new("all buyers", visits.len(), span(visits), latencies(visits, |_| true)).answered(history.answers()),
        )
        .row(Row::new("winners", history.orders(), span(visits), latencies(visits, wins)))
        .row(Row::new("losers after", losers, span(&late), latencies(&late, losses)))
}

async fn pay(bench: &Bench<'_>, buyers: &[Buyer], history: &mut History) -> Result<Row> {
    let by_id: HashMap<_, _> = buyers.iter().map(|buyer| (buyer.id, buyer)).collect();
    let won = history
        .attempts
        .iter()
        .filter_map(|attempt| Some(((*by_id.get(&attempt.buyer)?).clone(), attempt.answer.order()?)));
    let visit = PayAll(won.collect());
    let count = Until::Count(visit.0.len());
    let visits = closed(bench.platform.address, bench.sizes.journey_workers, count, visit).await?;
    history.payments = visits.iter().map(|visit| visit.outcome).collect();
    Ok(Row::new("payments", visits.len(), span(&visits), latencies(&visits, |_| true)))
}
