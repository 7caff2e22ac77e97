//! Many holds end at once, and expiration is silent.
#![expect(clippy::print_stdout, reason = "how long it took, where that is what one wants to know")]

use bson::{Document, doc};
use common::clock::{Clock as _, SystemClock};
use common::id::OrderId;
use docket_tests::{App, eventually};

use super::{id, inventories};

/// Enough that a sweep of five hundred in each turn would take longer than is waited; `DOCKET_TEST_HOLDS` measures with another
/// number.
fn holds() -> i32 {
    std::env::var("DOCKET_TEST_HOLDS").map_or(10_000, |number| number.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_of_the_sweep_ends_all_holds_that_are_over() {
    let app = App::of(vec![auth::service(), tickets::service(), orders::service()], |_| {}).await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let show = serde_json::json!({ "title": "Jazz", "price": "5", "quantity": holds() });
    let ticket = seller.list(show).await.expect(201);
    let order = buyer.hold(&ticket, 1).await.expect(201);

    let orders = app.database("orders").await.collection::<Document>("orders");
    let first = orders.find_one(doc! { "_id": id(&order) }).await.unwrap().unwrap();
    let (now, over) = (SystemClock.now(), bson::DateTime::from_millis(0));
    let copies = (1..holds()).map(|_| {
        let (mut copy, id) = (first.clone(), OrderId::generate(now).to_string());
        copy.extend(doc! { "_id": &id, "id": id, "expiresAt": over, "outbox": [] });
        copy
    });
    orders.insert_many(copies).await.unwrap();
    let held = doc! { "$set": { "held": holds() }, "$inc": { "version": 1 } };
    inventories(&app).await.update_one(doc! { "_id": id(&ticket) }, held).await.unwrap();

    let since = SystemClock.now();
    let waiting = doc! { "state": { "$in": ["created", "awaiting_payment"] }, "expiresAt": { "$lte": over } };
    eventually("all of them are asked to end", 90, || async {
        orders.find_one(waiting.clone()).await.unwrap().is_none().then_some(())
    })
    .await;
    println!("{} holds ended within {:?}", holds(), SystemClock.now().since(since));
    app.stop().await;
}
