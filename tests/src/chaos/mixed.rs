//! Mixed versions: people buy while the processes of a Docket are replaced, one after the other, by those of another build.
//!
//! Two of each service share its work (of auth there is one). The first of each pair is replaced, then both builds work on one
//! database and one broker for a while, then the second is replaced. People hold, pay, let holds expire, cancel, get refunds and
//! are let in all the time. When only the build that stays is left, all comes to rest, and the checker of chaos decides: nothing
//! is lost, oversold or kept, nothing became a dead letter, and what a build had set aside for the other one is handled.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::clock::{Clock, SystemClock};
use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use super::buyers::{self, Notes};
use super::checker::{Rule, Violation};
use super::doors::Asked;
use super::history::History;
use super::member::Member;
use super::nemesis::Felt;
use super::plan::{Length, Plan};
use super::servers::Broker;
use super::world::World;
use super::{Report, listings, rest};
use crate::binaries::{Build, ops_of};
use crate::person::Person;
use crate::wait::pause;

/// Two of each service; auth comes first, as all others ask it for its keys.
const PAIRS: [&str; 9] = [
    "auth",
    "expiration-1",
    "payments-1",
    "tickets-1",
    "orders-1",
    "expiration-2",
    "payments-2",
    "tickets-2",
    "orders-2",
];

/// The places of each listing: enough for all who buy while builds are replaced.
const PLACES: u32 = 200;

/// How long both builds work side by side.
const SIDE_BY_SIDE: Duration = Duration::from_secs(10);

/// The doorman lets in the passes of each order whose turn this is; the others may still be given back.
const LET_IN_EACH: usize = 3;
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);

/// How long it takes at the most until a build that has just started has looked at what was set aside and has measured that.
const HANDLED_WITHIN: u32 = 90;

/// From one build to another, and to the one that stays.
#[derive(Clone, Copy, Debug)]
pub struct Change<'b> {
    /// What it is called.
    pub name: &'static str,
    /// The build that takes the place of the present one under load.
    pub to: &'b Build,
    /// The build that runs in the end, when nobody buys any more.
    pub stays: &'b Build,
}

/// A pass that was let in.
type Admitted = BTreeSet<(String, u64)>;

/// Starts a world of one build, with two of each service.
///
/// # Errors
/// What did not start.
pub async fn start(folder: &Path, build: &Build) -> Result<World, String> {
    World::of(folder, Broker::Single, &PAIRS, build).await
}

/// Replaces the build of a world under load.
///
/// # Errors
/// What keeps it from beginning, or a process that does not get ready.
pub async fn run(world: &World, seed: u64, change: Change<'_>) -> Result<Report, String> {
    let (plan, notes) = (plan(seed), Notes::default());
    let tickets = listings(world, &notes, &plan).await?;
    let capacities = tickets.iter().cloned().zip(plan.capacities.iter().copied()).collect();
    let mut history = History { capacities, insisted: true, ..History::default() };
    let (is_over, began) = (AtomicBool::new(false), SystemClock.now());
    let replacing = async {
        let replaced = replace(world, change.to).await;
        is_over.store(true, Ordering::Relaxed);
        replaced
    };
    let load = load(world, &notes, &tickets, seed, &is_over);
    let ((), admitted, replaced) = tokio::join!(load, let_in(world, &tickets, &is_over), replacing);
    replaced?;
    if change.stays != change.to {
        replace(world, change.stays).await?;
    }
    let harmed = SystemClock.now();
    buyers::insist(world, &notes, true).await;
    history.calls = notes.take();
    let mut violations = rest::rest(world, &mut history, rest::REST_WITHIN).await;
    violations.extend(admitted_again(world, &history, &admitted).await);
    violations.extend(set_aside(world).await);
    world.remember(history.end.orders.keys());
    let to_rest = SystemClock.now().since(harmed);
    let faults = format!("{}, {} passes let in", change.name, admitted.len());
    let felt = Felt::default();
    Ok(Report { seed, faults, felt, history, violations, harmed: harmed.since(began), to_rest })
}

/// What people want, while nothing but the build changes.
fn plan(seed: u64) -> Plan {
    let plan = Plan::of(seed, Length::Short);
    Plan { capacities: vec![PLACES; plan.capacities.len()], faults: Vec::new(), ..plan }
}

/// People buy until all processes are replaced.
async fn load(world: &World, notes: &Notes, tickets: &[String], seed: u64, is_over: &AtomicBool) {
    let run = SystemClock.now().millis();
    for nth in 0.. {
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        buyers::buy(world, notes, tickets, &plan(seed + nth), &format!("{seed}-{run}-{nth}")).await;
    }
}

/// The first of each pair, then auth and the second.
async fn replace(world: &World, build: &Build) -> Result<(), String> {
    let is_second = |member: &&Member| member.service() == "auth" || member.name.ends_with("-2");
    let (second, first): (Vec<&Member>, Vec<&Member>) = world.members.iter().partition(is_second);
    for member in first {
        member.replace(build).await?;
    }
    pause(SIDE_BY_SIDE).await;
    for member in second {
        member.replace(build).await?;
    }
    Ok(())
}

