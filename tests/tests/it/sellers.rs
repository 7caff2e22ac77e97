//! Who may sell.

use docket_tests::{App, eventually};
use serde_json::{Value, json};

fn show() -> Value {
    json!({ "title": "Friday evening", "price": "19.99", "quantity": 5 })
}

/// An address that is not confirmed may be anybody's.
#[tokio::test(flavor = "multi_thread")]
async fn who_sells_has_confirmed_their_address() {
    let app = App::start().await;
    let (seller, key) = (app.sign_up().await, json!({ "name": "Box office", "scopes": ["tickets:write"] }));
    let key = seller.post("/api/users/api-keys", key).await.expect(201)["key"].take();
    let machine = async || {
        let token = app.visitor().post("/api/users/api-keys/exchange", json!({ "key": key })).await.expect(200);
        format!("Bearer {}", token["accessToken"].as_str().unwrap())
    };
    let lists = async |token: &str| {
        app.visitor().send(reqwest::Method::POST, "/api/tickets", &[("authorization", token)], show()).await
    };
    let refused = seller.post("/api/tickets", show()).await.problem(403, "address_not_confirmed");
    assert!(refused["detail"].as_str().unwrap().contains("/api/users/verify-email/request"), "{refused}");
    let before = machine().await;
    lists(&before).await.problem(403, "address_not_confirmed");

    // Whoever was signed in goes on with new tokens, and the same key brings one.
    let elsewhere = seller.elsewhere().await;
    seller.confirm().await;
    seller.post("/api/tickets", show()).await.expect(201);
    eventually("tokens of before are void", 5, || async {
        (elsewhere.get("/api/orders").await.status == 401 && lists(&before).await.status == 401).then_some(())
    })
    .await;
    elsewhere.post("/api/users/refresh", Value::Null).await.expect(200);
    elsewhere.post("/api/tickets", show()).await.expect(201);
    lists(&machine().await).await.expect(201);
    app.stop().await;
}
