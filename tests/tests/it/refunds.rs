//! Refunds: each made once, and each made in the end, whatever gets lost on the way.

use docket_tests::{App, FaultProxy, Person, eventually, ops_of, servers};
use reqwest::Method;
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::payments::{bearer, intent_of, path, stripe, text};

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
    let (app, seller, order) = asked_under(json!({ "when": "before", "remembered": true })).await;
    let last = until_refund(&seller, &order, 120).await;
    assert_one_refund(&app, &seller, &order, &last).await;
    app.stop().await;
}

/// The seller's call does not wait so long; whoever looks meanwhile is told that the key is in use.
#[tokio::test(flavor = "multi_thread")]
async fn a_refund_on_which_stripe_works_for_long_is_made_once() {
    let (app, seller, order) = asked_under(json!({ "kind": "slow", "hang_ms": 20_000 })).await;
    let last = until_refund(&seller, &order, 120).await;
    let worked = stripe(&app).get("/test/calls").await.expect(200)["POST /v1/refunds"].clone();
    assert_eq!(worked, 1, "a second key was used while the first was at work");
    assert_one_refund(&app, &seller, &order, &last).await;
    app.stop().await;
}

/// The secret key was revoked, say. That is no fault of a buyer's, and no answer to a refund's key.
#[tokio::test(flavor = "multi_thread")]
async fn while_stripe_refuses_the_key_nothing_is_refused_and_everything_is_done_later() {
    let refused = json!({ "count": 10_000, "when": "before", "status": 401 });
    let (app, seller, order) = asked_under(refused.clone()).await;
    suffer(&app, "/v1/payment_intents", refused).await;
    let buyer = app.sign_up().await;
    let open = buyer.hold(&seller.sell(1).await, 1).await.expect(201);
    let pay = buyer.pay(&open, "pm_card_visa").await;
    assert!(pay.headers.contains_key("retry-after"), "{pay:?}");
    pay.problem(503, "unavailable");
    until_stripe_is(&app, false).await;
    stripe(&app).delete("/test/faults").await.expect(204);
    buyer.pay(&open, "pm_card_visa").await.expect(201);
    let last = until_refund(&seller, &order, 60).await;
    until_stripe_is(&app, true).await;
    assert_one_refund(&app, &seller, &order, &last).await;
    let payments = app.database("payments").await.collection::<bson::Document>("payments");
    let kept = payments.find_one(bson::doc! { "_id": text(&order["id"]) }).await.unwrap().unwrap();
    let spent = kept.get_document("spentKeys").is_ok_and(|keys| !keys.is_empty());
    assert!(!spent && !kept.contains_key("keysFailSince"), "a key was blamed: {kept}");
    app.stop().await;
}

/// What operators read at `/status`.
async fn until_stripe_is(app: &App, well: bool) {
    eventually(&format!("stripe is well: {well}"), 20, || async {
        let (_, status) = ops_of(&app.ops(), "/status").await.unwrap();
        let status: Value = serde_json::from_str(&status).unwrap();
        (status["shared"]["stripe"]["well"] == well).then_some(())
    })
    .await;
}

/// Whoever made the second one, the money has gone.
#[tokio::test(flavor = "multi_thread")]
async fn two_refunds_at_stripe_with_one_id_of_ours_are_both_in_the_ledger() {
    let app = App::start().await;
    let (seller, order) = paid(&app).await;
    let refunds = format!("{}/refunds", path(&order));
    let made = seller.post(&refunds, json!({ "amount": FIVE })).await.expect(201);
    let id = text(&made["refunds"][0]["id"]);
    let bearer = bearer(&app);
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/x-www-form-urlencoded")];
    let again = format!("payment_intent={}&amount=300&metadata[refund]={id}", intent_of(&app, &order).await);
    stripe(&app).send_raw(Method::POST, "/v1/refunds", &headers, again).await.expect(200);
    let both = eventually("both are in the ledger", 30, || async {
        let payment = seller.get(&path(&order)).await.expect(200);
        (payment["refunded"] == "8.00").then_some(payment)
    })
    .await;
    assert_eq!(both["refunds"].as_array().map(Vec::len), Some(2), "{both}");
    let (_, metrics) = ops_of(&app.ops(), "/metrics").await.unwrap();
    let counted = metrics.lines().find(|line| line.starts_with("payments_refunds_doubled_total")).unwrap();
    assert!(!counted.ends_with(" 0"), "{counted}");
    // What is left can be given back, and no more.
    let all = seller.post(&refunds, json!({})).await.expect(201);
    assert_eq!((&all["refunded"], &all["status"]), (&json!("19.99"), &json!("refunded")), "{all}");
    app.stop().await;
}

/// An answer says no, and the books say yes: the order does not stay `refunding` for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_refund_that_stripe_made_and_refused_to_have_made_ends() {
    let app = App::start().await;
    let (seller, order) = paid(&app).await;
    suffer(&app, "/v1/refunds", json!({ "when": "after", "status": 400 })).await;
    seller.post(&format!("{}/refunds", path(&order)), json!({})).await.problem(409, "refund_refused");
    let ended = eventually("all the money is known to have gone back", 60, || async {
        let payment = seller.get(&path(&order)).await.expect(200);
        (payment["status"] == "refunded").then_some(payment)
    })
    .await;
    assert_eq!(ended["refunded"], "19.99", "{ended}");
    eventually("the order is refunded", 30, || async {
        let order = seller.get(&format!("/api/orders/{}", text(&order["id"]))).await.expect(200);
        (order["status"] == "refunded").then_some(())
    })
    .await;
    app.stop().await;
}

/// The next calls that do something at `path` suffer from `fault`.
async fn suffer(app: &App, path: &str, mut fault: Value) {
    fault["method"] = json!("POST");
    fault["path"] = json!(path);
    stripe(app).post("/test/faults", fault).await.expect(204);
}

/// A paid order whose refund was asked for while Stripe suffers from `fault`, and is not made yet.
async fn asked_under(fault: Value) -> (App, Person, Value) {
    let app = App::start().await;
    let (seller, order) = paid(&app).await;
    suffer(&app, "/v1/refunds", fault).await;
    let asked = until_given_back(&seller, &order).await;
    assert_eq!(asked["refunds"][0]["status"], "started", "{asked}");
    (app, seller, order)
}

async fn until_refund(seller: &Person, order: &Value, seconds: u64) -> Value {
    eventually("the refund is made", seconds, || async {
        let payment = seller.get(&path(order)).await.expect(200);
        (payment["refunds"][0]["status"] == "succeeded").then_some(payment)
    })
    .await
}

async fn paid(app: &App) -> (Person, Value) {
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let order = buyer.buy(&seller.sell(1).await, 1).await;
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

/// Where the MongoDB of the run is.
pub(crate) fn mongodb() -> std::net::SocketAddr {
    let uri = servers().mongodb_uri;
    let hosts = uri.split("//").nth(1).unwrap();
    hosts.split(['/', ',']).next().unwrap().parse().unwrap()
}
