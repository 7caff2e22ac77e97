//! A hold that is asked for again under its key is made once, whatever failed in between.

use bson::doc;
use docket_tests::{Answer, App, Person, eventually};
use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use super::{counts, id, lose_answers, refuse, refuse_nothing};

async fn hold(buyer: &Person, ticket: &Value, key: &str) -> Answer {
    let wish = json!({ "ticketId": ticket["id"], "quantity": 2 });
    buyer.send(Method::POST, "/api/orders", &[("idempotency-key", key)], wish).await
}

async fn orders_of(buyer: &Person) -> Vec<Value> {
    buyer.get("/api/orders").await.expect(200)["items"].as_array().unwrap().clone()
}

async fn until_held(app: &App, ticket: &Value, places: i32) {
    let found = eventually("holds are no longer pending", 30, || async {
        let (held, _, pending) = counts(app, ticket).await;
        (pending == 0).then_some(held)
    });
    assert_eq!(found.await, places);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_that_failed_in_the_middle_is_made_once() {
    let app = App::start().await;
    let seller = app.sign_up().await;
    for collection in ["orders", "inventories"] {
        let (ticket, buyer) = (seller.sell(10).await, app.sign_up().await);
        // The listing is known to orders before anything fails.
        let other = app.sign_up().await.hold(&ticket, 1).await.expect(201);
        refuse(&app, collection, doc! { "version": -1 }).await;
        hold(&buyer, &ticket, "one").await.expect(500);
        refuse_nothing(&app, collection).await;
        let order = hold(&buyer, &ticket, "one").await.expect(201);
        assert_ne!(order["id"], other["id"]);
        assert_eq!(hold(&buyer, &ticket, "one").await.expect(201)["id"], order["id"]);
        until_held(&app, &ticket, 3).await;
        assert_eq!(orders_of(&buyer).await.len(), 1, "{collection}");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_not_kept_is_given_again() {
    let app = App::start().await;
    let seller = app.sign_up().await;
    let (ticket, buyer) = (seller.sell(10).await, app.sign_up().await);
    app.sign_up().await.hold(&ticket, 1).await.expect(201);
    refuse(&app, "idempotency", doc! { "answer": null }).await;
    let order = hold(&buyer, &ticket, "one").await.expect(201);
    refuse_nothing(&app, "idempotency").await;
    lose_answers(&app).await;
    let again = hold(&buyer, &ticket, "one").await.expect(201);
    assert_eq!(again, order);
    until_held(&app, &ticket, 3).await;

    // The order as it is, although it has ended, and although the listing has too.
    buyer.delete(&format!("/api/orders/{}", id(&order))).await.expect(200);
    seller.delete(&format!("/api/tickets/{}", id(&ticket))).await.expect(200);
    lose_answers(&app).await;
    let ended = hold(&buyer, &ticket, "one").await.expect(201);
    assert_eq!((&ended["id"], &ended["status"]), (&order["id"], &json!("cancelled")));
    until_held(&app, &ticket, 1).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_free_order_whose_completion_failed_is_held_and_completes_by_itself() {
    let app = App::start().await;
    let seller = app.sign_up().await;
    let show = json!({ "title": "Open day", "price": "0", "quantity": 10 });
    let (ticket, buyer) = (seller.list(show).await.expect(201), app.sign_up().await);
    app.sign_up().await.hold(&ticket, 1).await.expect(201);
    refuse(&app, "orders", doc! { "state": "created" }).await;
    let order = hold(&buyer, &ticket, "one").await.expect(201);
    assert_eq!(order["status"], "created");
    refuse_nothing(&app, "orders").await;
    assert_eq!(hold(&buyer, &ticket, "one").await.expect(201)["id"], order["id"]);
    buyer.until_order_within(60, &order, "complete").await;
    buyer.until_counts(&ticket, 0, 3).await;
    assert_eq!(orders_of(&buyer).await.len(), 1);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_repetitions_at_once_make_one_order() {
    let app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let ticket = seller.sell(100).await;
    let mut made = Vec::new();
    for _ in 0..3 {
        let answers = join_all((0..20).map(|_| hold(&buyer, &ticket, "one"))).await;
        for answer in answers {
            match answer.status {
                201 => made.push(answer.body["id"].clone()),
                _ => drop(answer.problem(409, "request_in_progress")),
            }
        }
        lose_answers(&app).await;
    }
    made.dedup();
    assert_eq!(made.len(), 1, "{made:?}");
    until_held(&app, &ticket, 2).await;
    assert_eq!(orders_of(&buyer).await.len(), 1);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_that_is_sent_again_admits_once_and_says_so_twice() {
    let app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let order = buyer.hold(&seller.sell(1).await, 1).await.expect(201);
    buyer.pay(&order, "pm_card_visa").await.expect(201);
    buyer.until_order(&order, "complete").await;
    let scan = json!({ "code": buyer.passes(&order).await[0]["code"], "place": "north door" });
    let scanned = |key: &'static str| {
        let (seller, scan) = (seller.clone(), scan.clone());
        async move { seller.send(Method::POST, "/api/passes/check-in", &[("idempotency-key", key)], scan).await }
    };
    let first = scanned("scan-1").await.expect(200);
    assert_eq!(scanned("scan-1").await.expect(200), first, "the kept answer");
    lose_answers(&app).await;
    assert_eq!(scanned("scan-1").await.expect(200), first, "the answer was lost after the write");
    scanned("scan-2").await.problem(409, "already_checked_in");
    seller.post("/api/passes/check-in", scan.clone()).await.problem(409, "already_checked_in");
    let orders = app.database("orders").await.collection::<bson::Document>("orders");
    let stored = orders.find_one(doc! { "_id": id(&order) }).await.unwrap().unwrap();
    let admitted = stored.get("admitted").unwrap();
    assert!(matches!(admitted, bson::Bson::Int32(1) | bson::Bson::Int64(1)), "{admitted}");
    app.stop().await;
}
