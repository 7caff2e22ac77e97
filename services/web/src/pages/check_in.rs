//! At the door: a pass is shown, and the answer is yes or no.

use askama::Template;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::clock::Time;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use crate::failure::ApiProblem;
use crate::fields::Form;
use crate::format::{Words, zone_name};
use crate::html::{Answered, form_page, page};
use crate::making::{NotMade, key_of, new_key};
use crate::model::{Admitted, Order};
use crate::shell::Shell;
use crate::visit::Visit;

/// What the door is told.
struct Verdict {
    yes: bool,
    text: String,
    /// More for whoever has to explain it.
    more: Option<String>,
}

#[derive(Template)]
#[template(path = "check_in.html", blocks = ["result"])]
struct CheckInPage {
    shell: Shell,
    verdict: Option<Verdict>,
    /// What is wrong with the form, which says nothing of the pass.
    problem: Option<ApiProblem>,
    code: String,
    place: String,
    /// Names the scan: sent once more, as after an answer that was lost, it is the same one.
    key: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Scan {
    code: String,
    place: String,
    key: String,
}

/// The page before the first scan.
pub(crate) async fn form(visit: Visit) -> Answered {
    let (shell, _) = visit.own_shell().await?;
    let (code, place, key) = (String::new(), String::new(), new_key(&visit));
    page(&CheckInPage { shell, verdict: None, problem: None, code, place, key })
}

/// Uses a pass. A script gets the verdict alone.
pub(crate) async fn check(visit: Visit, form: Form<Scan>) -> Answered {
    let Form(Scan { code, place, key }) = form;
    let (shell, _) = visit.own_shell().await.map_err(|failure| failure.at("/check-in"))?;
    let (wish, key) = (json!({ "code": code.trim(), "place": place }), key_of(&visit, key));
    let NotMade { problem, key } = match visit.make::<Admitted>("/api/passes/check-in", &key, &wish).await {
        Ok(pass) => return told(&visit, None, shell, Verdict::welcome(&pass), place),
        Err(failure) => visit.not_made(failure.at("/check-in"), key)?,
    };
    match Verdict::refused(&visit, &code, &problem).await {
        Some(verdict) => told(&visit, Some(&problem), shell, verdict, place),
        // Whoever stands at the door is not to be sent away for what says nothing of the pass.
        None => {
            let page = CheckInPage { shell, verdict: None, problem: Some(problem), code, place, key };
            form_page(page.problem.as_ref(), &page)
        }
    }
}

fn told(visit: &Visit, problem: Option<&ApiProblem>, shell: Shell, verdict: Verdict, place: String) -> Answered {
    let (code, key) = (String::new(), new_key(visit));
    let page = CheckInPage { shell, verdict: Some(verdict), problem: None, code, place, key };
    // A script reads the verdict; a status that says the same would only be an error in the browser's log.
    if visit.is_partial() { crate::html::page(&page.as_result()) } else { form_page(problem, &page) }
}

impl Verdict {
    fn welcome(pass: &Admitted) -> Self {
        let text = format!("Welcome: pass {} of {}, {}", pass.number, pass.of, pass.title);
        Self { yes: true, text, more: None }
    }

    fn no(text: impl Into<String>) -> Self {
        Self { yes: false, text: text.into(), more: None }
    }

    /// Why a pass does not admit; none if the problem says nothing of the pass.
    async fn refused(visit: &Visit, code: &str, problem: &ApiProblem) -> Option<Self> {
        Some(match problem.code.as_str() {
            "already_checked_in" => {
                let order = order_of(visit, code).await;
                Self { more: first_scan(problem, order.as_ref(), visit.words()), ..Self::used(order.as_ref()) }
            }
            "pass_void" => Self::no("This pass is not valid any more: its order was given back."),
            _ if problem.of("code").is_some() => Self::no("This is no pass of ours."),
            _ if problem.status == 404 => Self::no("This pass is for no show of yours."),
            _ => return None,
        })
    }

    fn used(order: Option<&Order>) -> Self {
        let title = order.map(|order| format!(" for {}", order.title)).unwrap_or_default();
        Self::no(format!("This pass{title} was used already."))
    }
}

/// When and where a pass was used first, as the clocks of the place showed it.
fn first_scan(problem: &ApiProblem, order: Option<&Order>, words: &Words) -> Option<String> {
    let fact = |name: &str| problem.facts.get(name).and_then(|fact| fact.as_str());
    let at: Time = fact("checkedInAt")?.parse().ok()?;
    let zone = order.map_or("UTC", |order| order.time_zone.as_str());
    let place = fact("place").map(|place| format!(", at {place}")).unwrap_or_default();
    Some(format!("First on {} ({} time){place}.", words.moment(at, zone), zone_name(zone)))
}

/// The order that a pass belongs to.
#[derive(Deserialize)]
struct Claims {
    order: Uuid,
}

/// The order of a pass that the API has just verified: the code says it, so that its signature need not be looked at again.
async fn order_of(visit: &Visit, code: &str) -> Option<Order> {
    let Claims { order } = claims(code)?;
    visit.get(&format!("/api/orders/{order}")).await.ok()
}

/// What the middle part of a signed token says (RFC 7519).
fn claims(code: &str) -> Option<Claims> {
    let payload = code.trim().split('.').nth(1)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order() -> Order {
        let at = "2026-11-27T19:00:00Z";
        let order = json!({ "id": "1", "ticketId": "2", "title": "Jazz", "timeZone": "Europe/Rome", "quantity": 2, "price": "5.00",
            "total": "10.00", "currency": "eur", "status": "complete", "refundPolicy": "never", "expiresAt": at, "createdAt": at });
        serde_json::from_value(order).unwrap()
    }

    fn twice(place: Option<&str>) -> ApiProblem {
        let problem = json!({ "status": 409, "code": "already_checked_in", "detail": "d",
            "checkedInAt": "2026-11-27T19:04:00.000Z", "place": place });
        serde_json::from_value(problem).unwrap()
    }

    #[test]
    fn a_second_scan_says_when_and_where_the_first_was() {
        let words = Words::for_languages("en-GB");
        let told = first_scan(&twice(Some("North door")), Some(&order()), &words);
        assert_eq!(told.as_deref(), Some("First on Fri, 27 Nov 2026, 20:04 (Rome time), at North door."));
        let told = first_scan(&twice(None), None, &words);
        assert_eq!(told.as_deref(), Some("First on Fri, 27 Nov 2026, 19:04 (UTC time)."));
        assert_eq!(Verdict::used(Some(&order())).text, "This pass for Jazz was used already.");
    }

    #[test]
    fn a_code_says_its_order() {
        let id = "0199f7a0-0000-7000-8000-000000000001";
        let payload = URL_SAFE_NO_PAD.encode(json!({ "jti": "x", "order": id, "ticket": "y" }).to_string());
        assert_eq!(claims(&format!(" h.{payload}.s\n")).map(|claims| claims.order.to_string()).as_deref(), Some(id));
        for garbage in ["", "a.b.c", "...", "no pass"] {
            assert!(claims(garbage).is_none(), "{garbage}");
        }
    }
}
