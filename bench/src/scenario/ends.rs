//! A sold-out listing whose holds all run out: how long after its deadline the last place is free again.

use std::time::Duration;

use super::visits::{Hold, history};
use crate::Result;
use crate::load::{Timed, Until, closed, span};
use crate::report::{Outcome, Row};
use crate::run::Bench;
use crate::timing::{eventually, now};

/// A place is free this long after its hold has ended.
const BOUND: Duration = Duration::from_secs(30);

pub(super) async fn run(bench: &Bench<'_>) -> Result<Outcome> {
    let sizes = bench.sizes;
    let tickets = bench.listings(1, u32::try_from(sizes.ends)?).await?;
    let hold = Hold { buyers: bench.mint.buyers(sizes.ends).await?, tickets: tickets.clone() };
    let visits = closed(bench.platform.address, sizes.workers, Until::Count(sizes.ends), hold).await?;
    let history = history(&tickets, u32::try_from(sizes.ends)?, visits.iter().map(|visit| &visit.outcome));
    let last = visits.iter().map(|visit| visit.ended).max().ok_or("nobody held a place")? + bench.docket.hold;
    let limit = last.duration_since(now()) + 4 * BOUND;
    let all_free = eventually("all places are free", limit, || async {
        let counts = bench.platform.counts(tickets[0]).await.ok()?;
        (counts.held == 0).then_some(())
    })
    .await;
    let late = now().duration_since(last);
    let held = visits.iter().map(Timed::latency);
    let row = Row::new("hold", history.orders(), span(&visits), held).answered(history.answers());
    let mut outcome = Outcome::new("ends").row(row).figure("free after the last deadline, s", late.as_secs_f64());
    if let Err(error) = all_free {
        outcome = outcome.violation(error.to_string());
    } else if late > BOUND {
        outcome = outcome.violation(format!("the last place was free {late:?} after its deadline"));
    }
    Ok(outcome)
}
