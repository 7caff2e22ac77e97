//! Documents that only a newer build can read keep no list, no sum and no job from what this one can.

use bson::{DateTime, doc};
use docket_tests::{App, PASSWORD, eventually};
use serde_json::{Value, json};

use super::versions::{NewerBuild, id};

#[tokio::test(flavor = "multi_thread")]
async fn a_seller_sees_the_sales_beside_an_order_and_a_listing_of_a_newer_build() {
    let app = App::start().await;
    let newer = NewerBuild::beside(&app).await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let ticket = seller.sell(10).await;
    let orders = [buyer.hold(&ticket, 1).await.expect(201), buyer.hold(&ticket, 1).await.expect(201)];
    newer.write(("orders", "orders"), id(&orders[0]), doc! { "schema": 2, "state": "queued" }).await;
    let listing = doc! { "_id": "0", "version": 1_i64, "schema": 2, "listing": { "sellerId": seller.id.as_str() } };
    newer.collection("orders", "tickets").await.insert_one(listing).await.unwrap();

    let sales = format!("/api/orders/sales/{}", id(&ticket));
    let sold = seller.get(&format!("{sales}/orders")).await.expect(200);
    let ids: Vec<&Value> = sold["items"].as_array().unwrap().iter().map(|order| &order["id"]).collect();
    assert_eq!(ids, [&orders[1]["id"]]);
    let listed = seller.get("/api/orders/sales").await.expect(200);
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1), "{listed}");
    let sums = seller.get(&sales).await.expect(200);
    assert_eq!(sums["orders"]["held"], 1, "{sums}");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_the_dead_letters_beside_one_of_a_newer_build() {
    let app = App::start().await;
    let newer = NewerBuild::beside(&app).await;
    let admin = app.admin().await;
    newer.publish("tickets", ("ticket.created", 1), ("poison", 1), json!({})).await;
    let letters = async || admin.get("/api/dead-letters/orders?limit=1").await.expect(200)["items"].clone();
    let one = eventually("it is a dead letter", 20, || async { letters().await.get(0).cloned() }).await;
    let strange = doc! { "_id": "tickets:0:000000000000", "reasons": ["many"] };
    newer.collection("orders", "dead_letters").await.insert_one(strange).await.unwrap();
    assert_eq!(letters().await[0]["id"], one["id"], "a page is filled with what stands behind it");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_cannot_be_read_keeps_no_other_alive_when_the_password_is_replaced() {
    let app = App::start().await;
    let newer = NewerBuild::beside(&app).await;
    let person = app.sign_up().await;
    let [other, _] = [person.elsewhere().await, person.elsewhere().await];
    let sessions = person.get("/api/users/sessions").await.expect(200)["items"].clone();
    newer.write(("auth", "sessions"), id(&sessions[0]), doc! { "schema": 2 }).await;
    let change = json!({ "currentPassword": PASSWORD, "newPassword": "a staple for the battery" });
    // It is not said to be done while one session goes on that this build cannot end.
    person.post("/api/users/change-password", change).await.expect(503);
    eventually("the other session has ended", 20, || async {
        (other.post("/api/users/refresh", Value::Null).await.status == 401).then_some(())
    })
    .await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_cannot_be_read_keeps_no_other_from_being_sent() {
    let app = App::start().await;
    let newer = NewerBuild::beside(&app).await;
    let (first, second) = (app.sign_up().await, app.sign_up().await);
    let letter = doc! { "_id": "0", "about": { "kind": "newer" }, "dueAt": DateTime::from_millis(0) };
    newer.write(("auth", "users"), first.id.as_str().unwrap(), doc! { "letters": [letter] }).await;
    second.post("/api/users/verify-email/request", Value::Null).await.expect(202);
    eventually("the mail is sent", 20, || async {
        let mails = app.visitor().get("/api/users/dev/mail").await.expect(200)["items"].clone();
        let to_second = |mail: &&Value| mail["to"] == second.email.as_str();
        // One came when they signed up.
        (mails.as_array()?.iter().filter(to_second).count() >= 2).then_some(())
    })
    .await;
    app.stop().await;
}
