//! Nobody has more tickets of a free show than one order may have.

use docket_tests::{App, Person};
use futures::future::join_all;
use serde_json::{Value, json};

use super::{counts, fair::replica, id};

async fn list(seller: &Person, limit: Option<u32>) -> Value {
    let show =
        json!({ "title": "Open day", "price": "0", "quantity": 60, "perOrderLimit": limit, "refundPolicy": "always" });
    seller.list(show).await.expect(201)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_account_cannot_take_a_free_show_at_two_replicas_either() {
    let app = App::start().await;
    let other = replica(&app).await;
    let (seller, greedy, fan) = (app.sign_up().await, app.sign_up().await, app.sign_up().await);
    let ticket = list(&seller, Some(2)).await;
    fan.hold(&ticket, 1).await.expect(201);
    let doors = [greedy.at(&app.base()), greedy.at(&other.base())];
    let mut mine = Vec::new();
    for answer in join_all((0..24).map(|nth| doors[nth % 2].hold(&ticket, 1))).await {
        match answer.status {
            201 => mine.push(answer.body),
            _ => drop(answer.problem(409, "free_limit")),
        }
    }
    assert_eq!(mine.len(), 2, "{mine:?}");
    for order in &mine {
        greedy.until_order(order, "complete").await;
    }
    let refused = doors[1].hold(&ticket, 1).await.problem(409, "free_limit");
    assert_eq!(refused["detail"], "you have 2 free tickets of this show already and may have 2");
    assert_eq!((&refused["has"], &refused["limit"]), (&json!(2), &json!(2)));

    // Who gives one back may take another one, at whatever replica.
    for nth in 0..3 {
        let (here, there) = (&doors[nth % 2], &doors[(nth + 1) % 2]);
        here.delete(&format!("/api/orders/{}", id(&mine.remove(0)))).await.expect(200);
        here.hold(&ticket, 2).await.problem(409, "free_limit");
        mine.push(there.hold(&ticket, 1).await.expect(201));
        here.hold(&ticket, 1).await.problem(409, "free_limit");
    }
    fan.hold(&ticket, 1).await.expect(201);
    greedy.until_counts(&ticket, 0, 4).await;
    assert_eq!(counts(&app, &ticket).await.1, 4);
    other.stop().await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_free_show_without_a_limit_has_that_of_the_installation() {
    let app = App::start().await;
    let (seller, greedy) = (app.sign_up().await, app.sign_up().await);
    let ticket = list(&seller, None).await;
    greedy.hold(&ticket, 21).await.problem(409, "free_limit");
    greedy.hold(&ticket, 20).await.expect(201);
    greedy.hold(&ticket, 1).await.problem(409, "free_limit");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_without_limits_leaves_free_shows_to_whoever_comes() {
    let app = App::with(|settings| settings.hold_unpaid_places = 0).await;
    let (seller, greedy) = (app.sign_up().await, app.sign_up().await);
    let ticket = list(&seller, Some(2)).await;
    for _ in 0..3 {
        greedy.hold(&ticket, 2).await.expect(201);
    }
    app.stop().await;
}

/// What was free and is not any more: who pays is not kept from it by what they had for nothing.
#[tokio::test(flavor = "multi_thread")]
async fn free_tickets_keep_nobody_from_paying_for_more() {
    let app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let ticket = list(&seller, Some(2)).await;
    buyer.hold(&ticket, 2).await.expect(201);
    buyer.until_counts(&ticket, 0, 2).await;
    let priced = json!({ "title": "Open day", "price": "5", "quantity": 60, "perOrderLimit": 2 });
    seller.put(&format!("/api/tickets/{}", id(&ticket)), priced).await.expect(200);
    docket_tests::eventually("orders knows the price", 10, || async {
        let held = buyer.hold(&ticket, 2).await;
        (held.status == 201).then_some(held)
    })
    .await;
    buyer.hold(&ticket, 1).await.problem(409, "hold_limit");
    app.stop().await;
}
