//! What whoever stands at the door is told, in words that are understood in a second.

use common::clock::Time;

use crate::failure::ApiProblem;
use crate::format::{Words, zone_name};
use crate::making::new_key;
use crate::model::{Admitted, Undone};
use crate::visit::Visit;

/// Yes or no, and why.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// `yes`, `no` or `undone`.
    pub(crate) kind: &'static str,
    pub(crate) text: String,
    /// More for whoever has to explain it.
    pub(crate) more: Option<String>,
    /// Which pass it was.
    pub(crate) pass: Option<String>,
    /// The door of the show that the pass is for.
    pub(crate) elsewhere: Option<String>,
    /// The check-in that can be undone.
    pub(crate) undo: Option<CanBeUndone>,
}

/// A check-in, as the form names it that undoes it.
#[derive(Debug)]
pub(crate) struct CanBeUndone {
    pub(crate) ticket: String,
    pub(crate) order: String,
    pub(crate) pass: String,
    pub(crate) at: String,
    pub(crate) key: String,
    /// What the button says.
    pub(crate) says: &'static str,
}

impl Verdict {
    pub(super) fn welcome(visit: &Visit, pass: &Admitted) -> Self {
        let undo = CanBeUndone {
            ticket: pass.ticket_id.clone(),
            order: pass.order_id.clone(),
            pass: pass.pass_id.clone(),
            at: pass.checked_in_at.to_string(),
            key: new_key(visit),
            says: "Undo",
        };
        Self {
            kind: "yes",
            text: format!("Welcome: pass {} of {}, {}", pass.number, pass.of, pass.title),
            pass: Some(named(pass.number.into(), pass.of.into(), pass.short_code.as_deref())),
            undo: Some(undo),
            ..Self::default()
        }
    }

    pub(super) fn undone(undone: &Undone) -> Self {
        let text = format!("Undone: pass {} of {} is not inside any more.", undone.number, undone.of);
        Self {
            kind: "undone",
            text,
            pass: Some(named(undone.number.into(), undone.of.into(), None)),
            ..Self::default()
        }
    }

    pub(super) fn not_undone(visit: &Visit, problem: &ApiProblem) -> Self {
        let more = (problem.code == "not_checked_in").then(|| first_scan(problem, visit.words())).flatten();
        let text = match problem.code.as_str() {
            "not_checked_in" if more.is_some() => "Not undone: this pass was checked in again since.",
            "not_checked_in" => "There is nothing to undo: this pass is not checked in.",
            _ if problem.status == 404 => "This pass is for no show of yours.",
            _ => return Self { more: Some(problem.words()), ..Self::no("Not undone.") },
        };
        Self { more, ..Self::no(text) }
    }

    fn no(text: impl Into<String>) -> Self {
        Self { kind: "no", text: text.into(), ..Self::default() }
    }

    /// Why a pass does not admit; none if the problem says nothing of the pass.
    pub(super) fn refused(visit: &Visit, problem: &ApiProblem) -> Option<Self> {
        let said = Self::said(problem, visit.words())?;
        let undo = ["already_checked_in", "pass_void"].contains(&problem.code.as_str());
        let undo = undo.then(|| of_problem(problem, new_key(visit))).flatten();
        Some(Self { undo, ..said })
    }

    fn said(problem: &ApiProblem, words: &Words) -> Option<Self> {
        let (fact, number) = (|name| text(problem, name), |name: &str| problem.facts.get(name)?.as_u64());
        let pass = number("number").zip(number("of")).map(|(number, of)| named(number, of, fact("shortCode")));
        let verdict = match problem.code.as_str() {
            "already_checked_in" => {
                let title = fact("title").map(|title| format!(" for {title}")).unwrap_or_default();
                Self { more: first_scan(problem, words), ..Self::no(format!("This pass{title} was used already.")) }
            }
            "other_show" => {
                let elsewhere = fact("ticketId").map(|ticket| format!("/check-in/{ticket}"));
                let more = fact("venue").map(|venue| format!("That show is at {venue}."));
                Self { more, elsewhere, ..Self::no(other_show(problem, words)) }
            }
            "pass_void" => {
                let inside = fact("checkedInAt").is_some();
                let more =
                    inside.then(|| "Somebody came in with it before, and their place is still taken.".to_owned());
                Self { more, ..Self::no(format!("This pass is not valid any more: {}.", void(problem))) }
            }
            "check_in_undone" => Self::no("This scan was undone. Scan the pass again to let them in."),
            "short_code_shared" => Self::no("Two orders have this short code. Scan the QR code of the pass."),
            _ => match problem.of("code") {
                Some(message) if message.ends_with("of this show") => Self::no("No pass of this show has this code."),
                Some(_) => Self::no("This is no pass of ours."),
                None if problem.status == 404 => Self::no("This pass is for no show of yours."),
                None => return None,
            },
        };
        Some(Self { pass, ..verdict })
    }
}

fn text<'p>(problem: &'p ApiProblem, name: &str) -> Option<&'p str> {
    problem.facts.get(name)?.as_str()
}

