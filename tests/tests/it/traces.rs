//! One trace leads from a click through all that follows from it.

use docket_tests::{App, Collector, Person, Trace, eventually, spawn};
use reqwest::Method;
use serde_json::{Value, json};

use super::sale::variables;

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// What a service heard in this trace: the subjects of events.
fn heard_in<'t>(trace: &'t Trace, service: &str) -> Vec<&'t str> {
    let listening = trace.spans.iter().filter(|span| span.name == "listen");
    let own = listening.filter(|span| span.attribute("service") == Some(service));
    own.filter_map(|span| span.attribute("subject")).collect()
}

/// Chooses to pay on the page of the order, and confirms it at the bank, which tells Docket by a webhook.
async fn pay_and_confirm(buyer: &Person, order: &Value) {
    let (id, origin) = (order["id"].as_str().unwrap(), buyer.base().to_owned());
    let (page, headers) = (format!("/orders/{id}/pay"), [FORM, ("origin", origin.as_str())]);
    buyer.send_raw(Method::POST, &page, &headers, "method=pm_card_threeDSecure2Required").await.expect(200);
    let begun = buyer.post("/api/payments", json!({ "orderId": id })).await.expect(201);
    let at_the_bank =
        reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let approval = at_the_bank.post(begun["nextAction"].as_str().unwrap()).header(FORM.0, FORM.1);
    assert_eq!(approval.body("decision=approve").send().await.unwrap().status(), 303);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_leads_from_the_click_to_the_pass() {
    let app = App::start().await;
    let collector = Collector::listen();
    let ticket = app.sign_up().await.sell(10).await;
    let buyer = app.sign_up().await;
    app.stop_serving().await;
    let mut variables = variables(&app);
    variables.push(("OTEL_EXPORTER_OTLP_ENDPOINT", collector.address().to_owned()));
    let docket = spawn("docket", &variables).await;
    app.send_webhooks_to(&docket.http);

    let buyer = buyer.at(&docket.http);
    let order = buyer.hold(&ticket, 1).await.expect(201);
    pay_and_confirm(&buyer, &order).await;
    buyer.until_order(&order, "complete").await;
    assert!(docket.terminate().await, "what it still knows of traces is sent when it stops");

    let paid = format!("payments.v1.{}", order["id"].as_str().unwrap());
    let trace = eventually("the click on the page, and what the bank told much later, in one trace", 10, || async {
        let clicks = collector.traces("docket", "POST /orders/{id}/pay");
        clicks.into_iter().find(|trace| trace.spans.iter().any(|span| span.name == "settle"))
    })
    .await;
    assert!(trace.is_one_tree(), "{trace:#?}");
    assert!(trace.spans.iter().any(|span| span.name == "POST /api/payments"), "{trace:#?}");
    assert!(heard_in(&trace, "orders").iter().any(|subject| subject.ends_with(&paid)), "{trace:#?}");
    assert!(!heard_in(&trace, "expiration").is_empty(), "the order that is complete ends its timer: {trace:#?}");
    app.stop().await;
}
