//! People go on to look, hold, pay and cancel while every service is replaced, and none of their requests fails.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use docket_tests::{Person, Stage, eventually};
use futures::future::join_all;
use serde_json::Value;

const BUYERS: usize = 4;

/// So many requests a service must have been replaced under, at the least.
const LOAD: usize = 50;

/// So often somebody holds places of a show and gives them up: more would make them wait.
const GIVE_UPS: usize = 9;

/// What the people share.
#[derive(Default)]
struct Crowd {
    answered: AtomicUsize,
    done: AtomicBool,
}

impl Crowd {
    fn goes_on(&self) -> bool {
        !self.done.load(Ordering::Relaxed)
    }

    /// Looks at a page or at the API, where any other answer than 200 is a failure.
    async fn sees(&self, person: &Person, path: &str) -> Value {
        let answer = person.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        self.answered.fetch_add(1, Ordering::Relaxed);
        answer.body
    }
}

/// Replaces one service after the other.
pub(super) async fn while_all_are_replaced(stage: &Stage, seller: &Person, admin: &Person) {
    let names = (0..BUYERS).map(|nth| format!("buyer{nth}@example.com"));
    let buyers = join_all(names.map(|name| async move { Person::sign_up(&stage.base(), &name).await })).await;
    let crowd = Crowd::default();
    let buying = join_all(buyers.iter().enumerate().map(|(nth, buyer)| buys(&crowd, seller, buyer, nth % 2 == 0)));
    tokio::join!(buying, oversees(&crowd, admin), replace(stage, &crowd));
}

async fn replace(stage: &Stage, crowd: &Crowd) {
    for service in stage.services() {
        let before = crowd.answered.load(Ordering::Relaxed);
        stage.roll(service).await;
        let answered = crowd.answered.load(Ordering::Relaxed) - before;
        eprintln!("{service} was replaced under {answered} requests");
        assert!(answered >= LOAD, "there was hardly any load while {service} was replaced: {answered} requests");
    }
    crowd.done.store(true, Ordering::Relaxed);
}

/// Comes to a ticket by the pages, holds a place, and pays for it or gives it back, again and again.
async fn buys(crowd: &Crowd, seller: &Person, buyer: &Person, pays: bool) {
    while crowd.goes_on() {
        let ticket = seller.sell(100).await;
        for _ in 0..GIVE_UPS {
            buys_one(crowd, buyer, &ticket, pays).await;
        }
    }
}

async fn buys_one(crowd: &Crowd, buyer: &Person, ticket: &Value, pays: bool) {
    let ticket_id = ticket["id"].as_str().unwrap();
    crowd.sees(buyer, "/").await;
    crowd.sees(buyer, &format!("/tickets/{ticket_id}")).await;
    crowd.sees(buyer, &format!("/api/tickets/{ticket_id}")).await;
    crowd.sees(buyer, "/api/users/sessions").await;
    let order = buyer.hold(ticket, 1).await.expect(201);
    let order_id = order["id"].as_str().unwrap();
    crowd.sees(buyer, &format!("/orders/{order_id}")).await;
    if pays {
        buyer.pay(&order, "pm_card_visa").await.expect(201);
        eventually("the order is complete", 30, || async {
            let seen = crowd.sees(buyer, &format!("/api/orders/{order_id}")).await;
            (seen["status"] == "complete").then_some(())
        })
        .await;
    } else {
        buyer.delete(&format!("/api/orders/{order_id}")).await.expect(200);
    }
    crowd.answered.fetch_add(2, Ordering::Relaxed);
}

/// Looks at what only the administrator may see, at the service that nobody else calls.
async fn oversees(crowd: &Crowd, admin: &Person) {
    while crowd.goes_on() {
        crowd.sees(admin, "/api/dead-letters/expiration").await;
    }
}
