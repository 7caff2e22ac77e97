//! Refunds: each made once, and each made in the end, whatever gets lost on the way.

use docket_tests::{App, FaultProxy, Person, eventually, servers};
use reqwest::Method;
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::payments::{path, stripe, text};

const FIVE: &str = "5";

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_whose_write_was_not_answered_is_made_once() {
    let proxy = FaultProxy::before(mongodb()).await;
    let way = format!("mongodb://127.0.0.1:{}/?directConnection=true", proxy.port());
    let app = App::with(|settings| settings.mongodb_uri = Some(SecretString::from(way))).await;
    let (seller, order) = paid(&app).await;
    proxy.lose_answer_to(b"payment.refund-started");
    let last = until_given_back(&seller, &order).await;
    assert!(!proxy.has_to_lose(), "the refund was written without the proxy");
    assert_one_refund(&app, &seller, &order, &last).await;
    app.stop().await;
}

/// What a process leaves that is killed between the refund and its answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_refund_whose_process_was_killed_before_it_answered_is_made_once() {
    let app = App::start().await;
    let (seller, order) = paid(&app).await;
    until_given_back(&seller, &order).await;
    let records = app.database("payments").await.collection::<bson::Document>("idempotency");
    let ran_out = bson::doc! { "$set": { "leaseUntil": bson::DateTime::from_millis(0), "answer": null } };
    let unanswered = records.update_many(bson::doc! { "_id": { "$regex": "first$" } }, ran_out).await.unwrap();
    assert_eq!(unanswered.modified_count, 1);
    let last = until_given_back(&seller, &order).await;
    assert_one_refund(&app, &seller, &order, &last).await;
    app.stop().await;
}

/// Stripe answers a key for 24 hours what it answered first, a 500 too.
#[tokio::test(flavor = "multi_thread")]
async fn a_refund_that_stripe_answered_with_a_saved_500_is_made_within_two_minutes() {
    let app = App::start().await;
    let (seller, order) = paid(&app).await;
    let fault = json!({ "method": "POST", "path": "/v1/refunds", "when": "before", "remembered": true });
    stripe(&app).post("/test/faults", fault).await.expect(204);
    let asked = until_given_back(&seller, &order).await;
    assert_eq!(asked["refunds"][0]["status"], "started", "{asked}");
    let last = eventually("the refund is made", 120, || async {
        let payment = seller.get(&path(&order)).await.expect(200);
        (payment["refunds"][0]["status"] == "succeeded").then_some(payment)
    })
    .await;
    assert_one_refund(&app, &seller, &order, &last).await;
    app.stop().await;
}

/// The seller's call does not wait so long; whoever looks meanwhile is told that the key is in use.
#[tokio::test(flavor = "multi_thread")]
async fn a_refund_on_which_stripe_works_for_long_is_made_once() {
    let app = App::start().await;
    let (seller, order) = paid(&app).await;
    let fault = json!({ "method": "POST", "path": "/v1/refunds", "kind": "slow", "hang_ms": 20_000 });
    stripe(&app).post("/test/faults", fault).await.expect(204);
    let asked = until_given_back(&seller, &order).await;
    assert_eq!(asked["refunds"][0]["status"], "started", "{asked}");
    let last = eventually("the refund is made", 120, || async {
        let payment = seller.get(&path(&order)).await.expect(200);
        (payment["refunds"][0]["status"] == "succeeded").then_some(payment)
    })
    .await;
    let worked = stripe(&app).get("/test/calls").await.expect(200)["POST /v1/refunds"].clone();
    assert_eq!(worked, 1, "a second key was used while the first was at work");
    assert_one_refund(&app, &seller, &order, &last).await;
    app.stop().await;
}

async fn paid(app: &App) -> (Person, Value) {
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let order = buyer.hold(&seller.sell(1).await, 1).await.expect(201);
    buyer.pay(&order, "pm_card_visa").await.expect(201);
    buyer.until_order(&order, "complete").await;
    (seller, order)
}

/// Asks under the same key until the answer is that it was done.
async fn until_given_back(seller: &Person, order: &Value) -> Value {
    let refunds = format!("{}/refunds", path(order));
    eventually("the refund is answered", 60, || async {
        let key = [("Idempotency-Key", "first")];
        let answer = seller.send(Method::POST, &refunds, &key, json!({ "amount": FIVE })).await;
        match answer.status {
            201 => Some(answer.body),
            // What was lost, and a first request that has not ended.
            503 | 409 => None,
            other => panic!("{other}: {}", answer.body),
        }
    })
    .await
}

async fn assert_one_refund(app: &App, seller: &Person, order: &Value, last: &Value) {
    let payment = seller.get(&path(order)).await.expect(200);
    assert_eq!(payment["refunds"].as_array().map(Vec::len), Some(1), "{payment}");
    assert_eq!((&payment["refunded"], &payment["refunds"]), (&json!("5.00"), &last["refunds"]));
    let charges = stripe(app).get(&format!("/test/charges?metadata[order]={}", text(&order["id"]))).await.expect(200);
    assert_eq!(charges["refunded"], 500, "{charges}");
}

fn mongodb() -> std::net::SocketAddr {
    let uri = servers().mongodb_uri;
    let hosts = uri.split("//").nth(1).unwrap();
    hosts.split(['/', ',']).next().unwrap().parse().unwrap()
}
