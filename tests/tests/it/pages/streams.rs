//! Open pages: what they cost the APIs and Stripe is bounded, and shared by all that look at the same.

use std::time::Duration;

use docket_tests::{App, eventually, pause};
use futures::future::join_all;
use serde_json::Value;

use super::relay::{Relay, pages_at};
use super::tab::Tab;

const A_WHILE: Duration = Duration::from_secs(10);

fn id(thing: &Value) -> &str {
    thing["id"].as_str().unwrap()
}

/// Waits until the stream ends.
async fn ends(stream: &mut reqwest::Response) {
    while let Ok(Some(_)) = stream.chunk().await {}
}

/// Whether the next piece of the stream says so; signs of life say nothing.
async fn hears(stream: &mut reqwest::Response, text: &str) -> bool {
    let piece = stream.chunk().await.unwrap().expect("the stream goes on");
    String::from_utf8_lossy(&piece).contains(text)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_what_is_not_there_is_not_begun() {
    let app = App::start().await;
    let relay = Relay::to(&app.base());
    let pages = pages_at(relay.base()).await;
    let nobody = Tab::new(&pages.base());
    let unknown = (0..150).map(|n| format!("/tickets/01890000-0000-7000-8000-{n:012}/live"));
    let answers = join_all(unknown.map(|path| nobody.open_owned(path))).await;
    assert!(answers.iter().all(|answer| answer.status() == 404), "{:?}", answers.first());
    let asked = relay.count("GET /api/tickets/");
    assert_eq!(asked, 150, "each was looked up once");
    pause(Duration::from_secs(3)).await;
    assert_eq!(relay.count("GET /api/tickets/"), asked, "nobody looks at what is not there");
    // What belongs to somebody else is not there either.
    let ticket = app.sign_up().await.sell(1).await;
    let order = app.sign_up().await.hold(&ticket, 1).await.expect(201);
    let other = Tab::of(&app.sign_up().await, &pages.base());
    assert_eq!(other.open(&format!("/orders/{}/live", id(&order))).await.status(), 404);
    assert_eq!(other.open(&format!("/sales/{}/live", id(&ticket))).await.status(), 404);
    assert_eq!(nobody.open(&format!("/orders/{}/live", id(&order))).await.status(), 303);
    pages.stop().await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_streams_of_one_order_cost_what_one_costs() {
    let app = App::start().await;
    let relay = Relay::to(&app.base());
    let pages = pages_at(relay.base()).await;
    let ticket = app.sign_up().await.sell(1).await;
    let buyer = app.sign_up().await;
    let order = buyer.hold(&ticket, 1).await.expect(201);
    let tab = Tab::of(&buyer, &pages.base());
    let path = format!("/orders/{}/live?state=awaitingpayment.none", id(&order));
    let mut streams = Vec::new();
    for _ in 0..60 {
        let stream = tab.open(&path).await;
        assert_eq!(stream.status(), 200);
        streams.push(stream);
    }
    // Those that were opened first have ended, and the last eight go on.
    let mut open = streams.split_off(52);
    let ended = join_all(streams.iter_mut().map(ends));
    tokio::time::timeout(A_WHILE, ended).await.expect("one person has a few streams at a time");
    let before = relay.count("");
    pause(A_WHILE).await;
    let asked = relay.count("") - before;
    assert!((5..=25).contains(&asked), "{asked} requests in 10 s for eight streams of one order");
    // What happens is shown by all of them, soon.
    buyer.delete(&format!("/api/orders/{}", id(&order))).await.expect(200);
    let told = open.iter_mut().map(|stream| async {
        let mut heard = String::new();
        while !heard.contains("Cancelled") {
            let piece = stream.chunk().await.unwrap().expect("the stream goes on");
            heard += &String::from_utf8_lossy(&piece);
        }
    });
    tokio::time::timeout(Duration::from_secs(5), join_all(told)).await.expect("all show it");
    drop(open);
    // When nobody looks any more, nobody asks.
    eventually("the looks end", 10, || async {
        let before = relay.count("");
        pause(Duration::from_secs(3)).await;
        (relay.count("") == before).then_some(())
    })
    .await;
    pages.stop().await;
    app.stop().await;
}

/// The API that a page asks fails: it is asked less and less often, and shown again soon after it is back.
#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_fails_is_asked_less_often() {
    let app = App::start().await;
    let relay = Relay::to(&app.base());
    let pages = pages_at(relay.base()).await;
    let seller = app.sign_up().await;
    let ticket = seller.sell(7).await;
    let mut stream = Tab::new(&pages.base()).open(&format!("/tickets/{}/live", id(&ticket))).await;
    let first = stream.chunk().await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&first).contains("7 places left"));
    relay.leads_to("http://127.0.0.1:9");
    pause(Duration::from_secs(2)).await;
    let before = relay.count("GET /api/tickets/");
    pause(A_WHILE).await;
    let asked = relay.count("GET /api/tickets/") - before;
    assert!((1..=5).contains(&asked), "{asked} looks in 10 s at an API that fails");
    app.sign_up().await.hold(&ticket, 2).await.expect(201);
    relay.leads_to(&app.base());
    let news = async { while !hears(&mut stream, "5 places left").await {} };
    tokio::time::timeout(Duration::from_secs(20), news).await.expect("it is asked again");
    pages.stop().await;
    app.stop().await;
}

/// While a bank asks its customer something, their page is open for a minute; Stripe allows a few calls a second for all.
#[tokio::test(flavor = "multi_thread")]
async fn an_open_page_asks_stripe_nothing() {
    let stripe = Relay::start();
    let app = App::with(|settings| {
        stripe.leads_to(settings.stripe_api_base.as_ref().unwrap().as_str());
        settings.stripe_api_base = Some(stripe.base().parse().unwrap());
    })
    .await;
    let ticket = app.sign_up().await.sell(1).await;
    let buyer = app.sign_up().await;
    let order = buyer.hold(&ticket, 1).await.expect(201);
    buyer.pay(&order, "pm_card_threeDSecure2Required").await.expect(201);
    buyer.until_order(&order, "awaiting_payment").await;
    let relay = Relay::to(&app.base());
    let pages = pages_at(relay.base()).await;
    let tab = Tab::of(&buyer, &pages.base());
    let before = stripe.count("GET /v1/payment_intents/");
    let page = tab.get(&format!("/orders/{}", id(&order))).await;
    assert!(page.text.contains("Continue to your bank"), "{}", page.text);
    let (_, live) = page.text.split_once("hx-sse:connect=\"").unwrap();
    let stream = tab.open(live.split('"').next().unwrap()).await;
    assert_eq!(stream.status(), 200);
    pause(A_WHILE).await;
    assert_eq!(relay.count("POST /api/payments"), 1, "the page asks where the bank is, and its stream does not");
    // The service itself looks at such a payment now and then, and that may be now.
    let asked = stripe.count("GET /v1/payment_intents/") - before;
    assert!(asked <= 3, "one page asked Stripe {asked} times in 10 s");
    drop(stream);
    // A page that was open before hears of the bank's question, with the way to it.
    let mut stream = tab.open(&format!("/orders/{}/live?state=awaitingpayment.none", id(&order))).await;
    let mut heard = String::new();
    while !heard.contains("Continue to your bank") {
        heard += &String::from_utf8_lossy(&stream.chunk().await.unwrap().unwrap());
    }
    pages.stop().await;
    app.stop().await;
}
