//! As many are inside as were let in, less those whose check-ins were undone; each scan and each undoing counts once, however often
//! it was sent.

use std::collections::BTreeMap;

use super::super::history::{OrderSeen, Outcome, Wish};
use super::{Facts, Findings, Rule};

/// Of the requests of one kind: those that were answered with yes, and those that were never answered.
#[derive(Debug, Default)]
struct Made {
    done: u32,
    unknown: u32,
}

pub(super) fn door(facts: &Facts<'_>, id: &str, order: &OrderSeen, found: &mut Findings) {
    let scans = made(facts, |wish| matches!(wish, Wish::CheckIn { order, .. } if order == id));
    let undone = made(facts, |wish| matches!(wish, Wish::Undo { order, .. } if order == id));
    let least = scans.done.saturating_sub(undone.done + undone.unknown);
    let most = (scans.done + scans.unknown).saturating_sub(undone.done);
    if !(least..=most).contains(&order.admitted) {
        found.add(Rule::CheckInKept, format!("order {id}, {order:?}: {scans:?} were let in, {undone:?} undone"));
    }
}

fn made(facts: &Facts<'_>, wanted: impl Fn(&Wish) -> bool) -> Made {
    let mut requests: BTreeMap<Option<&str>, (bool, bool)> = BTreeMap::new();
    for call in facts.history.calls.iter().filter(|call| wanted(&call.wish)) {
        let (done, refused) = requests.entry(call.key.as_deref()).or_default();
        *done |= matches!(call.outcome, Outcome::Acknowledged(_));
        *refused |= matches!(call.outcome, Outcome::Refused { .. });
    }
    let mut made = Made::default();
    for (done, refused) in requests.into_values() {
        made.done += u32::from(done);
        made.unknown += u32::from(!done && !refused);
    }
    made
}
