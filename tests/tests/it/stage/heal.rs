//! The pods of the servers are deleted under load, and everything is well within half a minute.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use docket_tests::{Delete, Person, Stage, eventually};
use futures::future::join_all;
use serde_json::{Value, json};

const BUYERS: usize = 8;

/// So many orders must have been made meanwhile, at the least: most requests find nobody.
const LOAD: usize = 20;

/// How long the installation may take to be well again once a server's pod is ready, in seconds.
const HEALED: u64 = 30;

/// What buyers were told that they have, by their numbers.
#[derive(Default)]
struct Told {
    held: Mutex<Vec<(usize, Value)>>,
    over: AtomicBool,
}

/// Deletes the pods of both servers, one after the other, in both ways.
pub(super) async fn when_servers_are_deleted(stage: &Stage, seller: &Person) {
    let ticket = seller.sell(100_000).await;
    seller.until_counts(&ticket, 0, 0).await;
    let names = (0..=BUYERS).map(|nth| format!("patient{nth}@example.com"));
    let mut buyers = join_all(names.map(|name| async move { Person::sign_up(&stage.base(), &name).await })).await;
    let looks = buyers.pop().expect("one more than the buyers");
    let told = Told::default();
    let buying = join_all(buyers.iter().enumerate().map(|(nth, buyer)| buys(&told, nth, buyer, &ticket)));
    let deleting = async {
        for delete in [Delete::Gracefully, Delete::ByForce] {
            stage.restart_servers(delete).await;
            let since = common::telemetry::stopwatch();
            eventually("a place is held and paid", HEALED, || sells(&looks, &ticket)).await;
            eprintln!("{delete:?}: {:.1} s later a place is held and paid", since.elapsed().as_secs_f64());
        }
        told.over.store(true, Ordering::Relaxed);
    };
    tokio::join!(buying, deleting);
    nothing_is_lost(&told, &buyers).await;
}

/// Holds and pays as long as it goes on, whatever is answered.
async fn buys(told: &Told, nth: usize, buyer: &Person, ticket: &Value) {
    while !told.over.load(Ordering::Relaxed) {
        let Some(order) = held(buyer, ticket).await else {
            docket_tests::pause(Duration::from_millis(100)).await;
            continue;
        };
        let pay = json!({ "orderId": order["id"], "paymentMethod": "pm_card_visa" });
        let paid = buyer.try_post("/api/payments", pay).await.is_ok_and(|answer| answer.status == 201);
        told.held.lock().unwrap().push((nth, json!({ "id": order["id"], "paid": paid })));
    }
}

async fn held(buyer: &Person, ticket: &Value) -> Option<Value> {
    let wish = json!({ "ticketId": ticket["id"], "quantity": 1 });
    let answer = buyer.try_post("/api/orders", wish).await.ok()?;
    (answer.status == 201).then_some(answer.body)
}

async fn sells(buyer: &Person, ticket: &Value) -> Option<()> {
    let order = held(buyer, ticket).await?;
    let pay = json!({ "orderId": order["id"], "paymentMethod": "pm_card_visa" });
    let paid = buyer.try_post("/api/payments", pay).await.ok()?;
    (paid.status == 201).then_some(())
}

async fn nothing_is_lost(told: &Told, buyers: &[Person]) {
    let held = std::mem::take(&mut *told.held.lock().unwrap());
    assert!(held.len() >= LOAD, "there was hardly any load: {} orders", held.len());
    for (nth, order) in &held {
        let path = format!("/api/orders/{}", order["id"].as_str().unwrap());
        let seen = buyers[*nth].get(&path).await.expect(200);
        if order["paid"] == true {
            buyers[*nth].until_order(&seen, "complete").await;
        }
    }
    eprintln!("all of {} orders are there", held.len());
}
