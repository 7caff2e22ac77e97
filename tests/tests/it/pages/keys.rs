//! The keys of programs in one's profile, without scripts.

use docket_tests::{Answer, App, Browser};
use serde_json::{Value, json};

use super::tab::Tab;

/// What stands on the page as the new key.
fn shown_key(text: &str) -> String {
    let (_, key) = text.split_once("id=\"new-key\">").unwrap_or_else(|| panic!("no new key in {text}"));
    key.split('<').next().unwrap().to_owned()
}

async fn exchange(app: &App, key: &str) -> Answer {
    app.visitor().post("/api/users/api-keys/exchange", json!({ "key": key })).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_profile_makes_keys_shows_them_once_and_ends_them() {
    let app = App::start().await;
    let person = app.sign_up().await;
    let tab = Tab::of(&person, &app.base());
    assert!(tab.get("/profile").await.text.contains("Keys for programs"));
    let nothing = tab.post("/profile/keys", "name=Till&tickets=&orders=&passes=&payments=").await;
    assert_eq!(nothing.status, 400, "{}", nothing.text);
    assert!(nothing.text.contains("Choose what the program may do.") && nothing.text.contains("value=\"Till\""));

    let made = tab.post("/profile/keys", "name=The+till&orders=read&passes=write").await;
    assert_eq!(made.status, 200, "{}", made.text);
    let key = shown_key(&made.text);
    let token = exchange(&app, &key).await.expect(200)["accessToken"].as_str().unwrap().to_owned();
    let authorization = format!("Bearer {token}");
    let orders = async || {
        let headers = [("authorization", authorization.as_str())];
        app.visitor().send(reqwest::Method::GET, "/api/orders", &headers, Value::Null).await
    };
    orders().await.expect(200);
    let shown = tab.get("/profile").await.text;
    assert!(!shown.contains(&key), "a key is shown once");
    for part in ["The till", "orders:read, passes:write", "Last used"] {
        assert!(shown.contains(part), "{part} in {shown}");
    }

    let keys = person.get("/api/users/api-keys").await.expect(200);
    let id = keys["items"][0]["id"].as_str().unwrap();
    // Nobody else can do it, not even by a page that the owner looks at.
    let stranger = Tab::of(&app.sign_up().await, &app.base());
    assert_eq!(stranger.post(&format!("/profile/keys/{id}/end"), "").await.status, 404);
    let from_elsewhere = [("sec-fetch-site", "cross-site")];
    let path = format!("/profile/keys/{id}/end");
    let foreign = person.send(reqwest::Method::POST, &path, &from_elsewhere, Value::Null).await;
    assert_eq!(foreign.status, 403, "{foreign:?}");
    exchange(&app, &key).await.expect(200);

    let ended = tab.post(&path, "").await;
    assert_eq!((ended.status, ended.header("location")), (303, "/profile"), "{}", ended.text);
    assert!(!tab.get("/profile").await.text.contains("The till"));
    exchange(&app, &key).await.problem(401, "invalid_api_key");
    orders().await.expect(401);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_made_in_a_browser() {
    let app = App::start().await;
    let page = Browser::phone().visit_as(&app.sign_up().await).await;
    page.open("/profile").await;
    page.fill("What the key is for", "Box office").await;
    page.fill("Listings", "Look and change").await;
    page.click_button("Make a key").await;
    page.see("It is shown this once").await;
    page.see("tickets:write").await;
    page.see("Not used yet").await;
    page.expect_no_errors().await;
    page.click_button("End the key Box office").await;
    page.see_no("Not used yet").await;
    page.expect_no_errors().await;
    app.stop().await;
}
