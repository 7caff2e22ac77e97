//! Waiting until all has come to rest, and what everybody sees then; behind the API it looks only for what still waits, and at
//! the counts of the inventories.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use common::clock::{Clock, SystemClock};
use docket_stripe::Options as BankOptions;
use futures::{StreamExt, stream};
use reqwest::Method;
use serde_json::{Value, json};

use super::behind;
use super::buyers::places;
use super::checker::{Rule, Violation, check};
use super::doors::Asked;
use super::history::{Charge, History, OrderSeen, Outcome, Shown, Snapshot, Wish};
use super::world::World;
use crate::person::Person;
use crate::wait::pause;

const LOOK_EVERY: Duration = Duration::from_millis(400);
const SIDE_BY_SIDE: usize = 8;

/// How long it may take. What a killed process had taken from the bus comes again after half a minute, and what came
/// before its predecessor waits for it up to another half.
pub(crate) const REST_WITHIN: Duration = Duration::from_secs(100);

/// The same after a fault of 25 s: what failed for so long is tried again after up to a minute, and a refund whose key is
/// spent goes on under another within two.
pub(crate) const REST_WITHIN_AFTER_LONG: Duration = Duration::from_secs(200);

/// Looks until two looks in a row see the same, and nothing that is wrong; or for as long as it may take, but no longer
/// where no time can heal what was seen. The last look stands in the history then.
pub(crate) async fn rest(world: &World, history: &mut History, within: Duration) -> Vec<Violation> {
    let until = SystemClock.now() + within;
    let mut deaths = Vec::new();
    loop {
        decide_at_bank(world).await;
        let seen = look(world, history).await;
        for member in &world.members {
            deaths.extend(member.take_deaths().await);
        }
        let violations = match seen {
            Err(why) => vec![Violation { rule: Rule::ComesToRest, seen: why }],
            Ok(mut seen) => {
                seen.deaths.clone_from(&deaths);
                let same = seen == history.end;
                history.end = seen;
                let violations = check(history);
                let is_past_healing = violations.iter().any(|violation| violation.rule == Rule::NeverOversold);
                if (violations.is_empty() && same) || is_past_healing {
                    return violations;
                }
                violations
            }
        };
        if SystemClock.now() > until {
            return violations;
        }
        pause(LOOK_EVERY).await;
    }
}

/// A bank decides in the end, also where its customer has not heard that it was asked.
async fn decide_at_bank(world: &World) {
    let charges = world.bank_lever("/test/charges", Value::Null).await;
    for charge in items(&charges["charges"]).filter(|charge| charge["status"] == "pending") {
        if let Some(intent) = charge["payment_intent"].as_str() {
            let verdict = json!({ "outcome": "succeeded" });
            world.bank_lever(&format!("/test/payment_intents/{intent}/settle"), verdict).await;
        }
    }
}

fn items(array: &Value) -> impl Iterator<Item = &Value> {
    array.as_array().into_iter().flatten()
}

async fn look(world: &World, history: &History) -> Result<Snapshot, String> {
    let mut snapshot = Snapshot::default();
    for (who, orders) in listed(world, history).await? {
        snapshot.listed.insert(who, orders.iter().map(|(order, _)| order.clone()).collect());
        snapshot.in_lists.extend(orders);
    }
    snapshot.orders = orders(world, history, &snapshot.listed).await?;
    for ticket in history.capacities.keys() {
        let page = get(world, &world.seller, &format!("/api/tickets/{ticket}")).await?.unwrap_or_default();
        snapshot.tickets.insert(ticket.clone(), places(&page).unwrap_or_default());
        snapshot.shows.insert(ticket.clone(), Shown::in_body(&page).now);
    }
    snapshot.inventories = behind::inventories(world, history).await?;
    for (id, (admitted, inside)) in behind::guests(world, history).await? {
        snapshot.orders.entry(id).and_modify(|order| (order.admitted, order.inside) = (admitted, inside));
    }
    snapshot.waiting = behind::waiting(world).await?;
    snapshot.charges = charges(world, &snapshot.orders).await;
    snapshot.dead_letters = behind::dead_letters(world).await?;
    Ok(snapshot)
}

/// An answer with 200, or nothing for one with 404; all else is a reason to look again.
async fn get(world: &World, who: &Person, path: &str) -> Result<Option<Value>, String> {
    let answer =
        world.doors.ask(who, Asked { method: Method::GET, path, key: None, tag: None, body: Value::Null }).await?;
    match answer.status {
        200 => Ok(Some(answer.body)),
        404 => Ok(None),
        status => Err(format!("{path} answers {status}: {}", answer.body)),
    }
}

