//! The dates of a show: its sale ends, and it may move.

use std::time::Duration;

use common::clock::{Clock as _, SystemClock, Time};
use docket_tests::{App, Browser, Person, eventually};
use reqwest::Method;
use serde_json::{Value, json};

use crate::door;

fn path(ticket: &Value) -> String {
    format!("/api/tickets/{}", ticket["id"].as_str().unwrap())
}

fn now() -> Time {
    SystemClock.now()
}

fn soon(seconds: u64) -> Time {
    now() + Duration::from_secs(seconds)
}

/// A listing with some more said about it.
async fn list(seller: &Person, more: Value) -> Value {
    let mut listing = json!({ "title": "Jazz night", "price": "19.99", "quantity": 10 });
    listing.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    seller.list(listing).await.expect(201)
}

/// Looks again and again until the answer says that the sale has ended. Before the moment none says so, and from it on each does.
async fn ends_exactly(end: Time, what: &str, look: impl AsyncFn() -> Value) {
    eventually(what, 30, || async {
        let (before, seen, after) = (now(), look().await, now());
        let (on_sale, ended) = (seen["onSale"].as_bool().unwrap(), seen["saleEnded"].as_bool().unwrap());
        assert_eq!(on_sale, !ended, "{seen}");
        assert!(before < end || ended, "{what} at {before}: {seen}");
        assert!(after >= end || on_sale, "{what} at {after}: {seen}");
        ended.then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sale_ends_when_its_show_begins_and_what_was_held_before_may_be_paid() {
    let app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let start = soon(5);
    let ticket = list(&seller, json!({ "startsAt": start.to_string() })).await;
    let order = buyer.hold(&ticket, 1).await.expect(201);
    let visitor = app.visitor();
    let first = visitor.get(&path(&ticket)).await;
    let tag = first.headers["etag"].to_str().unwrap().to_owned();
    let of_seller = format!("/api/tickets?sellerId={}", seller.id.as_str().unwrap());
    let page = async || visitor.get(&path(&ticket)).await.expect(200);
    let listed = async || visitor.get(&of_seller).await.expect(200)["items"][0].clone();
    tokio::join!(ends_exactly(start, "the page", page), ends_exactly(start, "the list", listed));
    visitor.send(Method::GET, &path(&ticket), &[("if-none-match", &tag)], Value::Null).await.expect(200);

    let refused = buyer.hold(&ticket, 1).await.problem(409, "sale_ended");
    assert_eq!(refused["saleEndedAt"], json!(start.to_string()));
    buyer.pay(&order, "pm_card_visa").await.expect(201);
    buyer.until_order(&order, "complete").await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seller_ends_a_sale_early_and_lets_it_go_on_after_the_start() {
    let app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let (early, start) = (soon(4), soon(3600));
    let over = json!({ "title": "Jazz", "price": 5, "saleEndsAt": now().to_string() });
    seller.list(over).await.refuses("saleEndsAt");
    let begun = json!({ "title": "Jazz", "price": 5, "startsAt": now().to_string() });
    seller.list(begun).await.refuses("startsAt");
    let times = json!({ "startsAt": start.to_string(), "saleEndsAt": early.to_string() });
    let ticket = list(&seller, times).await;
    let later = list(&seller, json!({ "title": "Later", "startsAt": soon(7200).to_string() })).await;
    let visitor = app.visitor();
    let listed = async || {
        let found = visitor.get("/api/tickets").await.expect(200);
        let items = found["items"].as_array().unwrap().clone();
        items.into_iter().map(|item| (item["id"].clone(), item["onSale"].clone())).collect::<Vec<_>>()
    };
    let in_order = |on_sale: bool| vec![(later["id"].clone(), json!(true)), (ticket["id"].clone(), json!(on_sale))];
    assert_eq!(listed().await[0].0, ticket["id"], "what comes soonest stands in front");
    eventually("what cannot be bought any more stands behind", 30, || async {
        (listed().await == in_order(false)).then_some(())
    })
    .await;
    buyer.hold(&ticket, 1).await.problem(409, "sale_ended");

    let began = now() - Duration::from_secs(60);
    let change = json!({ "title": "Jazz night", "price": "19.99", "startsAt": began.to_string(), "saleEndsAt": soon(600).to_string() });
    let changed = seller.put(&path(&ticket), change).await.expect(200);
    assert_eq!((&changed["onSale"], &changed["saleEnded"]), (&json!(true), &json!(false)));
    assert_eq!(listed().await[0].0, ticket["id"], "it has begun, and there are places left");
    eventually("orders has heard of it", 20, || async { (buyer.hold(&ticket, 1).await.status == 201).then_some(()) })
        .await;
    let change = json!({ "title": "Jazz night", "price": "19.99", "startsAt": began.to_string() });
    let changed = seller.put(&path(&ticket), change).await.expect(200);
    assert_eq!((&changed["onSale"], &changed["saleEndsAt"]), (&json!(false), &Value::Null));
    eventually("orders has heard of it", 20, || async {
        let answer = buyer.hold(&ticket, 1).await;
        (answer.status == 409 && answer.body["code"] == "sale_ended").then_some(())
    })
    .await;
    let undated = list(&seller, json!({ "title": "Whenever" })).await;
    assert_eq!((&undated["saleEndsAt"], &undated["onSale"]), (&Value::Null, &json!(true)));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_page_says_that_the_sale_has_ended() {
    let app = App::start().await;
    let seller = app.sign_up().await;
    let page = Browser::phone().visit(&app.base()).await;
    page.open("/").await;
    let ticket = list(&seller, json!({ "startsAt": soon(8).to_string(), "timeZone": "Europe/Rome" })).await;
    let shown = format!("/tickets/{}", ticket["id"].as_str().unwrap());
    page.open(&shown).await;
    page.see("10 places left").await;
    page.see("The sale has ended").await;
    page.see("It ended when the show began, on").await;
    page.see_no("Hold places").await;
    page.expect_accessible().await;
    page.expect_no_errors().await;
    page.open("/").await;
    page.see("The sale has ended").await;

    let own = Browser::desktop().visit_as(&seller).await;
    own.open(&format!("/sales/{}", ticket["id"].as_str().unwrap())).await;
    own.see("Sale ended").await;
    own.click_link("Edit").await;
    own.see("When the sale ends").await;
    assert_eq!(own.value("Last day of sale").await, "", "it is the start");
    own.fill("Last day of sale", "2099-05-01").await;
    own.click_button("Save").await;
    own.see("say the time as well").await;
    own.expect_accessible().await;
    own.fill("Until when there", "18:00").await;
    own.click_button("Save").await;
    own.see("See its page").await;
    own.see("On sale").await;
    let now = seller.get(&path(&ticket)).await.expect(200);
    assert_eq!((&now["saleEndsAt"], &now["startsAt"]), (&json!("2099-05-01T16:00:00.000Z"), &ticket["startsAt"]));
    page.open(&shown).await;
    page.see("Sale ends").await;
    page.see("Hold places").await;
    own.expect_no_errors().await;
    app.stop().await;
}

/// A show that is to move: all that is said of it, with some of that replaced.
fn said(other: Value) -> Value {
    let mut said = json!({ "title": "Jazz night", "price": "19.99", "venue": "Old Mill", "startsAt": "2099-12-05T19:00:00Z",
        "timeZone": "Europe/Rome" });
    said.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
    said
}

fn of_order(order: &Value) -> String {
    format!("/api/orders/{}", order["id"].as_str().unwrap())
}

fn show_of(order: &Value) -> Value {
    json!([order["title"], order["venue"], order["startsAt"], order["timeZone"], order["was"]])
}

async fn until_shown(buyer: &Person, order: &Value, expected: &Value) {
    eventually(&format!("it shows {expected}"), 20, || async {
        (show_of(&buyer.get(&of_order(order)).await.expect(200)) == *expected).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_shows_what_holds_by_now_and_what_was_told_at_the_hold() {
    let app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let ticket = list(&seller, said(json!({}))).await;
    let other = list(&seller, json!({ "title": "Elsewhere" })).await;
    let order = buyer.buy(&ticket, 2).await;
    buyer.hold(&other, 1).await.expect(201);
    let told = json!(["Jazz night", "Old Mill", "2099-12-05T19:00:00.000Z", "Europe/Rome", null]);
    assert_eq!(show_of(&order), told);
    let tag = buyer.get(&of_order(&order)).await.headers["etag"].to_str().unwrap().to_owned();

    let moved = said(
        json!({ "title": "Late jazz", "venue": "Pier 9", "startsAt": "2099-12-06T20:00:00Z", "timeZone": "Asia/Tokyo" }),
    );
    seller.put(&path(&ticket), moved).await.expect(200);
    let was = json!({ "title": "Jazz night", "venue": "Old Mill", "startsAt": "2099-12-05T19:00:00.000Z", "timeZone": "Europe/Rome" });
    let expected = json!(["Late jazz", "Pier 9", "2099-12-06T20:00:00.000Z", "Asia/Tokyo", was]);
    until_shown(&buyer, &order, &expected).await;
    until_shown(&seller, &order, &expected).await;
    let code = buyer.passes(&order).await[0]["code"].clone();
    let admitted = seller.post(door::CHECK_IN, json!({ "code": code })).await.expect(200);
    assert_eq!(admitted["title"], "Late jazz");
    seller.post(door::UNDO, door::undo_of(&admitted)).await.expect(200);
    buyer.send(Method::GET, &of_order(&order), &[("if-none-match", &tag)], Value::Null).await.expect(200);
    let listed = buyer.get("/api/orders").await.expect(200)["items"].clone();
    assert_eq!([&listed[0]["title"], &listed[0]["was"]], [&json!("Elsewhere"), &Value::Null]);
    assert_eq!(show_of(&listed[1]), expected);
    let id = ticket["id"].as_str().unwrap();
    let table = seller.get(&format!("/api/orders/sales/{id}/orders.csv")).await.expect(200);
    assert!(table.as_str().unwrap().contains(",Late jazz,complete,2,"), "{table}");
    let fresh = buyer.hold(&ticket, 1).await.expect(201);
    assert_eq!((&fresh["venue"], &fresh["was"]), (&json!("Pier 9"), &Value::Null));

    // What is as it was told is no change, and what was never told is one.
    seller.put(&path(&ticket), said(json!({}))).await.expect(200);
    until_shown(&buyer, &order, &told).await;
    seller.put(&path(&ticket), said(json!({ "venue": null }))).await.expect(200);
    let nowhere = json!(["Jazz night", null, "2099-12-05T19:00:00.000Z", "Europe/Rome", { "venue": "Old Mill" }]);
    until_shown(&buyer, &order, &nowhere).await;
    seller.delete(&path(&ticket)).await.expect(200);
    let given_back = buyer.delete(&of_order(&order)).await.expect(200);
    assert_eq!(show_of(&given_back), nowhere, "also of a listing that was withdrawn");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_buyer_may_give_back_until_the_later_one_of_the_two_starts() {
    let app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let start = soon(8);
    let when = |at: Time| said(json!({ "startsAt": at.to_string() }));
    let (put_off, brought_forward, stays) =
        (list(&seller, when(start)).await, list(&seller, when(soon(3600))).await, list(&seller, when(start)).await);
    let [late, early, same] = [&put_off, &brought_forward, &stays].map(|ticket| buyer.buy(ticket, 1));
    let (late, early, same) = tokio::join!(late, early, same);
    seller.put(&path(&put_off), when(soon(7200))).await.expect(200);
    seller.put(&path(&brought_forward), when(now() - Duration::from_secs(60))).await.expect(200);
    for order in [&late, &early] {
        eventually("orders has heard of it", 20, || async {
            buyer.get(&of_order(order)).await.expect(200)["was"].is_object().then_some(())
        })
        .await;
    }
    eventually("the show that stays begins", 20, || async { (now() >= start).then_some(()) }).await;
    buyer.delete(&of_order(&same)).await.problem(409, "not_refundable");
    for order in [&late, &early] {
        assert_eq!(buyer.delete(&of_order(order)).await.expect(200)["status"], "refunding");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everybodys_pages_show_where_a_show_has_moved_from() {
    let app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let ticket = list(&seller, said(json!({}))).await;
    let order = buyer.buy(&ticket, 2).await;
    let own = format!("/orders/{}", order["id"].as_str().unwrap());
    let page = Browser::phone().in_place("en-GB", "Europe/Rome").visit_as(&buyer).await;
    page.open(&own).await;
    page.see("Sat, 5 Dec 2099, 20:00").await;
    page.see_no("Moved:").await;
    seller
        .put(&path(&ticket), said(json!({ "venue": "Pier 9", "startsAt": "2099-12-06T19:00:00Z" })))
        .await
        .expect(200);
    page.see("Moved: was Sat, 5 Dec 2099, 20:00").await;
    page.see("Venue changed: was Old Mill").await;
    page.see("Sun, 6 Dec 2099, 20:00").await;
    seller.put(&path(&ticket), said(json!({ "title": "Late jazz", "venue": "Pier 9" }))).await.expect(200);
    page.see("Renamed: was Jazz night").await;
    page.see_no("Moved:").await;
    page.expect_accessible().await;
    for path in [format!("{own}/passes"), "/orders".to_owned()] {
        page.open(&path).await;
        page.see("Late jazz").await;
        page.see("Renamed: was Jazz night").await;
        page.see("Venue changed: was Old Mill").await;
        page.expect_accessible().await;
    }
    page.expect_no_errors().await;
    let (sold, order) = (ticket["id"].as_str().unwrap(), order["id"].as_str().unwrap());
    let sales = Browser::desktop().visit_as(&seller).await;
    sales.open(&format!("/sales/{sold}/orders/{order}")).await;
    sales.see("Renamed: was Jazz night").await;
    sales.see("Venue changed: was Old Mill").await;
    sales.expect_accessible().await;
    app.stop().await;
}
