//! One trace leads from a click through all that follows from it, in whichever process.

use docket_tests::{Person, Stage, Trace, until};
use reqwest::Method;
use serde_json::{Value, json};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// A buyer pays on the page of an order, and confirms it at the bank, which tells of it by a webhook; a webhook begins a trace
/// of its own.
pub(super) async fn one_leads_from_the_click_to_the_pass(stage: &Stage, seller: &Person, buyer: &Person) {
    let order = buyer.hold(&seller.sell(10).await, 1).await.expect(201);
    pay_and_confirm(buyer, &order).await;
    buyer.until_order(&order, "complete").await;
    assert_eq!(buyer.passes(&order).await.len(), 1);

    let paid = format!("payments.v1.{}", order["id"].as_str().unwrap());
    // Each process tells of what it did every few seconds, and not at the same time as the others.
    until("the click, and what followed in other processes, in one trace", 30, || async {
        let clicks = stage.collector().traces("web", "POST /orders/{id}/pay");
        let whole = |trace: &Trace| {
            let processes: Vec<&str> = trace.processes().into_iter().collect();
            processes == ["expiration", "orders", "payments", "web"]
                && heard_in(trace, "orders").contains(&paid.as_str())
                && !heard_in(trace, "expiration").is_empty()
                && trace.spans.iter().any(|span| span.process == "payments" && span.name == "settle")
                && trace.is_one_tree()
        };
        if clicks.iter().any(whole) { Ok(()) } else { Err(format!("{clicks:#?}")) }
    })
    .await;
}

async fn pay_and_confirm(buyer: &Person, order: &Value) {
    let (id, origin) = (order["id"].as_str().unwrap(), buyer.base().to_owned());
    let (page, headers) = (format!("/orders/{id}/pay"), [FORM, ("origin", origin.as_str())]);
    buyer.send_raw(Method::POST, &page, &headers, "method=pm_card_threeDSecure2Required").await.expect(200);
    let begun = buyer.post("/api/payments", json!({ "orderId": id })).await.expect(201);
    let page: reqwest::Url = begun["nextAction"].as_str().unwrap().parse().unwrap();
    let at_the_bank = Person::visitor(&page.origin().ascii_serialization());
    at_the_bank.send_raw(Method::POST, page.path(), &[FORM], "decision=approve").await.expect(200);
}

/// The subjects of the events that a service heard in a trace.
fn heard_in<'t>(trace: &'t Trace, service: &str) -> Vec<&'t str> {
    let heard = trace.spans.iter().filter(|span| span.process == service && span.name == "listen");
    heard.filter_map(|span| span.attribute("subject")).collect()
}
