//! The main job: sell, hold, pay, get passes, be admitted. In one process, and the money's side paths.

use docket_tests::{App, Person, eventually, spawn};
use reqwest::Method;
use serde_json::{Value, json};

use crate::sale::variables;

/// The walk of the README, by two people on any Docket that answers at the same address.
pub(crate) async fn walk(seller: &Person, buyer: &Person) {
    let ticket = seller.sell(10).await;
    let order = buyer.hold(&ticket, 2).await.expect(201);
    assert_eq!((&order["total"], &order["status"]), (&json!("39.98"), &json!("created")));
    seller.until_counts(&ticket, 2, 0).await;

    let payment = buyer.pay(&order, "pm_card_visa").await.expect(201);
    assert_eq!(payment["status"], "succeeded");
    buyer.until_order(&order, "complete").await;
    seller.until_counts(&ticket, 0, 2).await;

    let passes = buyer.passes(&order).await;
    assert_eq!(passes.len(), 2);
    let scan = json!({ "code": passes[0]["code"], "place": "north door" });
    seller.post("/api/passes/check-in", scan.clone()).await.expect(200);
    let second = seller.post("/api/passes/check-in", scan).await.problem(409, "already_checked_in");
    assert_eq!(second["place"], "north door");
    assert!(second["checkedInAt"].is_string());
}

