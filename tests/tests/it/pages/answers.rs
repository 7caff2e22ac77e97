//! What pages answer whatever they show: how it is compressed, its headers, and what stands around what went wrong.

use std::io::Read as _;

use common::http::auth::ACCESS_COOKIE;
use docket_tests::{App, Person};

use super::tab::Tab;

async fn fetch(app: &App, path: &str, accepted: &str) -> (reqwest::header::HeaderMap, Vec<u8>) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.get(format!("{}{path}", app.base()));
    let request = if accepted.is_empty() { request } else { request.header("accept-encoding", accepted) };
    let answer = request.send().await.unwrap();
    (answer.headers().clone(), answer.bytes().await.unwrap().to_vec())
}

fn decoded(coding: &str, body: &[u8]) -> String {
    let mut text = String::new();
    match coding {
        "br" => brotli::Decompressor::new(body, 4096).read_to_string(&mut text),
        "gzip" => flate2::read::GzDecoder::new(body).read_to_string(&mut text),
        _ => std::io::Cursor::new(body).read_to_string(&mut text),
    }
    .unwrap();
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_compressed_for_whoever_takes_it() {
    let app = App::start().await;
    let ticket = app.sign_up().await.sell(10).await;
    let (_, plain) = fetch(&app, "/signup", "").await;
    for (accepted, coding) in
        [("gzip, deflate, br, zstd", "br"), ("gzip", "gzip"), ("br;q=0, gzip;q=0.5", "gzip"), ("br;q=0", ""), ("", "")]
    {
        let (headers, body) = fetch(&app, "/signup", accepted).await;
        let said = headers.get("content-encoding").map_or("", |coding| coding.to_str().unwrap());
        assert_eq!(said, coding, "for {accepted:?}");
        assert!(headers["vary"].to_str().unwrap().to_lowercase().contains("accept-encoding"));
        assert_eq!(decoded(coding, &body).as_bytes(), plain, "for {accepted:?}");
        assert!(coding.is_empty() || body.len() < plain.len() / 2, "{} of {} bytes", body.len(), plain.len());
    }
    // A stream is told piece by piece.
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let live = format!("{}/tickets/{}/live", app.base(), ticket["id"].as_str().unwrap());
    let mut stream = client.get(live).header("accept-encoding", "br, gzip").send().await.unwrap();
    assert!(!stream.headers().contains_key("content-encoding"));
    let piece = stream.chunk().await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&piece).contains("10 places left"), "{piece:?}");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_public_address_is_https_browsers_come_by_nothing_else() {
    let app = App::start().await;
    assert_eq!(Tab::new(&app.base()).get("/").await.header("strict-transport-security"), "");
    app.stop().await;
    let public = "https://docket.example.org".parse().unwrap();
    let app = App::with(|settings| settings.public_url = Some(public)).await;
    let tab = Tab::new(&app.base());
    for path in ["/", "/nothing/here", "/orders", "/signin"] {
        let answer = tab.get(path).await;
        assert_eq!(answer.header("strict-transport-security"), "max-age=31536000", "{path}");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stripes_frames_may_do_what_they_need_on_pages_that_take_cards_alone() {
    let app = App::with(|settings| settings.stripe_publishable_key = Some("pk_test_x".to_owned())).await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let order = buyer.hold(&seller.sell(10).await, 1).await.expect(201);
    let tab = Tab::of(&buyer, &app.base());
    let pay = tab.get(&format!("/orders/{}", order["id"].as_str().unwrap())).await;
    let policy = pay.header("content-security-policy");
    for part in [
        "script-src 'self' https://js.stripe.com https://*.js.stripe.com;",
        "frame-src https://js.stripe.com https://*.js.stripe.com https://hooks.stripe.com;",
        "connect-src 'self' https://api.stripe.com;",
    ] {
        assert!(policy.contains(part), "{part} in {policy}");
    }
    let permissions = pay.header("permissions-policy");
    assert!(
        permissions.contains("payment=(self \"https://js.stripe.com\" \"https://*.js.stripe.com\")"),
        "{permissions}"
    );
    let orders = tab.get("/orders").await;
    assert!(orders.header("permissions-policy").contains("payment=()"), "{:?}", orders.headers);
    assert!(!orders.header("content-security-policy").contains("stripe"), "{:?}", orders.headers);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_with_nonsense_in_it_shows_the_list() {
    let app = App::start().await;
    let seller = app.sign_up().await;
    let ticket = seller.sell(10).await;
    let order = app.sign_up().await.hold(&ticket, 1).await.expect(201);
    let tab = Tab::of(&seller, &app.base());
    let long = format!("/?search={}", "x".repeat(3000));
    for path in ["/?from=garbage", "/?from=2026-13-45&to=%00", "/?to=2026-02-30", "/?cursor=garbage", long.as_str()] {
        let home = tab.get(path).await;
        assert_eq!(home.status, 200, "{path:.60}: {}", home.text);
        assert!(home.text.contains("Friday evening") && !home.text.contains("garbage"), "{path:.60}: {}", home.text);
    }
    // Where a list goes on that goes on nowhere, it begins again.
    let sale = format!("/sales/{}", ticket["id"].as_str().unwrap());
    for (list, shows) in
        [("/orders", "No orders yet."), ("/sales", "Friday evening"), (sale.as_str(), order["id"].as_str().unwrap())]
    {
        let nowhere = tab.get(&format!("{list}?cursor=garbage")).await;
        assert_eq!((nowhere.status, nowhere.header("location")), (303, list), "{}", nowhere.text);
        let begins = tab.get(list).await;
        assert!(begins.status == 200 && begins.text.contains(shows), "{list}: {} {}", begins.status, begins.text);
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_says_what_went_wrong_knows_who_is_signed_in() {
    let app = App::start().await;
    let person = app.sign_up().await;
    let tab = Tab::of(&person, &app.base());
    for path in ["/nothing/here", "/tickets/nonsense", "/tickets/01890000-0000-7000-8000-000000000000"] {
        expect_known(&tab, path, &person).await;
    }
    // With tokens that must be renewed first, and are the browser's afterwards.
    tab.lose(ACCESS_COOKIE);
    expect_known(&tab, "/orders/nonsense", &person).await;
    assert!(tab.cookie(ACCESS_COOKIE).is_some());
    let nobody = Tab::new(&app.base()).get("/nothing/here").await;
    assert!(nobody.status == 404 && nobody.text.contains("/signin?next=%2F"), "{}", nobody.text);
    app.stop().await;
}

async fn expect_known(tab: &Tab, path: &str, person: &Person) {
    let answer = tab.get(path).await;
    assert_eq!(answer.status, 404, "{path}: {}", answer.text);
    assert!(answer.text.contains("Nothing here") && answer.text.contains(&person.email), "{path}: {}", answer.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_in_leads_to_no_other_site_and_is_no_error() {
    let app = App::start().await;
    let person = app.sign_up().await;
    let password = docket_tests::PASSWORD.replace(' ', "+");
    for (next, leads_to) in [
        ("%2F%09%2Fevil.example", "/"),
        ("%2F%0A%2Fevil.example", "/"),
        ("%2F%2Fevil.example", "/"),
        ("%2F%5Cevil.example", "/"),
        ("%2Forders%2F..%2F%2Fevil.example", "/"),
        ("%2F%0B%2Fx", "/%0B/x"),
        ("%2Forders%3Fcursor%3Dx", "/orders?cursor=x"),
    ] {
        let fields = format!("email={}&password={password}&next={next}", person.email.replace('@', "%40"));
        let answer = Tab::new(&app.base()).post("/signin", &fields).await;
        assert_eq!((answer.status, answer.header("location")), (303, leads_to), "{next}: {}", answer.text);
    }
    app.stop().await;
}
