//! Sessions outlive an auth that is busy, a role that changes, and tokens that end between two pages.

use std::time::Duration;

use common::http::auth::{ACCESS_COOKIE, REFRESH_COOKIE};
use docket_tests::{App, Person, eventually, pause};
use serde_json::{Value, json};

use super::relay::{Fault, Relay, pages_at};
use super::tab::Tab;

/// A refresh token may be used again for ten seconds; then its reuse ends the session.
const REUSE_ENDS_A_SESSION: Duration = Duration::from_secs(11);

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_that_auth_could_not_do_is_asked_for_again() {
    let app = App::start().await;
    let relay = Relay::to(&app.base());
    let pages = pages_at(relay.base()).await;
    for status in [503, 500, 429] {
        let tab = Tab::of(&app.sign_up().await, &pages.base());
        tab.lose(ACCESS_COOKIE);
        relay.next("POST /api/users/refresh", Fault::Refused(status));
        let busy = tab.get("/orders").await;
        assert_eq!((busy.status, busy.header("location")), (503, ""), "auth answered {status}");
        assert!(!busy.header("retry-after").is_empty(), "{:?}", busy.headers);
        let again = tab.get("/orders").await;
        assert_eq!(again.status, 200, "auth answered {status} before");
        assert!(tab.cookie(ACCESS_COOKIE).is_some());
    }
    pages.stop().await;
    app.stop().await;
}

/// Somebody whose access token is there but refused, because their role has changed.
async fn with_a_refused_token(app: &App) -> Person {
    let (person, admin) = (app.sign_up().await, app.admin().await);
    let role = format!("/api/users/{}/role", person.id.as_str().unwrap());
    admin.put(&role, json!({ "role": "manager" })).await.expect(200);
    eventually("the token is refused", 10, || async { (person.get("/api/orders").await.status == 401).then_some(()) })
        .await;
    person
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_role_sends_nobody_to_the_sign_in_page() {
    let app = App::start().await;
    let person = with_a_refused_token(&app).await;
    let tab = Tab::of(&person, &app.base());
    let before = tab.cookie(ACCESS_COOKIE);
    let page = tab.get("/orders").await;
    assert_eq!((page.status, page.header("location")), (200, ""));
    assert!(tab.cookie(ACCESS_COOKIE) != before, "new tokens came with the page: {:?}", page.headers);
    let home = tab.get("/").await;
    assert!(home.text.contains("/signout"), "they are signed in on every page");
    app.stop().await;
}

/// The order's page asks several APIs side by side. If one of them has new tokens and another one fails, the tokens reach the
/// browser all the same, or else it goes on with a used refresh token, and the session ends.
#[tokio::test(flavor = "multi_thread")]
async fn new_tokens_are_never_lost_on_their_way() {
    let app = App::start().await;
    let ticket = app.sign_up().await.sell(10).await;
    let person = app.sign_up().await;
    let order = person.hold(&ticket, 1).await.expect(201)["id"].as_str().unwrap().to_owned();
    let admin = app.admin().await;
    let role = format!("/api/users/{}/role", person.id.as_str().unwrap());
    admin.put(&role, json!({ "role": "manager" })).await.expect(200);
    eventually("the token is refused", 10, || async { (person.get("/api/orders").await.status == 401).then_some(()) })
        .await;
    let tabs = [format!("/orders/{order}"), "/orders/01890000-0000-7000-8000-000000000000".to_owned()];
    let sessions = [Tab::of(&person, &app.base()), Tab::of(&person.elsewhere().await, &app.base())];
    assert_eq!(sessions[0].get(&tabs[0]).await.status, 200);
    // A page that cannot be shown brings the tokens too.
    sessions[1].lose(ACCESS_COOKIE);
    assert_eq!(sessions[1].get(&tabs[1]).await.status, 404);
    pause(REUSE_ENDS_A_SESSION).await;
    for (tab, what) in sessions.iter().zip(["of the order's page", "of the page that is not there"]) {
        tab.lose(ACCESS_COOKIE);
        let page = tab.get("/orders").await;
        assert_eq!(page.status, 200, "the session {what} goes on: {:?}", page.headers);
        assert!(tab.cookie(REFRESH_COOKIE).is_some());
    }
    app.stop().await;
}

/// The refresh token is spent as soon as auth hears of it: the new one waits for whoever hung up before it came.
#[tokio::test(flavor = "multi_thread")]
async fn who_hangs_up_in_the_middle_of_a_refresh_stays_signed_in() {
    let app = App::start().await;
    let relay = Relay::to(&app.base());
    let pages = pages_at(relay.base()).await;
    let tab = Tab::of(&app.sign_up().await, &pages.base());
    tab.lose(ACCESS_COOKIE);
    relay.next("POST /api/users/refresh", Fault::Held);
    tokio::select! {
        page = tab.get("/orders") => panic!("the page came without an answer of auth: {page:?}"),
        () = relay.holds_one() => {}
    }
    relay.let_go();
    pause(REUSE_ENDS_A_SESSION).await;
    let page = tab.get("/orders").await;
    assert_eq!((page.status, page.header("location")), (200, ""), "the session goes on");
    assert_eq!(relay.count("POST /api/users/refresh"), 1);
    pages.stop().await;
    app.stop().await;
}

/// What a browser keeps of two tabs that refresh within ten seconds never outlives the token in it.
#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_from_a_shared_refresh_ends_with_its_token() {
    let app = App::start().await;
    let person = app.sign_up().await;
    let (first, second) = (Tab::of(&person, &app.base()), Tab::of(&person, &app.base()));
    first.lose(ACCESS_COOKIE);
    second.lose(ACCESS_COOKIE);
    let age = |shown: &super::tab::Shown| -> i64 {
        let mut set = shown.headers.get_all("set-cookie").iter().filter_map(|value| value.to_str().ok());
        let cookie = set.find(|cookie| cookie.starts_with(ACCESS_COOKIE)).unwrap();
        cookie.split("Max-Age=").nth(1).unwrap().split(';').next().unwrap().parse().unwrap()
    };
    let one = age(&first.get("/orders").await);
    pause(Duration::from_secs(3)).await;
    let shared = second.get("/orders").await;
    assert_eq!(first.cookie(ACCESS_COOKIE), second.cookie(ACCESS_COOKIE), "both have the token of one refresh");
    assert!(age(&shared) <= one - 3, "{} of {one} s are said three seconds later", age(&shared));
    app.stop().await;
}

/// Auth cannot fetch its own keys for a moment: who comes with a token is somebody, though nobody can say who.
#[tokio::test(flavor = "multi_thread")]
async fn without_keys_nobody_is_taken_for_nobody() {
    let app = App::with(|settings| settings.jwks_url = Some("http://127.0.0.1:9/keys".parse().unwrap())).await;
    let visitor = app.visitor();
    visitor.get("/api/users/currentuser").await.expect(200);
    let person = app.sign_up().await;
    let answer = person.get("/api/users/currentuser").await;
    assert!(answer.headers.contains_key("retry-after"), "{answer:?}");
    answer.problem(503, "unavailable");
    assert_eq!(person.get("/api/tickets").await.expect(200)["items"], Value::Array(Vec::new()));
    let page = Tab::of(&person, &app.base()).get("/orders").await;
    assert_eq!((page.status, page.header("location")), (503, ""));
    app.stop().await;
}
