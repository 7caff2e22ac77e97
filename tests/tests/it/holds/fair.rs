//! Nobody holds more of a listing than one order may have, and who lets holds run out waits.

use std::time::Duration;

use docket_tests::{Answer, App, Person, pause};
use futures::future::join_all;
use serde_json::{Value, json};

use super::{counts, id};

async fn list(seller: &Person, quantity: u32, limit: u32) -> Value {
    let show = json!({ "title": "Jazz", "price": "5", "quantity": quantity, "perOrderLimit": limit });
    seller.list(show).await.expect(201)
}

/// Another process of orders on the same database.
pub(super) async fn replica(app: &App) -> App {
    App::of(vec![orders::service()], |settings| {
        settings.namespace.clone_from(&app.settings_used().namespace);
        settings.jwks_url = Some(format!("{}/.well-known/jwks.json", app.base()).parse().unwrap());
    })
    .await
}

fn granted(answers: Vec<Answer>) -> Vec<Value> {
    let held = answers.into_iter().filter_map(|answer| match answer.status {
        201 => Some(answer.body),
        _ => {
            answer.problem(409, "hold_limit");
            None
        }
    });
    held.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_account_cannot_hold_everything_at_two_replicas_either() {
    let app = App::start().await;
    let other = replica(&app).await;
    let (seller, greedy, fan) = (app.sign_up().await, app.sign_up().await, app.sign_up().await);
    let ticket = list(&seller, 50, 2).await;
    fan.hold(&ticket, 1).await.expect(201);
    let doors = [greedy.at(&app.base()), greedy.at(&other.base())];
    let held = granted(join_all((0..24).map(|nth| doors[nth % 2].hold(&ticket, 2))).await);
    assert_eq!(held.len(), 1, "{held:?}");
    assert_eq!(counts(&app, &ticket).await.0, 3);

    // What is given up may be held again at once, wherever it was given up.
    let mut mine = held[0].clone();
    for nth in 0..4 {
        let (here, there) = (&doors[nth % 2], &doors[(nth + 1) % 2]);
        here.delete(&format!("/api/orders/{}", id(&mine))).await.expect(200);
        mine = there.hold(&ticket, 1).await.expect(201);
        here.hold(&ticket, 2).await.problem(409, "hold_limit");
        let more = here.hold(&ticket, 1).await.expect(201);
        here.delete(&format!("/api/orders/{}", id(&more))).await.expect(200);
    }
    fan.hold(&ticket, 1).await.expect(201);

    // What is paid does not count.
    greedy.pay(&mine, "pm_card_visa").await.expect(201);
    greedy.until_order(&mine, "complete").await;
    greedy.hold(&ticket, 2).await.expect(201);
    other.stop().await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_lets_holds_run_out_waits_before_the_next() {
    let app = App::with(|settings| settings.hold_seconds = 1).await;
    let (seller, idle, fan) = (app.sign_up().await, app.sign_up().await, app.sign_up().await);
    let (ticket, show) = (list(&seller, 50, 2).await, list(&seller, 50, 2).await);
    for _ in 0..2 {
        let order = idle.hold(&ticket, 2).await.expect(201);
        idle.until_order(&order, "expired").await;
    }
    let refused = idle.hold(&ticket, 1).await;
    let wait: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    refused.problem(409, "hold_pause");
    assert!((200..=300).contains(&wait), "{wait}");
    idle.hold(&show, 1).await.expect(201);
    fan.hold(&ticket, 1).await.expect(201);
    app.stop().await;
}

/// Giving up just before the deadline keeps the places from others as long as letting it pass.
#[tokio::test(flavor = "multi_thread")]
async fn who_gives_holds_up_late_waits_too_and_who_does_at_once_does_not() {
    let app = App::with(|settings| settings.hold_seconds = 20).await;
    let (seller, idle, quick) = (app.sign_up().await, app.sign_up().await, app.sign_up().await);
    let ticket = list(&seller, 50, 2).await;
    let give_up = async |person: &Person, orders: &[Value]| {
        for order in orders {
            person.delete(&format!("/api/orders/{}", id(order))).await.expect(200);
        }
    };
    for _ in 0..4 {
        let order = quick.hold(&ticket, 2).await.expect(201);
        give_up(&quick, &[order]).await;
    }
    quick.hold(&ticket, 2).await.expect(201);
    let held = [idle.hold(&ticket, 1).await.expect(201), idle.hold(&ticket, 1).await.expect(201)];
    pause(Duration::from_secs(11)).await;
    give_up(&idle, &held).await;
    idle.hold(&ticket, 1).await.problem(409, "hold_pause");
    app.stop().await;
}

/// Who gives places up and holds them again at once keeps them from others as well, and fills the database.
#[tokio::test(flavor = "multi_thread")]
async fn one_account_cannot_hold_and_give_up_for_ever() {
    let app = App::start().await;
    let (seller, greedy, fan) = (app.sign_up().await, app.sign_up().await, app.sign_up().await);
    let (ticket, show) = (list(&seller, 6, 6).await, list(&seller, 6, 6).await);
    let mut held = 0;
    let refused = loop {
        let answer = greedy.hold(&ticket, 6).await;
        if answer.status != 201 || held == 30 {
            break answer;
        }
        greedy.delete(&format!("/api/orders/{}", id(&answer.body))).await.expect(200);
        held += 1;
    };
    let wait: u64 = refused.headers.get("retry-after").map_or(0, |wait| wait.to_str().unwrap().parse().unwrap());
    refused.problem(409, "hold_pause");
    assert!((200..=300).contains(&wait), "{wait}");
    assert_eq!(held, 10);
    fan.hold(&ticket, 6).await.expect(201);
    greedy.hold(&show, 6).await.expect(201);
    app.stop().await;
}

/// A listing that says nothing of orders is not for one account to empty.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_limit_of_the_listing_a_person_holds_twenty_places() {
    let app = App::start().await;
    let (seller, greedy) = (app.sign_up().await, app.sign_up().await);
    let ticket = seller.sell(200).await;
    greedy.hold(&ticket, 21).await.problem(409, "hold_limit");
    greedy.hold(&ticket, 12).await.expect(201);
    greedy.hold(&ticket, 9).await.problem(409, "hold_limit");
    greedy.hold(&ticket, 8).await.expect(201);
    greedy.hold(&ticket, 1).await.problem(409, "hold_limit");
    assert_eq!(counts(&app, &ticket).await.0, 20);
    app.stop().await;
}
