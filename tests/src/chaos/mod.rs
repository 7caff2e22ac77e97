//! Chaos: people buy while servers and processes fail, by a plan that one seed gives; then everything is healed, and a
//! checker decides from the answers alone whether every promise was kept.

mod behind;
mod buyers;
pub mod checker;
mod disorder;
mod doors;
mod faults;
pub mod history;
mod member;
pub mod mixed;
mod moves;
mod nemesis;
mod plan;
mod rest;
mod server_faults;
mod servers;
mod slow_peers;
mod small_disk;
mod world;

use std::collections::BTreeMap;
use std::time::Duration;

use common::clock::{Clock, SystemClock};
use serde_json::{Value, json};

pub use nemesis::Felt;
pub use plan::Length;
pub use servers::{Broker, Equipment};
pub use small_disk::{fill_disk, make_room};
pub use world::World;

use buyers::Notes;
use checker::{Rule, Violation};
use history::{Call, History, Outcome, Wish};
use plan::Plan;

/// In the run of every so many seeds everybody insists on an answer for as long as a killed process's lease may last.
const INSISTED_EACH: u64 = 4;

/// What came of a run.
#[derive(Debug)]
pub struct Report {
    /// Its seed.
    pub seed: u64,
    /// What went wrong.
    pub faults: String,
    /// What of it was felt.
    pub felt: Felt,
    /// Everything the checker knew.
    pub history: History,
    /// The broken promises.
    pub violations: Vec<Violation>,
    /// How long people bought while things went wrong.
    pub harmed: Duration,
    /// How long it took after that until all had come to rest.
    pub to_rest: Duration,
}

/// Runs a seed in a world that is well.
///
/// # Errors
/// What keeps the run from beginning; nothing is said about promises then.
pub async fn run(world: &World, seed: u64, length: Length) -> Result<Report, String> {
    let mut plan = if world.is_mixed() { Plan::mixed(seed, length) } else { Plan::of(seed, length) };
    plan.faults.extend(server_faults::planned(seed, length, world.equipment()));
    let notes = Notes::default();
    let tickets = listings(world, &notes, &plan).await?;
    let capacities = tickets.iter().cloned().zip(plan.capacities.iter().copied()).collect();
    let insisted = seed.is_multiple_of(INSISTED_EACH);
    let mut history = History { capacities, skew_ms: plan.skew_ms(), insisted, ..History::default() };
    let began = SystemClock.now();
    let label = format!("{seed}-{}", began.millis());
    let bought = buyers::buy(world, &notes, &tickets, &plan, &label);
    let moved = moves::move_shows(world, &notes, &tickets, &plan);
    let ((), (), felt) = tokio::join!(bought, moved, nemesis::harm(world, &plan));
    let harmed = SystemClock.now();
    let healed = nemesis::heal(world).await;
    if healed.is_ok() {
        buyers::insist(world, &notes, history.insisted).await;
    }
    history.calls = notes.take();
    let within = if length == Length::Short { rest::REST_WITHIN } else { rest::REST_WITHIN_AFTER_LONG };
    let violations = match healed {
        Ok(()) => rest::rest(world, &mut history, within).await,
        Err(why) => vec![Violation { rule: Rule::ComesToRest, seen: why }],
    };
    world.remember(history.end.orders.keys());
    let to_rest = SystemClock.now().since(harmed);
    for member in &world.members {
        member.set_clock_right().await;
    }
    let faults = plan.faults.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let faults = format!("{faults} webhooks-{:?}", plan.webhooks);
    Ok(Report { seed, faults, felt, history, violations, harmed: harmed.since(began), to_rest })
}

/// New listings, which orders knows already.
async fn listings(world: &World, notes: &Notes, plan: &Plan) -> Result<Vec<String>, String> {
    nemesis::heal(world).await?;
    // A build from before tokens told of confirmed addresses may have signed the one that the seller has.
    world.seller.post("/api/users/refresh", Value::Null).await;
    let mut tickets = Vec::new();
    for capacity in &plan.capacities {
        let show = moves::said(0);
        let mut listing = moves::listing(&show);
        listing["quantity"] = json!(capacity);
        let began = SystemClock.now();
        let made = world.seller.at(&world.doors.tickets[0]).list(listing).await;
        let id = made.body["id"].as_str().ok_or_else(|| format!("no listing was made: {}", made.body))?;
        let wish = Wish::Move { ticket: id.to_owned(), show };
        let outcome = buyers::judged(made.status, &made.body);
        notes.add(Call { who: 0, began, ended: SystemClock.now(), wish, key: None, outcome });
        tickets.push(id.to_owned());
    }
    Ok(tickets)
}

impl Report {
    /// How often each kind of wish was acknowledged, refused, and left without an answer.
    pub fn counts(&self) -> String {
        let mut counts: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
        for call in &self.history.calls {
            let name = match call.wish {
                Wish::Hold { .. } => "hold",
                Wish::Pay { .. } => "pay",
                Wish::Cancel { .. } => "cancel",
                Wish::Refund { .. } => "refund",
                Wish::Move { .. } => "move",
                Wish::CheckIn { .. } => "scan",
                Wish::Undo { .. } => "undo",
                Wish::LookAtOrder { .. } | Wish::LookAtTicket { .. } => continue,
            };
            let nth = match call.outcome {
                Outcome::Acknowledged(_) => 0,
                Outcome::Refused { .. } => 1,
                Outcome::Unknown(_) => 2,
            };
            counts.entry(name).or_default()[nth] += 1;
        }
        let shown = counts.iter().map(|(name, [done, refused, unknown])| format!("{name} {done}/{refused}/{unknown}"));
        shown.collect::<Vec<_>>().join(" ")
    }
}
