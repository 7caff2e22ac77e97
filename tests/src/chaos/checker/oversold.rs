//! Never oversold, at any time: at each moment the places that certainly were taken are no more than there are.

use std::collections::{BTreeMap, BTreeSet};

use common::clock::Time;

use super::super::history::{Call, History, Said, Wish};
use super::{Findings, NEVER, Rule, acknowledged};

/// A time in which an order certainly had its places.
struct Taken<'h> {
    order: &'h str,
    from: Time,
    until: Time,
    quantity: u32,
}

pub(super) fn oversold(history: &History, found: &mut Findings) {
    for (ticket, capacity) in &history.capacities {
        let taken = taken(history, ticket);
        let moments = taken.iter().map(|taken| taken.from);
        let most = moments.map(|at| (count(&taken, at), at)).max_by_key(|(count, _)| *count);
        if let Some((count, at)) = most.filter(|(count, _)| count > capacity) {
            let who: BTreeSet<&str> = at_once(&taken, at).map(|taken| taken.order).collect();
            let seen = format!("at {at} orders had {count} of the {capacity} places of ticket {ticket}: {who:?}");
            found.add(Rule::NeverOversold, seen);
        }
    }
}

fn at_once<'t, 'h>(taken: &'t [Taken<'h>], at: Time) -> impl Iterator<Item = &'t Taken<'h>> {
    taken.iter().filter(move |taken| taken.from <= at && at < taken.until)
}

fn count(taken: &[Taken<'_>], at: Time) -> u32 {
    // One order may be certain for two reasons at once.
    let by_order: BTreeMap<&str, u32> = at_once(taken, at).map(|taken| (taken.order, taken.quantity)).collect();
    by_order.into_values().sum()
}

/// An order has its places from the answer that granted them until its deadline, and from when it was first seen complete;
/// in both cases no longer than until somebody began to end it.
fn taken<'h>(history: &'h History, ticket: &str) -> Vec<Taken<'h>> {
    let mut taken = Vec::new();
    for (id, order) in history.end.orders.iter().filter(|(_, order)| order.ticket == ticket) {
        let ended = ended(history, id).unwrap_or_else(|| taken_back(history, id, order.sold()));
        let mut add = |from: Option<Time>, until: Time, quantity: u32| {
            if let Some(from) = from.filter(|from| *from < until) {
                taken.push(Taken { order: id, from, until, quantity });
            }
        };
        let (granted, deadline) = granted(history, id);
        add(granted, deadline.min(ended), order.quantity);
        add(seen_complete(history, id), ended, order.quantity);
        // The end comes after all calls.
        let sold_at_end = order.sold();
        add((sold_at_end > 0).then_some(Time::from_millis(NEVER.millis() - 1)), NEVER, sold_at_end);
    }
    taken
}

fn granted(history: &History, order: &str) -> (Option<Time>, Time) {
    let promise = acknowledged(history).find(|(call, said)| matches!(call.wish, Wish::Hold { .. }) && said.id == order);
    let deadline = |said: &Said| said.expires_at.map(|at| Time::from_millis(at.millis() - history.skew_ms));
    promise.map_or((None, NEVER), |(call, said)| (Some(call.ended), deadline(said).unwrap_or(call.ended)))
}

/// The first wish to end it, whatever came of that.
fn ended(history: &History, id: &str) -> Option<Time> {
    let ends = history.calls.iter().filter(
        |call| matches!(&call.wish, Wish::Cancel { order } | Wish::Refund { order, amount: None } if order == id),
    );
    ends.map(|call| call.began).min()
}

/// Until when an order that nobody wished to end, and that did not stay sold, was seen complete at the least: its buyer's bank may
/// have taken the money back, which no call of the history tells of.
fn taken_back(history: &History, id: &str, sold_at_end: u32) -> Time {
    let last = looks_at_complete(history, id).map(|call| call.began).max();
    last.filter(|_| sold_at_end == 0).unwrap_or(NEVER)
}

fn seen_complete(history: &History, id: &str) -> Option<Time> {
    looks_at_complete(history, id).map(|call| call.ended).min()
}

fn looks_at_complete<'h>(history: &'h History, id: &'h str) -> impl Iterator<Item = &'h Call> {
    let seen = acknowledged(history).filter(move |(call, said)| {
        matches!(&call.wish, Wish::LookAtOrder { order } if order == id) && said.status == "complete"
    });
    seen.map(|(call, _)| call)
}
