//! Shows that move: what their seller was told to be said is said, and every order says that too, and what its buyer was told
//! at the hold where that is different.

use super::super::history::{Call, History, OrderSeen, Outcome, Show, Wish};
use super::{Findings, Rule, acknowledged};

pub(super) fn moves(history: &History, found: &mut Findings) {
    for (ticket, page) in &history.end.shows {
        if !may_be_said(history, ticket).contains(&page) {
            found.add(
                Rule::MoveKept,
                format!("ticket {ticket} says {page:?}, which is not the last that was acknowledged"),
            );
        }
    }
    for (id, order) in &history.end.orders {
        if let Some(page) = history.end.shows.get(&order.ticket)
            && let Err(wrong) = says(history, id, order, page)
        {
            found.add(Rule::MoveShown, format!("order {id} {wrong}: {:?}; its listing says {page:?}", order.shown));
        }
    }
}

/// What a listing may say at the end: the last that was acknowledged, or what was asked for after that and not answered. A change
/// names the version that it replaces, so one that was sent before cannot land any more.
fn may_be_said<'h>(history: &'h History, ticket: &str) -> Vec<&'h Show> {
    let of_ticket = |call: &'h Call| match &call.wish {
        Wish::Move { ticket: moved, show } if moved == ticket => Some((call, show)),
        _ => None,
    };
    let kept = acknowledged(history).filter_map(|(call, _)| of_ticket(call)).last();
    let since = kept.map(|(call, _)| call.ended);
    let open = history.calls.iter().filter_map(of_ticket).filter(|(call, _)| {
        matches!(call.outcome, Outcome::Unknown(_)) && since.is_none_or(|since| call.began >= since)
    });
    kept.into_iter().chain(open).map(|(_, show)| show).collect()
}

fn says(history: &History, id: &str, order: &OrderSeen, page: &Show) -> Result<(), &'static str> {
    let shown = &order.shown;
    if shown.now != *page {
        return Err("does not say what holds by now");
    }
    if shown.was.iter().any(|(field, told)| shown.now.get(field) == Some(told)) {
        return Err("calls different what is the same");
    }
    if history.end.in_lists.get(id).is_some_and(|listed| listed != shown) {
        return Err("is shown otherwise in the list");
    }
    let told = shown.told();
    if !ever_said(history, &order.ticket, &told) {
        return Err("says that something was told which never was said");
    }
    let mut answers = acknowledged(history).filter(|(call, said)| match &call.wish {
        Wish::Hold { .. } => said.id == id,
        Wish::LookAtOrder { order } => order == id,
        _ => false,
    });
    if answers.any(|(_, said)| said.shown.told() != told) {
        return Err("says something else than its buyer was told");
    }
    Ok(())
}

fn ever_said(history: &History, ticket: &str, told: &Show) -> bool {
    let said =
        |call: &Call| matches!(&call.wish, Wish::Move { ticket: moved, show } if moved == ticket && show == told);
    history.calls.iter().any(said)
}
