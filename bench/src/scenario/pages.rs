//! The start page, which asks the API for the first listings of a thousand, against that question alone.

use super::visits::{Look, latencies};
use crate::Result;
use crate::http::Call;
use crate::load::{Timed, Until, closed, span};
use crate::report::{Outcome, Row};
use crate::run::Bench;

const LISTINGS: usize = 1_000;

/// So few that none waits for another: what is measured is how long the server takes.
const READERS: usize = 2;

pub(super) async fn run(bench: &Bench<'_>) -> Result<Outcome> {
    bench.listings(LISTINGS, 100).await?;
    let page = Call::get("/").with("accept-language", "de-DE,de;q=0.9");
    let question = Call::get("/api/tickets?limit=24&search=&from=&to=");
    let (api, pages) = (read(bench, &question).await?, read(bench, &page).await?);
    let wrong = api.iter().chain(&pages).filter(|visit| visit.outcome != 200).count();
    let (api, page) = (row("its question to the API", &api), row("start page", &pages));
    let outcome = Outcome::new("pages").figure("ratio", page.latency.p50 / api.latency.p50).row(page).row(api);
    Ok(if wrong == 0 { outcome } else { outcome.violation(format!("{wrong} pages were not answered with 200")) })
}

async fn read(bench: &Bench<'_>, call: &Call) -> Result<Vec<Timed<u16>>> {
    closed(bench.platform.address, READERS, Until::Elapsed(bench.sizes.length()), Look(call.clone())).await
}

fn row(step: &str, visits: &[Timed<u16>]) -> Row {
    Row::new(step, visits.len(), span(visits), latencies(visits, |_| true))
}
