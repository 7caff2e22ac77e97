//! Pages that are open while something happens elsewhere.

use std::time::Duration;

use common::http::auth::ACCESS_COOKIE;
use docket_tests::{App, Browser, eventually};
use serde_json::{Value, json};

use super::relay::{Fault, Relay, pages_at};

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_that_runs_out_says_so_and_leads_back() {
    let app = App::with(|settings| settings.hold_seconds = 3).await;
    let ticket = app.sign_up().await.sell(10).await;
    let buyer = app.sign_up().await;
    let order = buyer.hold(&ticket, 2).await.expect(201);
    let page = Browser::phone().visit_as(&buyer).await;
    page.open(&format!("/orders/{}", order["id"].as_str().unwrap())).await;
    page.see("Held for you for").await;
    page.see("The hold has run out").await;
    page.click_link("Try again").await;
    page.until_at("/tickets/").await;
    page.see("10 places left").await;
    page.expect_no_errors().await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_show_sells_out_while_somebody_looks_and_comes_back() {
    let app = App::start().await;
    let ticket = app.sign_up().await.sell(3).await;
    let page = Browser::desktop().visit(&app.base()).await;
    page.open(&format!("/tickets/{}", ticket["id"].as_str().unwrap())).await;
    page.see("3 places left").await;
    let buyer = app.sign_up().await;
    let first = buyer.hold(&ticket, 2).await.expect(201);
    page.see("1 place left").await;
    let last = buyer.hold(&ticket, 1).await.expect(201);
    page.see("No place is free just now").await;
    page.see("come back if they are not paid").await;
    assert!(!page.text().await.contains("Sold out"), "some are only held");
    page.see_no("Hold places").await;
    buyer.delete(&format!("/api/orders/{}", last["id"].as_str().unwrap())).await.expect(200);
    page.see("1 place left").await;
    page.see("Hold places").await;
    let orders = [first, buyer.hold(&ticket, 1).await.expect(201)];
    for order in &orders {
        page.see_no("Sold out").await;
        buyer.pay(order, "pm_card_visa").await.expect(201);
    }
    page.see("Sold out").await;
    page.expect_no_errors().await;
    app.stop().await;
}

/// Also not what the page itself had chosen for them; and what is to be paid is shown as it is now.
#[tokio::test(flavor = "multi_thread")]
async fn news_change_the_price_and_no_choice() {
    let app = App::start().await;
    let seller = app.sign_up().await;
    let ticket = seller.sell(10).await;
    let id = ticket["id"].as_str().unwrap();
    let page = Browser::desktop().visit_as(&app.sign_up().await).await;
    page.open(&format!("/tickets/{id}?quantity=3")).await;
    page.see("$19.99 each").await;
    assert_eq!(page.value("How many").await, "3");
    let dearer = json!({ "title": "Friday evening", "price": "25.00", "quantity": 10 });
    seller.put(&format!("/api/tickets/{id}"), dearer).await.expect(200);
    page.see("$25.00 each").await;
    app.sign_up().await.hold(&ticket, 4).await.expect(201);
    page.until_true("document.querySelectorAll('#buy option').length == 6").await;
    assert_eq!(page.value("How many").await, "3");
    page.expect_no_errors().await;
    app.stop().await;
}

/// As when a process has as many streams as it can have, for a moment.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_refused_at_first_is_asked_for_again_by_its_page() {
    let app = App::start().await;
    let relay = Relay::to(&app.base());
    let pages = pages_at(relay.base()).await;
    let ticket = app.sign_up().await.sell(3).await;
    let id = ticket["id"].as_str().unwrap();
    let listing = format!("GET /api/tickets/{id}");
    // The page comes, and its stream does not.
    for fault in [Fault::Nothing, Fault::Refused(503), Fault::Refused(503)] {
        relay.next(&listing, fault);
    }
    let page = Browser::desktop().visit(&pages.base()).await;
    page.open(&format!("/tickets/{id}")).await;
    page.see("3 places left").await;
    eventually("the page has asked again", 40, || async { (relay.count(&listing) >= 4).then_some(()) }).await;
    app.sign_up().await.hold(&ticket, 2).await.expect(201);
    page.see("1 place left").await;
    pages.stop().await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_too_late_is_told_what_is_left() {
    let app = App::start().await;
    let ticket = app.sign_up().await.sell(2).await;
    let page = Browser::phone().without_javascript().visit_as(&app.sign_up().await).await;
    page.open(&format!("/tickets/{}", ticket["id"].as_str().unwrap())).await;
    page.fill("How many", "2").await;
    app.sign_up().await.hold(&ticket, 1).await.expect(201);
    page.click_button("Hold places").await;
    page.see("1 place left").await;
    assert_eq!(page.count("alert").await, 1, "the reason stands where the places were chosen");
    app.stop().await;
}

/// The page then comes back with the tokens that it has by then, or is led to signing in.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_the_session_that_it_was_begun_in() {
    let app = App::start().await;
    let ticket = app.sign_up().await.sell(10).await;
    let buyer = app.sign_up().await;
    let order = buyer.hold(&ticket, 1).await.expect(201);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let stream = client.get(format!("{}/orders/{}/live", app.base(), order["id"].as_str().unwrap()));
    let cookie = format!("{ACCESS_COOKIE}={}", buyer.cookie(ACCESS_COOKIE).unwrap());
    let mut heard = stream.header("cookie", cookie).send().await.unwrap();
    let first = heard.chunk().await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&first).contains("Waiting for payment"), "{first:?}");
    buyer.post("/api/users/signout", Value::Null).await.expect(200);
    let rest = async { while heard.chunk().await.unwrap().is_some() {} };
    tokio::time::timeout(Duration::from_secs(10), rest).await.expect("the stream ends");
    app.stop().await;
}

