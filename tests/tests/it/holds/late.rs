//! A write that was given up may still land.

use std::time::Duration;

use bson::doc;
use docket_tests::{Person, pause, until};
use futures::future::{join_all, try_join_all};
use serde_json::Value;

use super::{OwnMongo, counts};

/// Longer than every patience with a command.
const LOCKED: Duration = Duration::from_secs(25);
const LISTINGS: usize = 6;

/// Gives up all that the buyer holds of the listing, and says what is not free yet.
async fn give_back(mongo: &OwnMongo, ticket: &Value, buyer: &Person) -> Result<(), String> {
    let orders = buyer.get("/api/orders").await.expect(200);
    for order in orders["items"].as_array().unwrap() {
        if order["status"] == "created" {
            buyer.delete(&format!("/api/orders/{}", order["id"].as_str().unwrap())).await.expect(200);
        }
    }
    match counts(&mongo.app, ticket).await {
        (0, 0, 0) => Ok(()),
        (held, _, pending) => Err(format!("{held} held and {pending} pending after {orders}")),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn holds_whose_writes_land_late_are_counted_once() {
    let mongo = OwnMongo::start().await;
    let seller = mongo.app.sign_up().await;
    let sales = join_all((0..LISTINGS).map(|_| async { (seller.sell(4).await, mongo.app.sign_up().await) })).await;
    // Each listing's hold queue knows its inventory.
    for (ticket, buyer) in &sales {
        let order = buyer.hold(ticket, 1).await.expect(201);
        buyer.delete(&format!("/api/orders/{}", order["id"].as_str().unwrap())).await.expect(200);
    }

    mongo.admin(doc! { "fsync": 1, "lock": true }).await;
    let holds = join_all(sales.iter().map(|(ticket, buyer)| buyer.hold(ticket, 1)));
    let unlock = async {
        pause(LOCKED).await;
        mongo.admin(doc! { "fsyncUnlock": 1 }).await;
    };
    let (answers, ()) = tokio::join!(holds, unlock);
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert!(statuses.iter().all(|status| [201, 503].contains(status)), "{statuses:?}");
    // Who was told that it failed comes again.
    let again = sales.iter().zip(&statuses).filter(|(_, status)| **status == 503);
    for answer in join_all(again.map(|((ticket, buyer), _)| buyer.hold(ticket, 1))).await {
        answer.expect(201);
    }
    until("all places of all listings are free again", 90, || {
        let given_back = sales.iter().map(|(ticket, buyer)| give_back(&mongo, ticket, buyer));
        async { try_join_all(given_back).await.map(drop) }
    })
    .await;
    mongo.stop().await;
}
