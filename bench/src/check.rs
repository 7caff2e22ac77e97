//! The invariant checker: compares what was promised with what there is. Pure, so that it can be shown broken histories.

mod violation;

#[cfg(test)]
mod tests;

pub(crate) use violation::Violation;

use std::collections::{BTreeMap, BTreeSet};

use common::id::{OrderId, PassId, TicketId, UserId};
use serde::Deserialize;

use crate::history::{History, HoldAnswer, PayAnswer};
use crate::platform::Counts;

/// An order as its buyer is shown it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SeenOrder {
    pub(crate) id: OrderId,
    pub(crate) ticket_id: TicketId,
    pub(crate) quantity: u32,
    pub(crate) status: String,
}

impl SeenOrder {
    fn is_complete(&self) -> bool {
        self.status == "complete"
    }

    /// Whether its places are held for somebody who may still pay.
    fn is_held(&self) -> bool {
        matches!(self.status.as_str(), "created" | "awaiting_payment")
    }
}

/// What there is after the rush.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) tickets: BTreeMap<TicketId, Counts>,
    /// What each buyer's list of orders says.
    pub(crate) orders: BTreeMap<UserId, Vec<SeenOrder>>,
    /// The passes of each order that is complete.
    pub(crate) passes: BTreeMap<OrderId, Vec<PassId>>,
    /// How often the bank took money for an order.
    pub(crate) charges: BTreeMap<OrderId, u32>,
    /// Documents with events that were never published, by collection.
    pub(crate) unpublished: BTreeMap<String, u64>,
}

/// Everything that is wrong.
pub(crate) fn check(history: &History, seen: &Seen) -> Vec<Violation> {
    let orders: Vec<(&UserId, &SeenOrder)> =
        seen.orders.iter().flat_map(|(buyer, orders)| orders.iter().map(move |order| (buyer, order))).collect();
    let mut found = manners(history);
    found.extend(counts(history, seen, &orders));
    found.extend(lost(history, seen));
    found.extend(unpromised(history, &orders));
    found.extend(withheld(history, seen));
    found.extend(orders.iter().filter_map(|(_, order)| status(history, order)));
    found.extend(passes(seen, &orders));
    found.extend(charges(history, seen, &orders));
    let unpublished = seen.unpublished.iter().filter(|(_, documents)| **documents > 0);
    found.extend(unpublished.map(|(collection, documents)| Violation::Unpublished {
        collection: collection.clone(),
        documents: *documents,
    }));
    found
}

/// Whether every answer was one that a buyer can live with.
fn manners(history: &History) -> Vec<Violation> {
    let mut rude: BTreeMap<u16, usize> = BTreeMap::new();
    let mut odd: BTreeMap<String, usize> = BTreeMap::new();
    for attempt in &history.attempts {
        match attempt.answer {
            HoldAnswer::TurnedAway { status, retry_after: false } => *rude.entry(status).or_default() += 1,
            HoldAnswer::Unexpected(_) | HoldAnswer::Silent(_) => *odd.entry(attempt.answer.label()).or_default() += 1,
            _ => {}
        }
    }
    for answer in history.payments.values() {
        match answer {
            PayAnswer::TurnedAway { status, retry_after: false } => *rude.entry(*status).or_default() += 1,
            PayAnswer::Unexpected(_) | PayAnswer::Silent(_) => *odd.entry(answer.label()).or_default() += 1,
            _ => {}
        }
    }
    let rude = rude.into_iter().map(|(status, times)| Violation::NoRetryAfter { status, times });
    rude.chain(odd.into_iter().map(|(answer, times)| Violation::Answer { answer, times })).collect()
}

fn counts(history: &History, seen: &Seen, orders: &[(&UserId, &SeenOrder)]) -> Vec<Violation> {
    let mut taken: BTreeMap<TicketId, (u32, u32)> = BTreeMap::new();
    for (_, order) in orders {
        let (held, sold) = taken.entry(order.ticket_id).or_default();
        *held += if order.is_held() { order.quantity } else { 0 };
        *sold += if order.is_complete() { order.quantity } else { 0 };
    }
    let mut found = Vec::new();
    for (&ticket, &capacity) in &history.capacity {
        let shown = seen.tickets.get(&ticket).copied();
        let adds_up = |it: Counts| it.quantity == capacity && it.held + it.sold + it.available == capacity;
        if !shown.is_some_and(adds_up) {
            found.push(Violation::Counts { ticket, capacity, shown });
        }
        let of_orders = taken.get(&ticket).copied().unwrap_or_default();
        if let Some(shown) = shown.map(|it| (it.held, it.sold)).filter(|shown| *shown != of_orders) {
            found.push(Violation::Differs { ticket, shown, of_orders });
        }
    }
    found
}