/// Which pass it is, in words.
fn named(number: u64, of: u64, short: Option<&str>) -> String {
    let short = short.map(|short| format!(" · {short}")).unwrap_or_default();
    format!("Pass {number} of {of}{short}")
}

fn of_problem(problem: &ApiProblem, key: String) -> Option<CanBeUndone> {
    let fact = |name| text(problem, name).map(str::to_owned);
    let says = if problem.code == "pass_void" { "They have left: free the place" } else { "Undo that check-in" };
    let (ticket, order) = (fact("ticketId")?, fact("orderId")?);
    Some(CanBeUndone { ticket, order, pass: fact("passId")?, at: fact("checkedInAt")?, key, says })
}

/// A moment as the clocks of the place show it.
fn there(at: &str, zone: &str, words: &Words) -> Option<String> {
    let at: Time = at.parse().ok()?;
    Some(format!("{} ({} time)", words.moment(at, zone), zone_name(zone)))
}

/// When and where a pass was used first.
fn first_scan(problem: &ApiProblem, words: &Words) -> Option<String> {
    let zone = text(problem, "timeZone").unwrap_or("UTC");
    let at = there(text(problem, "checkedInAt")?, zone, words)?;
    let place = text(problem, "place").map(|place| format!(", at {place}")).unwrap_or_default();
    Some(format!("First on {at}{place}."))
}

fn other_show(problem: &ApiProblem, words: &Words) -> String {
    let title = text(problem, "title").unwrap_or("another show");
    let zone = text(problem, "timeZone").unwrap_or("UTC");
    let when = text(problem, "startsAt").and_then(|at| there(at, zone, words));
    let when = when.map(|when| format!(", {when}")).unwrap_or_default();
    format!("This pass is for {title}{when}, not for this show.")
}

fn void(problem: &ApiProblem) -> &'static str {
    match (text(problem, "orderStatus"), text(problem, "refundReason")) {
        (_, Some("charged_back")) => "the buyer’s bank took the money back",
        (Some("refunding"), _) => "its money is on its way back",
        (Some("refunded"), _) => "its order was refunded",
        (Some("cancelled"), _) => "its order was cancelled",
        _ => "its order was given back",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn said(code: &str, facts: Value) -> (String, Option<String>) {
        let mut problem = json!({ "status": 409, "code": code, "detail": "d" });
        problem.as_object_mut().unwrap().extend(facts.as_object().unwrap().clone());
        let problem: ApiProblem = serde_json::from_value(problem).unwrap();
        let verdict = Verdict::said(&problem, &Words::for_languages("en-GB")).unwrap();
        (verdict.text, verdict.more)
    }

    #[test]
    fn a_second_scan_says_when_and_where_the_first_was() {
        let first = json!({ "checkedInAt": "2026-11-27T19:04:00.000Z", "place": "North door", "title": "Jazz", "timeZone": "Europe/Rome" });
        let (text, more) = said("already_checked_in", first);
        assert_eq!(text, "This pass for Jazz was used already.");
        assert_eq!(more.as_deref(), Some("First on Fri, 27 Nov 2026, 20:04 (Rome time), at North door."));
        // As an earlier build tells it.
        let (text, more) =
            said("already_checked_in", json!({ "checkedInAt": "2026-11-27T19:04:00.000Z", "place": null }));
        assert_eq!(text, "This pass was used already.");
        assert_eq!(more.as_deref(), Some("First on Fri, 27 Nov 2026, 19:04 (UTC time)."));
    }

    #[test]
    fn a_pass_of_another_show_says_which_and_when() {
        let jazz = json!({ "title": "Jazz night", "startsAt": "2026-12-05T19:00:00.000Z", "timeZone": "Europe/Rome", "venue": "Pier 9" });
        let (text, more) = said("other_show", jazz);
        assert_eq!(text, "This pass is for Jazz night, Sat, 5 Dec 2026, 20:00 (Rome time), not for this show.");
        assert_eq!(more.as_deref(), Some("That show is at Pier 9."));
        let (text, more) = said("other_show", json!({ "title": "Open day", "startsAt": null, "venue": null }));
        assert_eq!((text.as_str(), more), ("This pass is for Open day, not for this show.", None));
    }

    #[test]
    fn a_void_pass_says_why() {
        for (facts, why) in [
            (json!({ "orderStatus": "refunded", "refundReason": "seller_granted" }), "its order was refunded"),
            (
                json!({ "orderStatus": "refunded", "refundReason": "charged_back" }),
                "the buyer’s bank took the money back",
            ),
            (json!({ "orderStatus": "refunding", "refundReason": "buyer_request" }), "its money is on its way back"),
            (json!({ "orderStatus": "cancelled", "refundReason": null }), "its order was cancelled"),
            (json!({}), "its order was given back"),
        ] {
            assert_eq!(said("pass_void", facts), (format!("This pass is not valid any more: {why}."), None));
        }
    }
}
