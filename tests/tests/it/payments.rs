//! Payments: the way of the money, with webhooks and Stripe at their worst.

use docket_stripe::{Options, StripeStandIn};
use docket_tests::{App, FaultProxy, Person, eventually};
use futures::TryStreamExt as _;
use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn a_card_token_pays_and_each_side_sees_its_part() {
    let app = App::start().await;
    let (seller, buyer, stranger) = (app.sign_up().await, app.sign_up().await, app.sign_up().await);
    let config = json!({ "testMode": true, "publishableKey": null });
    assert_eq!(stranger.get("/api/payments/config").await.expect(200), config);
    let order = buyer.hold(&seller.sell(2).await, 1).await.expect(201);
    let both = json!({ "orderId": order["id"], "token": "tok_visa", "paymentMethod": "pm_card_visa" });
    buyer.post("/api/payments", both).await.refuses("token");
    let nonsense = json!({ "orderId": order["id"], "paymentMethod": "pm_card_nonsense" });
    buyer.post("/api/payments", nonsense).await.refuses("paymentMethod");
    let paid = buyer.post("/api/payments", json!({ "orderId": order["id"], "token": "tok_visa" })).await.expect(201);
    assert_eq!(
        (&paid["status"], &paid["amount"], &paid["currency"]),
        (&json!("succeeded"), &json!("19.99"), &json!("usd"))
    );
    assert!(paid.get("clientSecret").is_none(), "what is paid needs no secret: {paid}");

    let own = buyer.get(&format!("/api/payments?orderId={}", text(&order["id"]))).await.expect(200);
    assert_eq!(own["items"][0]["id"], order["id"]);
    assert_eq!(buyer.get("/api/payments").await.expect(200)["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(stranger.get("/api/payments").await.expect(200)["items"], json!([]));
    assert!(buyer.get(&path(&order)).await.expect(200)["buyerId"].is_string());
    assert!(seller.get(&path(&order)).await.expect(200).get("buyerId").is_none());
    buyer.pay(&order, "pm_card_mastercard").await.problem(409, "already_paid");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_record_of_an_answer_keeps_a_client_secret() {
    let app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let order = buyer.hold(&seller.sell(1).await, 1).await.expect(201);
    let keyed = |body: Value| {
        let key = [("Idempotency-Key", text(&order["id"]))];
        let buyer = &buyer;
        async move { buyer.send(Method::POST, "/api/payments", &key, body).await.expect(201) }
    };
    let begun = keyed(json!({ "orderId": order["id"] })).await;
    assert!(text(&begun["clientSecret"]).contains("_secret_"), "{begun}");
    assert_eq!(keyed(json!({ "orderId": order["id"] })).await["clientSecret"], begun["clientSecret"]);
    let records = app.database("payments").await.collection::<bson::RawDocumentBuf>("idempotency");
    let kept: Vec<bson::RawDocumentBuf> = records.find(bson::doc! {}).await.unwrap().try_collect().await.unwrap();
    assert!(!kept.is_empty());
    for record in kept {
        assert!(!String::from_utf8_lossy(record.as_bytes()).contains("_secret_"), "{record:?}");
    }
    app.stop().await;
}

/// A connection to Stripe costs a buyer more time than a call over it.
#[tokio::test(flavor = "multi_thread")]
async fn calls_go_over_connections_that_are_there() {
    let stripe = StripeStandIn::start(Options::default()).await.unwrap();
    let proxy = FaultProxy::before(stripe.base_url().trim_start_matches("http://").parse().unwrap()).await;
    let way = format!("http://127.0.0.1:{}", proxy.port()).parse().unwrap();
    let app = App::with(|settings| settings.stripe_api_base = Some(way)).await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let ticket = seller.sell(5).await;
    for _ in 0..5 {
        let order = buyer.hold(&ticket, 1).await.expect(201);
        buyer.pay(&order, "pm_card_visa").await.expect(201);
        buyer.until_order(&order, "complete").await;
    }
    assert!(proxy.taken() <= 2, "ten calls, one after the other, over {} connections", proxy.taken());
    app.stop().await;
    stripe.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_pays_with_the_client_secret() {
    let app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let order = buyer.hold(&seller.sell(1).await, 1).await.expect(201);
    let wish = json!({ "orderId": order["id"] });
    let (first, second) = (buyer.post("/api/payments", wish.clone()).await, buyer.post("/api/payments", wish).await);
    let (first, second) = (first.expect(201), second.expect(201));
    assert_eq!((&first["status"], &first["clientSecret"]), (&json!("initiated"), &second["clientSecret"]));
    let intent = intent_of(&app, &order).await;
    assert!(text(&first["clientSecret"]).starts_with(&intent));
    confirm_in_the_browser(&app, &intent).await;
    buyer.until_order(&order, "complete").await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_learns_the_key_that_browsers_use() {
    let app = App::with(|settings| settings.stripe_publishable_key = Some("pk_test_shop".to_owned())).await;
    assert_eq!(app.visitor().get("/api/payments/config").await.expect(200)["publishableKey"], "pk_test_shop");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_learns_why_a_card_was_declined() {
    let app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let order = buyer.hold(&seller.sell(1).await, 1).await.expect(201);
    let of_order = format!("/api/payments?orderId={}", text(&order["id"]));
    buyer.pay(&order, "pm_card_chargeDeclinedInsufficientFunds").await.problem(402, "payment_declined");
    let failed = buyer.get(&of_order).await.expect(200)["items"][0].clone();
    assert_eq!((&failed["status"], &failed["lastDecline"]["code"]), (&json!("failed"), &json!("insufficient_funds")));
    assert!(text(&failed["lastDecline"]["message"]).contains("money"), "{failed}");
    buyer.pay(&order, "pm_card_visa").await.expect(201);
    let paid = buyer.get(&of_order).await.expect(200)["items"][0].clone();
    assert!(paid["status"] == "succeeded" && paid.get("lastDecline").is_none(), "{paid}");
    app.stop().await;
}

/// Without `DOCKET_PUBLIC_URL` too, where the port is known only once it is bound.
#[tokio::test(flavor = "multi_thread")]
async fn the_bank_sends_the_buyer_back_to_the_order() {
    let app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let order = buyer.hold(&seller.sell(1).await, 1).await.expect(201);
    let begun = buyer.pay(&order, "pm_card_threeDSecure2Required").await.expect(201);
    let again = buyer.post("/api/payments", json!({ "orderId": order["id"] })).await.expect(201);
    assert_eq!((&begun["status"], &begun["nextAction"]), (&json!("requires_action"), &again["nextAction"]));

    let browser = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let form = ("content-type", "application/x-www-form-urlencoded");
    let approve = browser.post(text(&begun["nextAction"])).header(form.0, form.1).body("decision=approve");
    let answer = approve.send().await.unwrap();
    assert_eq!(answer.status(), 303);
    let back = answer.headers()["location"].to_str().unwrap();
    let page = format!("{}/orders/{}?", app.base(), text(&order["id"]));
    assert!(back.starts_with(&page) && back.contains("redirect_status=succeeded"), "{back}");
    buyer.until_order(&order, "complete").await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn late_doubled_forged_and_stale_webhooks_do_no_harm() {
    let app = App::start().await;
    let (seller, buyer, stripe) = (app.sign_up().await, app.sign_up().await, stripe(&app));
    let mode = json!({ "hold": true, "duplicate": 1, "shuffle": true });
    stripe.post("/test/webhooks/mode", mode).await.expect(204);
    let order = buyer.hold(&seller.sell(1).await, 1).await.expect(201);
    buyer.pay(&order, "pm_card_chargeDeclined").await.problem(402, "payment_declined");
    buyer.pay(&order, "pm_card_visa").await.expect(201);
    buyer.until_order(&order, "complete").await;
    let before = buyer.get(&path(&order)).await.expect(200);
    stripe.post("/test/webhooks/flush", json!({})).await.expect(200);
    for signature in ["wrong", "stale", "valid"] {
        stripe.post("/test/webhooks/redeliver", json!({ "signature": signature, "shuffle": true })).await.expect(200);
    }
    let deliveries = stripe.get("/test/webhooks/deliveries").await.expect(200);
    let deliveries = deliveries["data"].as_array().cloned().unwrap_or_default();
    assert!(
        deliveries.iter().any(|delivery| delivery["status"] == 400)
            && deliveries.iter().any(|delivery| delivery["status"] == 200)
    );
    assert_eq!(buyer.get(&path(&order)).await.expect(200), before);
    app.visitor()
        .post("/api/payments/webhook", json!({ "type": "payment_intent.succeeded" }))
        .await
        .problem(400, "webhook_not_genuine");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seller_gives_back_a_part_then_the_rest_and_no_more() {
    let app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let order = buyer.hold(&seller.sell(1).await, 1).await.expect(201);
    let refunds = format!("{}/refunds", path(&order));
    buyer.pay(&order, "pm_card_visa").await.expect(201);
    buyer.until_order(&order, "complete").await;
    buyer.post(&refunds, json!({})).await.problem(403, "not_the_seller");
    app.sign_up().await.post(&refunds, json!({})).await.problem(404, "not_found");
    seller.post(&refunds, json!({ "amount": "0" })).await.refuses("amount");
    seller.post(&refunds, json!({ "amount": "5.005" })).await.refuses("amount");
    let part = seller.post(&refunds, json!({ "amount": "5", "reason": "rain" })).await.expect(201);
    assert_eq!((&part["status"], &part["refunded"]), (&json!("partially_refunded"), &json!("5.00")));
    let over = seller.post(&refunds, json!({ "amount": 15 })).await.problem(409, "refund_exceeds_payment");
    assert_eq!(over["left"], "14.99");
    let rest = seller.post(&refunds, json!({})).await.expect(201);
    assert_eq!((&rest["status"], &rest["refunded"]), (&json!("refunded"), &json!("19.99")));
    buyer.until_order(&order, "refunded").await;
    seller.post(&refunds, json!({})).await.problem(409, "refund_exceeds_payment");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bank_that_decides_after_the_deadline_decides() {
    let app = App::with(|settings| settings.hold_seconds = 3).await;
    let (seller, buyer, stripe) = (app.sign_up().await, app.sign_up().await, stripe(&app));
    let ticket = seller.sell(2).await;
    for (outcome, end) in [("succeeded", "complete"), ("failed", "expired")] {
        let order = buyer.hold(&ticket, 1).await.expect(201);
        assert_eq!(buyer.pay(&order, "pm_card_processing").await.expect(201)["status"], "processing");
        buyer.until_order(&order, "expiring").await;
        until_payment(&buyer, &order, "cancelling").await;
        buyer.pay(&order, "pm_card_visa").await.problem(409, "order_not_payable");
        let settle = format!("/test/payment_intents/{}/settle", intent_of(&app, &order).await);
        stripe.post(&settle, json!({ "outcome": outcome })).await.expect(200);
        buyer.until_order(&order, end).await;
    }
    seller.until_counts(&ticket, 0, 1).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_and_a_success_without_webhooks_are_settled_by_asking() {
    let app = App::with(|settings| settings.hold_seconds = 3).await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    stripe(&app).post("/test/webhooks/mode", json!({ "hold": true })).await.expect(204);
    let order = buyer.hold(&seller.sell(1).await, 1).await.expect(201);
    buyer.post("/api/payments", json!({ "orderId": order["id"] })).await.expect(201);
    confirm_in_the_browser(&app, &intent_of(&app, &order).await).await;
    buyer.until_order(&order, "complete").await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_get_lost_charge_and_refund_once() {
    let app = App::start().await;
    let (seller, buyer, stripe) = (app.sign_up().await, app.sign_up().await, stripe(&app));
    let order = buyer.hold(&seller.sell(1).await, 1).await.expect(201);
    for (lost, remembered) in [("/v1/payment_intents", false), ("/confirm", true)] {
        let fault =
            json!({ "method": "POST", "path": lost, "kind": "error", "when": "after", "remembered": remembered });
        stripe.post("/test/faults", fault).await.expect(204);
    }
    let paid = buyer.pay(&order, "pm_card_visa").await;
    assert!([201, 503].contains(&paid.status), "{paid:?}");
    buyer.until_order(&order, "complete").await;
    stripe
        .post("/test/faults", json!({ "count": 6, "method": "POST", "path": "/v1/refunds", "when": "after" }))
        .await
        .expect(204);
    seller.post(&format!("{}/refunds", path(&order)), json!({})).await.expect(201);
    buyer.until_order(&order, "refunded").await;
    let charges = stripe.get(&format!("/test/charges?metadata[order]={}", text(&order["id"]))).await.expect(200);
    assert_eq!((&charges["succeeded"], &charges["refunded"]), (&json!(1), &json!(1999)), "{charges}");
    app.stop().await;
}

/// After an outage Stripe's webhooks come in any order.
#[tokio::test(flavor = "multi_thread")]
async fn a_refund_made_at_stripe_is_known_though_its_webhook_comes_before_that_of_the_payment() {
    let app = App::start().await;
    let (seller, buyer, stripe) = (app.sign_up().await, app.sign_up().await, stripe(&app));
    let order = buyer.hold(&seller.sell(1).await, 1).await.expect(201);
    buyer.post("/api/payments", json!({ "orderId": order["id"] })).await.expect(201);
    let intent = intent_of(&app, &order).await;
    stripe.post("/test/webhooks/mode", json!({ "hold": true })).await.expect(204);
    confirm_in_the_browser(&app, &intent).await;
    let bearer = bearer(&app);
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/x-www-form-urlencoded")];
    let refund = format!("payment_intent={intent}");
    stripe.send_raw(Method::POST, "/v1/refunds", &headers, refund).await.expect(200);
    let events = stripe.send(Method::GET, "/v1/events?type=charge.refunded", &headers, Value::Null).await.expect(200);
    let first = json!({ "event": events["data"][0]["id"] });
    stripe.post("/test/webhooks/redeliver", first).await.expect(200);
    until_payment(&buyer, &order, "refunded").await;
    buyer.until_order(&order, "refunded").await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thief_is_told_no_more_than_anybody() {
    let app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let order = buyer.hold(&seller.sell(1).await, 1).await.expect(201);
    let refused = buyer.pay(&order, "pm_card_chargeDeclinedStolenCard").await.problem(402, "payment_declined");
    assert_eq!(refused["declineCode"], "generic_decline", "{refused}");
    for person in [&buyer, &seller] {
        let shown = person.get(&path(&order)).await.expect(200);
        assert!(!shown.to_string().contains("stolen") && shown["lastDecline"]["code"] == "generic_decline", "{shown}");
    }
    app.stop().await;
}

/// What is left of a request whose answer was not kept: the process was killed.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_click_after_a_decline_is_told_the_same_and_tries_no_card_again() {
    let app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let order = buyer.hold(&seller.sell(1).await, 1).await.expect(201);
    let click = async || {
        let wish = json!({ "orderId": order["id"], "paymentMethod": "pm_card_chargeDeclinedInsufficientFunds" });
        let key = [("Idempotency-Key", text(&order["id"]))];
        buyer.send(Method::POST, "/api/payments", &key, wish).await.problem(402, "payment_declined")
    };
    let first = click().await;
    let records = app.database("payments").await.collection::<bson::Document>("idempotency");
    let ran_out = bson::doc! { "$set": { "leaseUntil": bson::DateTime::from_millis(0), "answer": null } };
    assert_eq!(records.update_many(bson::doc! {}, ran_out).await.unwrap().modified_count, 1);
    let again = click().await;
    assert_eq!((&again["declineCode"], &again["detail"]), (&first["declineCode"], &first["detail"]));
    let charges = stripe(&app).get(&format!("/test/charges?metadata[order]={}", text(&order["id"]))).await.expect(200);
    assert_eq!(charges["failed"], 1, "the bank was asked again");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_tries_card_after_card_on_one_order() {
    let app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let order = buyer.hold(&seller.sell(1).await, 1).await.expect(201);
    for _ in 0..10 {
        buyer.pay(&order, "pm_card_chargeDeclined").await.problem(402, "payment_declined");
    }
    for card in ["pm_card_chargeDeclined", "pm_card_visa"] {
        buyer.pay(&order, card).await.problem(409, "too_many_attempts");
    }
    let charges = stripe(&app).get(&format!("/test/charges?metadata[order]={}", text(&order["id"]))).await.expect(200);
    assert_eq!((&charges["failed"], &charges["succeeded"]), (&json!(10), &json!(0)));
    app.stop().await;
}

/// Its bank says only days later whether money comes, and until then the places would be kept from others.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_pays_by_a_bank_debit_that_takes_days() {
    let app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let order = buyer.hold(&seller.sell(1).await, 1).await.expect(201);
    buyer.pay(&order, "pm_usBankAccount_success").await.refuses("paymentMethod");
    buyer.pay(&order, "pm_card_visa").await.expect(201);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_that_bounces_is_made_again() {
    let app = App::start().await;
    let (seller, buyer, stripe) = (app.sign_up().await, app.sign_up().await, stripe(&app));
    let order = buyer.hold(&seller.sell(1).await, 1).await.expect(201);
    buyer.pay(&order, "pm_card_visa").await.expect(201);
    buyer.until_order(&order, "complete").await;
    seller.post(&format!("{}/refunds", path(&order)), json!({})).await.expect(201);
    buyer.until_order(&order, "refunded").await;
    let refunds = format!("/v1/refunds?payment_intent={}", intent_of(&app, &order).await);
    let made = stripe.send(Method::GET, &refunds, &[("authorization", &bearer(&app))], Value::Null).await.expect(200);
    stripe.post(&format!("/test/refunds/{}/bounce", text(&made["data"][0]["id"])), json!({})).await.expect(200);
    eventually("the money went back again", 40, || async {
        let refunds = seller.get(&path(&order)).await.expect(200)["refunds"].clone();
        (refunds[0]["status"] == "failed" && refunds[1]["status"] == "succeeded").then_some(())
    })
    .await;
    app.stop().await;
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

pub(crate) fn path(order: &Value) -> String {
    format!("/api/payments/{}", text(&order["id"]))
}

pub(crate) fn stripe(app: &App) -> Person {
    Person::visitor(&app.stripe())
}

pub(crate) async fn until_payment(person: &Person, order: &Value, status: &str) {
    eventually(&format!("payment {status}"), 20, || async {
        (person.get(&path(order)).await.expect(200)["status"] == status).then_some(())
    })
    .await;
}

pub(crate) async fn intent_of(app: &App, order: &Value) -> String {
    let payments = app.database("payments").await.collection::<bson::Document>("payments");
    let payment = payments.find_one(bson::doc! { "_id": text(&order["id"]) }).await.unwrap().unwrap();
    payment.get_str("intent").unwrap().to_owned()
}

pub(crate) fn bearer(app: &App) -> String {
    let key = app.settings_used().stripe_secret_key.as_ref().unwrap();
    format!("Bearer {}", key.expose_secret())
}

/// What Stripe's elements do with the client secret; the stand-in asks for the secret key instead.
async fn confirm_in_the_browser(app: &App, intent: &str) {
    let bearer = bearer(app);
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/x-www-form-urlencoded")];
    let form = "payment_method=pm_card_visa&return_url=https%3A%2F%2Fshop.example%2F";
    stripe(app)
        .send_raw(Method::POST, &format!("/v1/payment_intents/{intent}/confirm"), &headers, form)
        .await
        .expect(200);
}
