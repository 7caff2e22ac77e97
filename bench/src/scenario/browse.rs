//! Most people look, few buy.

use common::id::TicketId;

use super::meter::Meter;
use super::visits::{Hold, history, latencies};
use crate::Result;
use crate::history::Attempt;
use crate::http::{Call, Connection};
use crate::load::{Timed, Until, Visit, closed, span};
use crate::observe::{settle, verify};
use crate::platform::ticket_page;
use crate::report::{Outcome, Row};
use crate::run::Bench;

/// Of so many requests one is a hold.
const LOOKS_PER_HOLD: usize = 20;

/// People who may buy; some do twice.
const BUYERS: usize = 5_000;

const CAPACITY: u32 = 100_000;

struct Browse {
    hold: Hold,
    list: Call,
    pages: Vec<Call>,
}

#[derive(Clone, Copy)]
enum Browsed {
    Looked(u16),
    Wanted(Attempt),
}

impl Visit for Browse {
    type Outcome = Browsed;

    async fn visit(&self, connection: &mut Connection, nth: usize) -> Browsed {
        if nth.is_multiple_of(LOOKS_PER_HOLD) {
            return Browsed::Wanted(self.hold.visit(connection, nth / LOOKS_PER_HOLD).await);
        }
        let look = if nth.is_multiple_of(2) { &self.list } else { &self.pages[nth % self.pages.len()] };
        Browsed::Looked(connection.send(look).await.map_or(0, |answer| answer.status))
    }
}

pub(super) async fn run(bench: &Bench<'_>) -> Result<Outcome> {
    let sizes = bench.sizes;
    let tickets = bench.listings(sizes.listings, CAPACITY).await?;
    let visit = browse(bench, &tickets).await?;
    let meter = Meter::start(bench.docket).await?;
    let visits = closed(bench.platform.address, sizes.workers, Until::Elapsed(sizes.length()), visit).await?;
    let attempts: Vec<Attempt> = visits.iter().filter_map(|visit| wanted(&visit.outcome)).collect();
    let history = history(&tickets, CAPACITY, attempts.iter());
    settle(bench, &history).await;
    let cost = meter.stop(bench.docket, history.orders()).await?;
    let looks = latencies(&visits, |it| wanted(it).is_none());
    let holds = latencies(&visits, |it| wanted(it).is_some());
    let outcome = Outcome::new("browse")
        .row(Row::new("all requests", visits.len(), span(&visits), latencies(&visits, |_| true)))
        .row(Row::new("looks", visits.len() - attempts.len(), span(&visits), looks))
        .row(Row::new("holds", attempts.len(), span(&visits), holds).answered(history.answers()));
    let failed = failed_looks(&visits);
    let outcome = outcome.cost(cost).violations(verify(bench, &history).await?);
    Ok(if failed == 0 { outcome } else { outcome.violation(format!("{failed} looks were not answered with 200")) })
}

async fn browse(bench: &Bench<'_>, tickets: &[TicketId]) -> Result<Browse> {
    let hold = Hold { buyers: bench.mint.buyers(BUYERS).await?, tickets: tickets.to_vec() };
    let pages = tickets.iter().map(|ticket| ticket_page(*ticket)).collect();
    Ok(Browse { hold, list: Call::get("/api/tickets"), pages })
}

fn wanted(browsed: &Browsed) -> Option<Attempt> {
    match browsed {
        Browsed::Wanted(attempt) => Some(*attempt),
        Browsed::Looked(_) => None,
    }
}

fn failed_looks(visits: &[Timed<Browsed>]) -> usize {
    visits.iter().filter(|visit| matches!(visit.outcome, Browsed::Looked(status) if status != 200)).count()
}
