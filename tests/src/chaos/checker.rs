//! The checker: decides from a history alone whether every promise was kept. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use common::clock::Time;

use super::history::{Call, Charge, Counted, History, OrderSeen, Outcome, Places, Said, Wish};

mod door;
mod keys;
mod moves;
mod oversold;
mod refunds;

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which promise.
    pub rule: Rule,
    /// What was seen.
    pub seen: String,
}

/// What must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// An acknowledged hold is there, exactly once, for the same buyer, listing and quantity.
    HoldKept,
    /// An order is there only if somebody may have asked for it.
    OrderWanted,
    /// What a request with a key makes is made once at the most, however often the request is repeated.
    DoneOnce,
    /// Who repeats a request gets an answer.
    Answered,
    /// No more places are held and sold than there are, at any time.
    NeverOversold,
    /// A listing's page shows places that add up, and at rest those of the orders.
    PlacesAddUp,
    /// An order is charged once at the most, and in full.
    ChargedOnce,
    /// An acknowledged payment has come in.
    PaymentKept,
    /// Money is kept only for passes.
    MoneyHasPasses,
    /// Passes are given only for money.
    PassesHaveMoney,
    /// An acknowledged refund goes back once and in full.
    RefundKept,
    /// What was given up stays given up.
    CancelKept,
    /// A change of a show that was acknowledged is what its page says, unless another came after it.
    MoveKept,
    /// Every order says of its show what its page says, and what its buyer was told at the hold where that is different.
    MoveShown,
    /// A pass that was let in stays used, unless that was undone; and what was undone is not used.
    CheckInKept,
    /// Every order comes to an end, and every event is handled.
    ComesToRest,
    /// No event is given up.
    NoDeadLetters,
    /// No process ends by itself.
    NoDeaths,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.rule, self.seen)
    }
}

/// All promises that were broken.
pub fn check(history: &History) -> Vec<Violation> {
    let mut found = Findings::default();
    let facts = Facts::of(history);
    holds(&facts, &mut found);
    keys::keys(&facts, &mut found);
    places(&facts, &mut found);
    oversold::oversold(history, &mut found);
    for (id, order) in &history.end.orders {
        money(&facts, id, order, &mut found);
        refunds::refunds(&facts, id, order, &mut found);
        door::door(&facts, id, order, &mut found);
    }
    promises(&facts, &mut found);
    moves::moves(history, &mut found);
    let end = &history.end;
    end.waiting.iter().for_each(|line| found.add(Rule::ComesToRest, line.clone()));
    end.dead_letters.iter().for_each(|letter| found.add(Rule::NoDeadLetters, letter.clone()));
    end.deaths.iter().for_each(|death| found.add(Rule::NoDeaths, death.clone()));
    found.0
}

#[derive(Default)]
struct Findings(Vec<Violation>);

impl Findings {
    fn add(&mut self, rule: Rule, seen: String) {
        self.0.push(Violation { rule, seen });
    }
}

/// The history, looked at from where the rules stand.
struct Facts<'h> {
    history: &'h History,
    charges: BTreeMap<&'h str, Vec<&'h Charge>>,
}

impl<'h> Facts<'h> {
    fn of(history: &'h History) -> Self {
        let mut charges: BTreeMap<&str, Vec<&Charge>> = BTreeMap::new();
        for charge in history.end.charges.iter().filter(|charge| charge.captured > 0) {
            charges.entry(&charge.order).or_default().push(charge);
        }
        Self { history, charges }
    }

    fn charges_of(&self, order: &str) -> &[&'h Charge] {
        self.charges.get(order).map_or(&[], Vec::as_slice)
    }

    /// How often the lists of all buyers show an order.
    fn listed(&self, order: &str) -> usize {
        self.history.end.listed.values().flatten().filter(|listed| *listed == order).count()
    }
}

/// The calls that were acknowledged, with what was said.
fn acknowledged(history: &History) -> impl Iterator<Item = (&Call, &Said)> {
    history.calls.iter().filter_map(|call| match &call.outcome {
        Outcome::Acknowledged(said) => Some((call, said)),
        _ => None,
    })
}

fn holds(facts: &Facts<'_>, found: &mut Findings) {
    let mut promised: BTreeMap<&str, BTreeSet<Option<&str>>> = BTreeMap::new();
    for (call, said) in acknowledged(facts.history) {
        let Wish::Hold { ticket, quantity } = &call.wish else { continue };
        promised.entry(&said.id).or_default().insert(call.key.as_deref());
        match facts.history.end.orders.get(&said.id) {
            None => found.add(Rule::HoldKept, format!("order {} of buyer {} is not found", said.id, call.who)),
            Some(order) if (order.buyer, &order.ticket, order.quantity) != (call.who, ticket, *quantity) => {
                found.add(Rule::HoldKept, format!("order {} is not what was held: {order:?}, {call:?}", said.id));
            }
            Some(_) => {}
        }
    }
    for (order, keys) in promised {
        if keys.len() > 1 {
            found.add(Rule::HoldKept, format!("order {order} was promised for several requests: {keys:?}"));
        }
        match facts.listed(order) {
            1 => {}
            times => found.add(Rule::HoldKept, format!("order {order} is listed {times} times")),
        }
    }
}