/// Every 201 exists exactly once, as it was promised.
fn lost(history: &History, seen: &Seen) -> Vec<Violation> {
    let mut promises: BTreeMap<OrderId, usize> = BTreeMap::new();
    history.attempts.iter().filter_map(|attempt| attempt.answer.order()).for_each(|order| {
        *promises.entry(order).or_default() += 1;
    });
    let kept = |buyer: UserId, ticket: TicketId, id: OrderId| {
        let orders = seen.orders.get(&buyer).map_or(&[][..], Vec::as_slice);
        orders.iter().filter(|order| order.id == id && order.ticket_id == ticket && order.quantity == 1).count()
    };
    let held = history.attempts.iter().filter_map(|attempt| Some((attempt, attempt.answer.order()?)));
    let times = held.map(|(attempt, order)| match promises.get(&order) {
        // One order that answers two wishes is one order too few.
        Some(1) => (order, kept(attempt.buyer, attempt.ticket, order)),
        _ => (order, 0),
    });
    times.filter(|(_, times)| *times != 1).map(|(order, times)| Violation::Lost { order, times }).collect()
}

/// An order without a 201 is one of a request that was not answered, or one too many.
fn unpromised(history: &History, orders: &[(&UserId, &SeenOrder)]) -> Vec<Violation> {
    let promised: BTreeSet<OrderId> = history.attempts.iter().filter_map(|attempt| attempt.answer.order()).collect();
    let mut unanswered: BTreeMap<(UserId, TicketId), usize> = BTreeMap::new();
    for attempt in &history.attempts {
        if matches!(attempt.answer, HoldAnswer::Silent(_)) {
            *unanswered.entry((attempt.buyer, attempt.ticket)).or_default() += 1;
        }
    }
    let mut found = Vec::new();
    for (buyer, order) in orders.iter().filter(|(_, order)| !promised.contains(&order.id)) {
        match unanswered.get_mut(&(**buyer, order.ticket_id)) {
            Some(left) if *left > 0 => *left -= 1,
            _ => found.push(Violation::Unpromised { order: order.id, buyer: **buyer }),
        }
    }
    found
}

/// Nothing is given back in these sales, so who is told "sold out" must be right for ever.
fn withheld(history: &History, seen: &Seen) -> Vec<Violation> {
    let refused = history.attempts.iter().filter(|attempt| attempt.answer == HoldAnswer::SoldOut);
    let tickets: BTreeSet<TicketId> = refused.map(|attempt| attempt.ticket).collect();
    let left = |ticket: TicketId| seen.tickets.get(&ticket).map_or(0, |counts| counts.available);
    let tickets = tickets.into_iter().map(|ticket| (ticket, left(ticket))).filter(|(_, left)| *left > 0);
    tickets.map(|(ticket, left)| Violation::Withheld { ticket, left }).collect()
}

/// Paid is complete, not paid is held: nothing is on its way, ended or given back.
fn status(history: &History, order: &SeenOrder) -> Option<Violation> {
    let wrong = |paid| Some(Violation::Status { order: order.id, status: order.status.clone(), paid });
    match history.payments.get(&order.id) {
        Some(PayAnswer::Paid) if !order.is_complete() => wrong(true),
        Some(PayAnswer::Paid) => None,
        // The answer may have been lost on its way.
        Some(PayAnswer::Silent(_) | PayAnswer::TurnedAway { .. } | PayAnswer::Unexpected(_))
            if order.is_complete() || order.is_held() =>
        {
            None
        }
        None if order.is_held() => None,
        _ => wrong(false),
    }
}

fn passes(seen: &Seen, orders: &[(&UserId, &SeenOrder)]) -> Vec<Violation> {
    let mut known = BTreeSet::new();
    let mut found = Vec::new();
    for (_, order) in orders {
        let passes = seen.passes.get(&order.id).map_or(&[][..], Vec::as_slice);
        let due = if order.is_complete() { order.quantity } else { 0 };
        if u32::try_from(passes.len()) != Ok(due) {
            found.push(Violation::Passes { order: order.id, places: due, passes: passes.len() });
        }
        found.extend(
            passes.iter().filter(|pass| !known.insert(**pass)).map(|pass| Violation::SharedPass { pass: *pass }),
        );
    }
    found
}

/// Money was taken once for each complete order, and for no other.
fn charges(history: &History, seen: &Seen, orders: &[(&UserId, &SeenOrder)]) -> Vec<Violation> {
    let complete: BTreeSet<OrderId> =
        orders.iter().filter(|(_, order)| order.is_complete()).map(|(_, order)| order.id).collect();
    let promised = history.payments.iter().filter(|(_, answer)| **answer == PayAnswer::Paid).map(|(order, _)| *order);
    let paid: BTreeSet<OrderId> = complete.into_iter().chain(promised).collect();
    let of = |order: &OrderId| seen.charges.get(order).copied().unwrap_or(0);
    let wrong = |order: OrderId, paid| Violation::Charges { order, charges: of(&order), paid };
    let ours: BTreeSet<OrderId> = orders.iter().map(|(_, order)| order.id).collect();
    let unpaid = ours.iter().filter(|order| !paid.contains(order) && of(order) > 0).map(|order| wrong(*order, false));
    let miscounted = paid.iter().filter(|order| of(order) != 1).map(|order| wrong(*order, true));
    unpaid.chain(miscounted).collect()
}