/// A tap that has begun ends on the same button, and nobody is left with another choice than theirs.
#[tokio::test(flavor = "multi_thread")]
async fn news_leave_alone_what_stays() {
    let app = App::start().await;
    let ticket = app.sign_up().await.sell(10).await;
    let buyer = app.sign_up().await;
    let page = Browser::phone().visit_as(&buyer).await;
    page.open(&format!("/tickets/{}", ticket["id"].as_str().unwrap())).await;
    page.fill("How many", "2").await;
    let key = page.script("document.querySelector('#buy [name=key]').value").await;
    page.script("window.kept = document.querySelector('#buy button'); 0").await;
    app.sign_up().await.hold(&ticket, 7).await.expect(201);
    page.see("3 places left").await;
    page.until_true("document.querySelectorAll('#buy option').length == 3").await;
    assert_eq!(page.script("kept.isConnected").await, true);
    assert_eq!(page.value("How many").await, "2");
    assert_eq!(
        page.script("document.querySelector('#buy [name=key]').value").await,
        key,
        "what was sent may be sent again"
    );

    let order = buyer.hold(&ticket, 1).await.expect(201);
    page.open(&format!("/orders/{}", order["id"].as_str().unwrap())).await;
    page.see("Held for you for").await;
    page.click("4000 0000 0000 3220 Asks the bank (3-D Secure)").await;
    page.script("window.kept = document.querySelector('#pay button'); 0").await;
    // In another window.
    buyer.pay(&order, "pm_card_chargeDeclined").await.expect(402);
    page.see("Nothing was charged, and your places are still held.").await;
    assert_eq!(page.script("kept.isConnected").await, true);
    let chosen = "document.querySelector('#pay [name=method]:checked').value";
    assert_eq!(page.script(chosen).await, "pm_card_threeDSecure2Required");

    // A form that was sent and has no answer yet.
    page.script("addEventListener('submit', (sent) => sent.preventDefault()); kept.form.requestSubmit(kept); 0").await;
    page.until_true("kept.disabled").await;
    // The next attempt is declined too, for another reason.
    buyer.pay(&order, "pm_card_chargeDeclinedInsufficientFunds").await.expect(402);
    page.see("has not enough money left").await;
    assert_eq!(page.script("kept.disabled").await, true);
    page.expect_no_errors().await;
    app.stop().await;
}