async fn ask(world: &World, who: &Person, method: Method, path: &str, body: Value) -> Option<Value> {
    let answer = world.doors.ask(who, Asked { method, path, key: None, tag: None, body }).await.ok()?;
    (answer.status == 200).then_some(answer.body)
}

fn items(page: Option<Value>) -> Vec<Value> {
    page.and_then(|mut page| page["items"].as_array_mut().map(std::mem::take)).unwrap_or_default()
}

/// The seller lets in those of every third paid order until nobody buys any more; all who were let in.
async fn let_in(world: &World, tickets: &[String], is_over: &AtomicBool) -> Admitted {
    let (mut seen, mut admitted) = (BTreeSet::new(), Admitted::new());
    while !is_over.load(Ordering::Relaxed) {
        for buyer in &world.buyers {
            let orders = items(ask(world, buyer, Method::GET, "/api/orders?limit=20", Value::Null).await);
            let is_ours = |order: &&Value| tickets.iter().any(|ticket| order["ticketId"] == **ticket);
            for order in orders.iter().filter(is_ours).filter(|order| order["status"] == "complete") {
                let id = order["id"].as_str().unwrap_or_default().to_owned();
                if seen.insert(id.clone()) && seen.len() % LET_IN_EACH == 0 {
                    admitted.extend(admit(world, buyer, id).await);
                }
            }
        }
        pause(BETWEEN_LOOKS).await;
    }
    admitted
}

async fn admit(world: &World, buyer: &Person, order: String) -> Admitted {
    let passes = items(ask(world, buyer, Method::GET, &format!("/api/orders/{order}/passes"), Value::Null).await);
    let scans = passes.iter().map(|pass| {
        let scan = json!({ "code": pass["code"], "place": "North door" });
        ask(world, &world.seller, Method::POST, "/api/passes/check-in", scan)
    });
    let let_in = join_all(scans).await.into_iter().flatten();
    let_in.filter_map(|pass| Some((order.clone(), pass["number"].as_u64()?))).collect()
}

/// Who was let in and has kept the order has a pass that is used.
async fn admitted_again(world: &World, history: &History, admitted: &Admitted) -> Vec<Violation> {
    let mut orders: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
    admitted.iter().for_each(|(order, number)| {
        orders.entry(order).or_default().insert(*number);
    });
    let mut found = Vec::new();
    for (order, numbers) in orders {
        let Some(end) = history.end.orders.get(order).filter(|end| end.status == "complete") else { continue };
        let path = format!("/api/orders/{order}/passes");
        let passes = items(ask(world, &world.buyers[end.buyer], Method::GET, &path, Value::Null).await);
        let used = passes.iter().filter(|pass| !pass["checkedInAt"].is_null());
        let used: BTreeSet<u64> = used.filter_map(|pass| pass["number"].as_u64()).collect();
        if !used.is_superset(&numbers) {
            let seen = format!("of order {order}, {numbers:?} were let in, but used are {used:?}");
            found.push(Violation { rule: Rule::CheckInKept, seen });
        }
    }
    found
}

/// What the build that stays has not taken up again, although it knows all that was set aside.
async fn set_aside(world: &World) -> Option<Violation> {
    let mut left = Vec::new();
    for _ in 0..HANDLED_WITHIN {
        left.clear();
        for member in &world.members {
            let metrics = ops_of(&member.ops(), "/metrics").await.map(|(_, text)| text).unwrap_or_default();
            left.extend(parked(&metrics).map(|line| format!("{}: {line}", member.name)));
        }
        if left.is_empty() {
            return None;
        }
        pause(Duration::from_secs(1)).await;
    }
    Some(Violation { rule: Rule::ComesToRest, seen: format!("events are set aside still: {}", left.join("; ")) })
}

/// The lines of parked events that are not zero.
fn parked(metrics: &str) -> impl Iterator<Item = &str> {
    let is_zero = |line: &str| line.rsplit(' ').next().and_then(|count| count.parse::<f64>().ok()) == Some(0.0);
    metrics.lines().filter(|line| line.starts_with("parked_events{")).filter(move |line| !is_zero(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_aside_is_read_from_the_metrics() {
        let metrics = "# TYPE parked_events gauge\nparked_events{cause=\"early\"} 0\nparked_events{cause=\"unknown\"} 2\n\
            parked_events_longest_wait_seconds{cause=\"unknown\"} 7\n";
        assert_eq!(parked(metrics).collect::<Vec<_>>(), ["parked_events{cause=\"unknown\"} 2"]);
    }

    #[test]
    fn nothing_but_the_build_changes_and_there_are_places_for_all() {
        let plan = plan(7);
        assert!(plan.faults.is_empty() && plan.capacities.iter().all(|capacity| *capacity == PLACES));
    }
}