/// Where a company's proxy leads to the world outside, its variables are set for every program.
#[tokio::test(flavor = "multi_thread")]
async fn no_proxy_stands_between_docket_and_itself() {
    let app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    seller.confirm().await;
    app.stop_serving().await;
    let proxies = ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];
    let nobody = proxies.map(|name| (name, "http://127.0.0.1:9".to_owned()));
    let docket = spawn("docket", &[variables(&app), nobody.to_vec()].concat()).await;
    walk(&seller.at(&docket.http), &buyer.at(&docket.http)).await;
    let page = buyer.at(&docket.http).send_raw(Method::GET, "/", &[], "").await;
    assert_eq!(page.status, 200);
    assert!(docket.terminate().await, "it stops in good order when asked");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_is_sold_paid_and_used() {
    let app = App::start().await;
    walk(&app.sign_up().await, &app.sign_up().await).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decline_keeps_the_hold_and_another_card_pays() {
    let app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let ticket = seller.sell(1).await;
    let order = buyer.hold(&ticket, 1).await.expect(201);
    let declined = buyer.pay(&order, "pm_card_chargeDeclinedInsufficientFunds").await.problem(402, "payment_declined");
    assert_eq!(declined["declineCode"], "insufficient_funds");
    let held = buyer.get(&path(&order)).await.expect(200);
    assert!(["created", "awaiting_payment"].contains(&held["status"].as_str().unwrap()), "{held}");
    buyer.pay(&order, "pm_card_visa").await.expect(201);
    buyer.until_order(&order, "complete").await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_double_clicks_make_one_charge() {
    let app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let ticket = seller.sell(1).await;
    let order = buyer.hold(&ticket, 1).await.expect(201);
    let clicks = (0..20).map(|_| buyer.pay(&order, "pm_card_visa"));
    for answer in futures::future::join_all(clicks).await {
        // One person waits only so often at a time for payments to hear of an order.
        let later = answer.status == 503 && answer.headers.contains_key("retry-after");
        assert!([200, 201, 409].contains(&answer.status) || later, "{answer:?}");
    }
    buyer.until_order(&order, "complete").await;
    let charges = charges(&app, &order).await;
    assert_eq!((&charges["succeeded"], &charges["refunded"]), (&json!(1), &json!(0)), "{charges}");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_of_three_seconds_ends_and_its_place_is_sold_again() {
    let app = App::with(|settings| settings.hold_seconds = 3).await;
    let (seller, first, second) = (app.sign_up().await, app.sign_up().await, app.sign_up().await);
    let ticket = seller.sell(1).await;
    let order = first.hold(&ticket, 1).await.expect(201);
    second.hold(&ticket, 1).await.problem(409, "sold_out");
    first.until_order(&order, "expired").await;
    seller.until_counts(&ticket, 0, 0).await;
    first.pay(&order, "pm_card_visa").await.problem(409, "order_not_payable");
    let again = second.hold(&ticket, 1).await.expect(201);
    second.pay(&again, "pm_card_visa").await.expect(201);
    second.until_order(&again, "complete").await;

    // The broker tells of its deadline all the same, before that of a later hold.
    let other = seller.sell(1).await;
    let later = first.hold(&other, 1).await.expect(201);
    first.until_order(&later, "expired").await;
    second.until_order(&again, "complete").await;
    assert_eq!(seller.until_counts(&ticket, 0, 1).await["available"], 0);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_expiration_holds_end_all_the_same_within_half_a_minute() {
    let services = App::services().into_iter().filter(|service| service.name() != "expiration").collect();
    let app = App::of(services, |settings| settings.hold_seconds = 2).await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let ticket = seller.sell(1).await;
    let order = buyer.hold(&ticket, 1).await.expect(201);
    buyer.until_order_within(30, &order, "expired").await;
    seller.until_counts(&ticket, 0, 0).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_hold_gives_its_places_back_once() {
    let app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let ticket = seller.sell(5).await;
    let order = buyer.hold(&ticket, 3).await.expect(201);
    let other = buyer.hold(&ticket, 2).await.expect(201);
    let first = buyer.delete(&path(&order)).await.expect(200);
    let second = buyer.delete(&path(&order)).await.expect(200);
    assert_eq!((&first, &first["status"]), (&second, &json!("cancelled")));
    seller.until_counts(&ticket, 2, 0).await;
    buyer.delete(&path(&other)).await.expect(200);
    seller.until_counts(&ticket, 0, 0).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paid_order_that_is_given_back_is_refunded_in_full_and_its_passes_are_void() {
    let app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let ticket = seller.sell(2).await;
    let order = buyer.hold(&ticket, 2).await.expect(201);
    buyer.pay(&order, "pm_card_visa").await.expect(201);
    buyer.until_order(&order, "complete").await;
    let pass = buyer.passes(&order).await.remove(0);
    buyer.delete(&path(&order)).await.expect(200);
    buyer.until_order(&order, "refunded").await;
    seller.until_counts(&ticket, 0, 0).await;
    seller.post("/api/passes/check-in", json!({ "code": pass["code"] })).await.problem(409, "pass_void");
    assert_eq!(charges(&app, &order).await["refunded"], 3998);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_d_secure_is_finished_by_the_webhook() {
    let app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let ticket = seller.sell(1).await;
    let order = buyer.hold(&ticket, 1).await.expect(201);
    let payment = buyer.pay(&order, "pm_card_threeDSecure2Required").await.expect(201);
    assert_eq!(payment["status"], "requires_action");
    let page = payment["nextAction"].as_str().unwrap();
    let intent = page.rsplit('/').next().unwrap();
    let bank = Person::visitor(&app.stripe());
    bank.post(&format!("/test/payment_intents/{intent}/authenticate"), json!({ "outcome": "succeeded" }))
        .await
        .expect(200);
    buyer.until_order(&order, "complete").await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn free_places_need_no_payment() {
    let app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let ticket = seller.list(json!({ "title": "Open day", "price": 0, "quantity": 3 })).await.expect(201);
    let order = buyer.hold(&ticket, 2).await.expect(201);
    assert_eq!(order["status"], "complete");
    assert_eq!(buyer.passes(&order).await.len(), 2);
    seller.until_counts(&ticket, 0, 2).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_leads_from_the_click_through_the_outbox_to_the_listeners() {
    let app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let ticket = seller.sell(1).await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let traceparent = format!("00-{trace}-00f067aa0ba902b7-01");
    let wanted = json!({ "ticketId": ticket["id"] });
    let order = buyer.send(Method::POST, "/api/orders", &[("traceparent", &traceparent)], wanted).await.expect(201);
    // The inventory's change is told by orders, and the availability in tickets is a listener's work of the same order.
    let id = order["id"].as_str().unwrap();
    let published = async |name: &str| {
        let events = app.published("orders").await;
        events.into_iter().find(|event| event.aggregate == id && event.name == name)
    };
    let created = eventually("order.created published", 10, || published("order.created")).await;
    assert!(created.traceparent.as_deref().unwrap().contains(trace), "{created:?}");
    let paying = "5bf92f3577b34da6a3ce929d0e0e4737";
    let header = format!("00-{paying}-00f067aa0ba902b7-01");
    let pay = json!({ "orderId": order["id"], "paymentMethod": "pm_card_visa" });
    buyer.send(Method::POST, "/api/payments", &[("traceparent", &header)], pay).await.expect(201);
    let completed = eventually("order.completed published", 10, || published("order.completed")).await;
    assert!(
        completed.traceparent.as_deref().unwrap().contains(paying),
        "raised by a listener, in the buyer's trace: {completed:?}"
    );
    app.stop().await;
}

fn path(order: &Value) -> String {
    format!("/api/orders/{}", order["id"].as_str().unwrap())
}

async fn charges(app: &App, order: &Value) -> Value {
    let order = order["id"].as_str().unwrap();
    Person::visitor(&app.stripe()).get(&format!("/test/charges?metadata[order]={order}")).await.expect(200)
}
