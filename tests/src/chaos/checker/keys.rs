//! What a request with an `Idempotency-Key` makes is made once at the most, and who repeats it gets an answer in the end.

use std::collections::{BTreeMap, BTreeSet};

use super::super::history::{Call, IN_PROGRESS, Outcome, Wish};
use super::{Facts, Findings, Rule, acknowledged};

pub(super) fn keys(facts: &Facts<'_>, found: &mut Findings) {
    let mut requests: BTreeMap<&str, Vec<&Call>> = BTreeMap::new();
    for call in &facts.history.calls {
        if let Some(key) = call.key.as_deref() {
            requests.entry(key).or_default().push(call);
        }
    }
    for (key, calls) in &requests {
        let (times, last) = (calls.len(), calls.last());
        let may_wait = !facts.history.insisted && last.is_some_and(|call| is_in_progress(call));
        if calls.iter().all(|call| is_unanswered(call)) && !may_wait {
            found.add(Rule::Answered, format!("request {key} was made {times} times without an answer: {last:?}"));
        }
        let made: BTreeSet<&str> = calls.iter().filter_map(|call| made(call)).collect();
        if made.len() > 1 {
            found.add(Rule::DoneOnce, format!("request {key} has made several orders: {made:?}"));
        }
    }
    strays(facts, &requests, found);
}

fn is_unanswered(call: &Call) -> bool {
    matches!(call.outcome, Outcome::Unknown(_))
}

fn is_in_progress(call: &Call) -> bool {
    matches!(&call.outcome, Outcome::Unknown(why) if why == IN_PROGRESS)
}

/// The order that a hold was answered with.
fn made(call: &Call) -> Option<&str> {
    match (&call.wish, &call.outcome) {
        (Wish::Hold { .. }, Outcome::Acknowledged(said)) => Some(&said.id),
        _ => None,
    }
}

/// Orders that no answer has promised: only a request that never was granted, and was left without an answer once, may have
/// made one, and no more than one.
fn strays(facts: &Facts<'_>, requests: &BTreeMap<&str, Vec<&Call>>, found: &mut Findings) {
    let mut unanswered: BTreeMap<(usize, &str, u32), usize> = BTreeMap::new();
    for calls in requests.values().filter(|calls| calls.iter().all(|call| made(call).is_none())) {
        let Some(call) = calls.iter().find(|call| is_unanswered(call)) else { continue };
        if let Wish::Hold { ticket, quantity } = &call.wish {
            *unanswered.entry((call.who, ticket, *quantity)).or_default() += 1;
        }
    }
    let promised: BTreeSet<&str> = acknowledged(facts.history).filter_map(|(call, _)| made(call)).collect();
    for (id, order) in facts.history.end.orders.iter().filter(|(id, _)| !promised.contains(id.as_str())) {
        match unanswered.get_mut(&(order.buyer, order.ticket.as_str(), order.quantity)) {
            Some(left @ 1..) => *left -= 1,
            _ => found.add(Rule::OrderWanted, format!("nobody asked for order {id}: {order:?}")),
        }
    }
    for order in facts.charges.keys().filter(|order| !facts.history.end.orders.contains_key(**order)) {
        found.add(Rule::MoneyHasPasses, format!("the bank has money for order {order}, which is not found"));
    }
}
