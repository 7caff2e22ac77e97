//! A hot sale that ends unpaid while Stripe's cancel does not work: thousands of payments are begun, the holds run out, and no
//! intent can be closed. Meanwhile buyers of another show come on their own, one a second, and must not feel it.

use std::time::Duration;

use bson::{Document, doc};
use common::id::TicketId;
use futures::future::try_join_all;
use serde_json::json;

use super::visits::{Hold, Journey, Travelled, held, latencies};
use crate::Result;
use crate::http::{Call, Connection};
use crate::load::{Arrivals, Flood, Until, Visit, closed, open, span};
use crate::platform::begin_to_pay;
use crate::report::{Outcome, Row};
use crate::run::Bench;
use crate::timing::{eventually, now};

const SEED: u64 = 15_082_026;

/// How many begin to pay at a time, and how many buyers of the other show come in a second.
const WORKERS: usize = 64;
const OTHERS: f64 = 1.0;

/// A buyer of another show waits no longer than this for the answer to a payment.
const BOUND: Duration = Duration::from_secs(2);

/// How long the ends may take once cancel works.
const AFTERWARDS: Duration = Duration::from_mins(5);

pub(super) async fn run(bench: &Bench<'_>) -> Result<Outcome> {
    let sizes = bench.sizes;
    let hot = bench.listings(1, u32::try_from(sizes.unpaid)?).await?;
    let hold = Hold { buyers: bench.mint.buyers(sizes.unpaid).await?, tickets: hot.clone() };
    let begun = closed(bench.platform.address, WORKERS, Until::Count(sizes.unpaid), Begin(hold)).await?;
    let opened = begun.iter().filter(|visit| visit.outcome).count();
    let row = Row::new("begin to pay", opened, span(&begun), latencies(&begun, |opened| *opened));
    let mut outcome = Outcome::new("unpaid").row(row);
    if opened < sizes.unpaid {
        outcome = outcome.violation(format!("only {opened} of {} could begin to pay", sizes.unpaid));
    }

    fail_cancels(bench).await?;
    let outage = Duration::from_secs(sizes.outage_seconds);
    let (others, most) = tokio::try_join!(others_pay(bench, outage), most_waiting(bench, outage))?;
    work_again(bench).await?;
    let works = now();
    let free = eventually("all places of the unpaid sale are free", AFTERWARDS, || free(bench, hot[0])).await;
    outcome = judge(outcome, &others)
        .figure("most intents to cancel", most)
        .figure("free after, s", works.elapsed().as_secs_f64());
    Ok(free.err().into_iter().fold(outcome, |outcome, error| outcome.violation(error.to_string())))
}

/// Buyers of another show come, hold, pay and wait for their pass.
async fn others_pay(bench: &Bench<'_>, outage: Duration) -> Result<Flood<Travelled>> {
    let arrivals = Arrivals::poisson(OTHERS, outage, SEED);
    let others = Hold {
        tickets: bench.listings(1, u32::try_from(arrivals.len())?).await?,
        buyers: bench.mint.buyers(arrivals.len()).await?,
    };
    open(bench.platform.address, bench.sizes.connections, arrivals, bench.sizes.length(), Journey(others)).await
}

fn judge(mut outcome: Outcome, others: &Flood<Travelled>) -> Outcome {
    let pays: Vec<Duration> = others.visits.iter().filter_map(|visit| Some(visit.outcome.payment?.1)).collect();
    let slowest = pays.iter().max().copied().unwrap_or_default();
    if slowest > BOUND {
        outcome = outcome.violation(format!("a buyer of another show waited {slowest:?} to pay"));
    }
    let arrived = others.visits.iter().filter(|visit| visit.outcome.arrived).count();
    let came = others.visits.len() + others.unsent;
    if arrived < came {
        outcome = outcome.violation(format!("only {arrived} of {came} buyers of another show have their pass"));
    }
    outcome.row(Row::new("others pay", pays.len(), span(&others.visits), pays.into_iter()))
}

/// Each buyer holds a place and opens the page where a card is asked for.
struct Begin(Hold);

impl Visit for Begin {
    /// Whether the payment was begun.
    type Outcome = bool;

    async fn visit(&self, connection: &mut Connection, nth: usize) -> bool {
        let (buyer, ticket) = self.0.of(nth);
        let Some(order) = held(connection, buyer, ticket).await.answer.order() else { return false };
        connection.send(&begin_to_pay(buyer, order)).await.is_ok_and(|answer| answer.status == 201)
    }
}

/// Every cancel hangs for three seconds and is then answered by nobody.
async fn fail_cancels(bench: &Bench<'_>) -> Result {
    let fault = json!({ "count": u32::MAX, "method": "POST", "path": "/cancel", "kind": "hang", "hang_ms": 3_000,
        "when": "before" });
    stand_in(bench, &Call::post("/test/faults", fault.to_string())).await
}

async fn work_again(bench: &Bench<'_>) -> Result {
    stand_in(bench, &Call::delete("/test/faults")).await
}

async fn stand_in(bench: &Bench<'_>, call: &Call) -> Result {
    let answer = Connection::to(bench.docket.stripe).send(call).await?;
    if answer.status == 204 { Ok(()) } else { Err(format!("the stand-in answered {}", answer.status).into()) }
}

/// Looks each five seconds how many intents wait for their cancel, and answers with the most.
async fn most_waiting(bench: &Bench<'_>, length: Duration) -> Result<f64> {
    const EVERY: Duration = Duration::from_secs(5);
    let payments = bench.docket.mongodb.database("docket_payments").collection::<Document>("payments");
    let looks = (1..=length.as_secs() / EVERY.as_secs()).map(|nth| {
        let payments = payments.clone();
        async move {
            tokio::time::sleep(EVERY * u32::try_from(nth)?).await;
            Result::<u64>::Ok(payments.count_documents(doc! { "state": "cancelling" }).await?)
        }
    });
    let found = try_join_all(looks).await?;
    Ok(u32::try_from(found.into_iter().max().unwrap_or_default())?.into())
}

async fn free(bench: &Bench<'_>, ticket: TicketId) -> Option<()> {
    let counts = bench.platform.counts(ticket).await.ok()?;
    (counts.held == 0 && counts.sold == 0).then_some(())
}
