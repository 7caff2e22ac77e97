//! As many refunds as keys: each part that the seller gives back goes back once, and what is left goes back once at the most.
//! The parts of an order differ, so that each refund at the bank shows which request made it.

use std::collections::BTreeMap;

use super::super::history::{OrderSeen, Outcome, Wish};
use super::{Facts, Findings, Rule, acknowledged};

pub(super) fn refunds(facts: &Facts<'_>, id: &str, order: &OrderSeen, found: &mut Findings) {
    let mut made: BTreeMap<i64, usize> = BTreeMap::new();
    for amount in facts.charges_of(id).iter().flat_map(|charge| &charge.refunds) {
        *made.entry(*amount).or_default() += 1;
    }
    let seen = || format!("order {id}, {order:?}, refunds {made:?}");
    let asked = asked(facts, id);
    let wrong = |(amount, times): (&i64, &usize)| *times > 1 && asked.contains(amount);
    if made.iter().any(wrong) {
        found.add(Rule::DoneOnce, format!("one request has made several refunds: {}", seen()));
    }
    let rest: usize = made.iter().filter(|(amount, _)| !asked.contains(amount)).map(|(_, times)| times).sum();
    if rest != usize::from(order.status == "refunded") {
        found.add(Rule::RefundKept, format!("{rest} refunds of what was left: {}", seen()));
    }
    for amount in promised(facts, id).filter(|amount| !made.contains_key(amount)) {
        found.add(Rule::RefundKept, format!("{amount} was to go back, and did not: {}", seen()));
    }
}

/// The parts that may have been given back.
fn asked(facts: &Facts<'_>, id: &str) -> Vec<i64> {
    let calls = facts.history.calls.iter();
    let calls = calls.filter(|call| !matches!(call.outcome, Outcome::Refused { .. }));
    calls.filter_map(|call| part(&call.wish, id)).collect()
}

/// The parts of which an answer says that they are.
fn promised<'f>(facts: &'f Facts<'_>, id: &'f str) -> impl Iterator<Item = i64> + 'f {
    acknowledged(facts.history).filter_map(move |(call, _)| part(&call.wish, id))
}

fn part(wish: &Wish, id: &str) -> Option<i64> {
    match wish {
        Wish::Refund { order, amount } if order == id => *amount,
        _ => None,
    }
}