/// The orders in the buyers' lists, with what these say of the shows.
async fn listed(world: &World, history: &History) -> Result<BTreeMap<usize, Vec<(String, Shown)>>, String> {
    let lists = stream::iter(world.buyers.iter().enumerate()).map(|(who, buyer)| async move {
        let mut orders = Vec::new();
        let mut path = Some("/api/orders?limit=100".to_owned());
        while let Some(page) = path.take() {
            let page = get(world, buyer, &page).await?.unwrap_or_default();
            let ours = items(&page["items"]).filter(|order| is_of(history, order));
            orders.extend(ours.map(|order| (text(order, "id"), Shown::in_body(order))));
            path = page["nextCursor"].as_str().map(|cursor| format!("/api/orders?limit=100&cursor={cursor}"));
        }
        Ok::<_, String>((who, orders))
    });
    lists.buffer_unordered(SIDE_BY_SIDE).collect::<Vec<_>>().await.into_iter().collect()
}

/// Whether an order belongs to this run and not to an earlier one.
fn is_of(history: &History, order: &Value) -> bool {
    order["ticketId"].as_str().is_some_and(|ticket| history.capacities.contains_key(ticket))
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_default().to_owned()
}

async fn orders(
    world: &World,
    history: &History,
    listed: &BTreeMap<usize, Vec<String>>,
) -> Result<BTreeMap<String, OrderSeen>, String> {
    let promised = history.calls.iter().filter_map(|call| match (&call.wish, &call.outcome) {
        (Wish::Hold { .. }, Outcome::Acknowledged(said)) => Some((call.who, said.id.clone())),
        _ => None,
    });
    let shown = listed.iter().flat_map(|(who, orders)| orders.iter().map(|order| (*who, order.clone())));
    let wanted: BTreeSet<(usize, String)> = promised.chain(shown).collect();
    let seen = stream::iter(wanted).map(|(who, id)| async move {
        let Some(order) = get(world, &world.buyers[who], &format!("/api/orders/{id}")).await? else { return Ok(None) };
        let passes = get(world, &world.buyers[who], &format!("/api/orders/{id}/passes")).await?.unwrap_or_default();
        Ok::<_, String>(Some((id, order_seen(who, &order, items(&passes["items"]).count()))))
    });
    let seen: Vec<_> = seen.buffer_unordered(SIDE_BY_SIDE).collect().await;
    seen.into_iter().filter_map(Result::transpose).collect()
}

fn order_seen(who: usize, order: &Value, passes: usize) -> OrderSeen {
    OrderSeen {
        buyer: who,
        ticket: text(order, "ticketId"),
        quantity: order["quantity"].as_u64().and_then(|quantity| u32::try_from(quantity).ok()).unwrap_or_default(),
        // Two decimals, as dollars have.
        total: text(order, "total").replace('.', "").parse().unwrap_or_default(),
        status: text(order, "status"),
        passes: u32::try_from(passes).unwrap_or(u32::MAX),
        shown: Shown::in_body(order),
        admitted: 0,
        inside: 0,
    }
}

/// All that came in for this run's orders, or for orders that nobody knows.
async fn charges(world: &World, orders: &BTreeMap<String, OrderSeen>) -> Vec<Charge> {
    let books = world.bank_lever("/test/charges", Value::Null).await;
    let refunds = refunds(world, &books).await;
    let ours = |charge: &&Value| {
        let order = charge["metadata"]["order"].as_str().unwrap_or_default();
        charge["status"] == "succeeded" && (orders.contains_key(order) || !world.is_known(order))
    };
    let charges = items(&books["charges"]).filter(ours).map(|charge| Charge {
        order: text(&charge["metadata"], "order"),
        captured: charge["amount"].as_i64().unwrap_or_default(),
        returned: [&charge["amount_refunded"], &charge["charged_back"]].iter().filter_map(|sum| sum.as_i64()).sum(),
        refunds: refunds.get(&text(charge, "id")).cloned().unwrap_or_default(),
    });
    charges.collect()
}

/// What went back of each charge with each of its refunds, or a dispute that was lost, the least first.
async fn refunds(world: &World, books: &Value) -> BTreeMap<String, Vec<i64>> {
    let bank = Person::visitor(&world.bank.base_url());
    let key = format!("Bearer {}", BankOptions::default().secret_key);
    let mut amounts: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    let mut path = Some("/v1/refunds?limit=100".to_owned());
    for charge in items(&books["charges"]).filter(|charge| charge["charged_back"] != 0) {
        amounts.entry(text(charge, "id")).or_default().extend(charge["charged_back"].as_i64());
    }
    while let Some(page) = path.take() {
        let page = bank.send(Method::GET, &page, &[("Authorization", &key)], Value::Null).await.body;
        for refund in items(&page["data"]).filter(|refund| refund["status"] == "succeeded") {
            amounts.entry(text(refund, "charge")).or_default().push(refund["amount"].as_i64().unwrap_or_default());
        }
        let last = items(&page["data"]).last().map(|refund| text(refund, "id"));
        path = last.filter(|_| page["has_more"] == true).map(|id| format!("/v1/refunds?limit=100&starting_after={id}"));
    }
    amounts.values_mut().for_each(|amounts| amounts.sort_unstable());
    amounts
}