fn places(facts: &Facts<'_>, found: &mut Findings) {
    for (call, said) in acknowledged(facts.history) {
        if let (Wish::LookAtTicket { ticket }, Some(places)) = (&call.wish, said.places) {
            page_adds_up(facts.history, ticket, places, found);
        }
    }
    for (ticket, shown) in &facts.history.end.tickets {
        page_adds_up(facts.history, ticket, *shown, found);
        let orders = || facts.history.end.orders.values().filter(|order| order.ticket == *ticket);
        let held: u32 = orders().filter(|order| order.is_held()).map(|order| order.quantity).sum();
        let sold: u32 = orders().map(OrderSeen::sold).sum();
        if (shown.held, shown.sold) != (held, sold) {
            let seen = format!("ticket {ticket} shows {shown:?}, but its orders hold {held} and have bought {sold}");
            found.add(Rule::PlacesAddUp, seen);
        }
        let counted = facts.history.end.inventories.get(ticket);
        if counted != Some(&Counted { held, sold }) {
            let seen =
                format!("the inventory of ticket {ticket} is {counted:?}, but its orders hold {held}, sold {sold}");
            found.add(Rule::PlacesAddUp, seen);
        }
    }
}

fn page_adds_up(history: &History, ticket: &str, shown: Places, found: &mut Findings) {
    let Places { quantity, held, sold, available } = shown;
    if history.capacities.get(ticket) != Some(&quantity) {
        found.add(
            Rule::PlacesAddUp,
            format!("ticket {ticket} shows another number of places than it was given: {shown:?}"),
        );
    }
    if held + sold > quantity {
        found.add(Rule::NeverOversold, format!("ticket {ticket} shows {shown:?}"));
    } else if held + sold + available != quantity {
        found.add(Rule::PlacesAddUp, format!("ticket {ticket} shows {shown:?}"));
    }
}

/// What came in for an order, what went back, and what the buyer has for it.
fn money(facts: &Facts<'_>, id: &str, order: &OrderSeen, found: &mut Findings) {
    let charges = facts.charges_of(id);
    let captured: i64 = charges.iter().map(|charge| charge.captured).sum();
    let returned: i64 = charges.iter().map(|charge| charge.returned).sum();
    let seen =
        || format!("order {id}, {order:?}, {captured} came in by {} charges, {returned} went back", charges.len());
    if charges.len() > 1 || (captured != 0 && captured != order.total) {
        found.add(Rule::ChargedOnce, seen());
    }
    if !order.is_at_rest() {
        found.add(Rule::ComesToRest, seen());
    }
    let has_passes = order.status == "complete" && order.passes == order.quantity;
    if captured > returned && !has_passes {
        found.add(Rule::MoneyHasPasses, seen());
    }
    if (order.passes > 0 || order.status == "complete") && captured == returned {
        found.add(Rule::PassesHaveMoney, seen());
    }
    if order.status == "refunded" && (captured != order.total || returned != captured) {
        found.add(Rule::RefundKept, seen());
    }
    if captured > 0 && !matches!(order.status.as_str(), "complete" | "refunded") {
        found.add(Rule::MoneyHasPasses, format!("{}: it says nothing of its money", seen()));
    }
}

/// What answers about money and ends have promised.
fn promises(facts: &Facts<'_>, found: &mut Findings) {
    for (call, said) in acknowledged(facts.history) {
        let (Wish::Pay { order, .. } | Wish::Cancel { order } | Wish::Refund { order, amount: None }) = &call.wish
        else {
            continue;
        };
        let Some(end) = facts.history.end.orders.get(order) else { continue };
        let returned: i64 = facts.charges_of(order).iter().map(|charge| charge.returned).sum();
        let kept = match (&call.wish, said.status.as_str()) {
            (Wish::Pay { .. }, "succeeded") if facts.charges_of(order).is_empty() => Err(Rule::PaymentKept),
            (Wish::Cancel { .. }, "cancelled") if !matches!(end.status.as_str(), "cancelled" | "refunded") => {
                Err(Rule::CancelKept)
            }
            (Wish::Cancel { .. }, "refunding" | "refunded") | (Wish::Refund { .. }, _)
                if end.status != "refunded" || returned != end.total =>
            {
                Err(Rule::RefundKept)
            }
            _ => Ok(()),
        };
        if let Err(rule) = kept {
            let seen = format!(
                "{:?} was answered {}, but the order is {end:?} and {returned} went back",
                call.wish, said.status
            );
            found.add(rule, seen);
        }
    }
}

/// Later than all that is told of.
const NEVER: Time = Time::from_millis(i64::MAX);

#[cfg(test)]
mod tests;
