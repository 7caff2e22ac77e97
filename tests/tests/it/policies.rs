//! Every route against every kind of caller.

use docket_tests::{App, Person};
use reqwest::Method;
use serde_json::{Value, json};

use common::http::{Policy, Route};

fn routes() -> Vec<Route> {
    let services = App::services();
    services.iter().flat_map(|service| service.routes().to_vec()).chain(common::service::frame_routes()).collect()
}

/// The path with an id that belongs to nobody.
fn filled(path: &str) -> String {
    path.replace("{service}", "orders").replace("{id}", "01932b00-0000-7000-8000-000000000000")
}

async fn call(person: &Person, route: &Route) -> u16 {
    let method: Method = route.method().as_str().parse().unwrap();
    let body = if method == Method::GET { Value::Null } else { json!({}) };
    person.send(method, &filled(route.path()), &[], body).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_admits_whom_its_policy_names_and_nobody_else() {
    let app = App::start().await;
    let (visitor, member, admin) = (app.visitor(), app.sign_up().await, app.admin().await);
    let routes = routes();
    assert!(routes.len() > 20, "the services have their routes");
    for route in routes.iter().filter(|route| !route.path().contains("signout")) {
        let shown = format!("{} {} ({})", route.method(), route.path(), route.policy());
        let anonymous = call(&visitor, route).await;
        assert_eq!(anonymous == 401, route.policy().needs_principal(), "{shown}: a visitor got {anonymous}");
        let someone = call(&member, route).await;
        // Who has just signed up has no role, and no confirmed address.
        let wants_more = matches!(route.policy(), Policy::Roles(_) | Policy::Confirmed);
        assert_eq!(someone == 403, wants_more, "{shown}: a member got {someone}");
        assert_ne!(someone, 401, "{shown}: a member is signed in");
        let boss = call(&admin, route).await;
        assert!(![401, 403].contains(&boss) && boss < 500, "{shown}: an administrator got {boss}");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_to_others_is_not_found() {
    let app = App::start().await;
    let (seller, buyer, stranger) = (app.sign_up().await, app.sign_up().await, app.sign_up().await);
    let ticket = seller.sell(5).await;
    let order = buyer.hold(&ticket, 1).await.expect(201);
    buyer.pay(&order, "pm_card_visa").await.expect(201);
    buyer.until_order(&order, "complete").await;
    let (id, listing) = (order["id"].as_str().unwrap(), ticket["id"].as_str().unwrap());
    for (method, path) in [
        (Method::GET, format!("/api/orders/{id}")),
        (Method::DELETE, format!("/api/orders/{id}")),
        (Method::GET, format!("/api/orders/{id}/passes")),
        (Method::GET, format!("/api/payments/{id}")),
        (Method::GET, format!("/api/orders/sales/{listing}")),
        (Method::GET, format!("/api/orders/sales/{listing}/orders")),
        (Method::GET, format!("/api/orders/sales/{listing}/orders.csv")),
    ] {
        stranger.send(method, &path, &[], Value::Null).await.problem(404, "not_found");
    }
    stranger.pay(&order, "pm_card_visa").await.problem(404, "not_found");
    let code = buyer.passes(&order).await.remove(0)["code"].clone();
    stranger.post("/api/passes/check-in", json!({ "code": code })).await.problem(404, "not_found");
    buyer.post("/api/passes/check-in", json!({ "code": code })).await.problem(404, "not_found");
    let seen = seller.get(&format!("/api/orders/{id}")).await.expect(200);
    assert!(seen.get("buyerId").is_none(), "the seller sees no personal data: {seen}");
    seller.hold(&ticket, 1).await.problem(403, "own_ticket");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_refused_with_its_field_named() {
    let app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let ticket = seller.sell(5).await;
    let id = &ticket["id"];
    buyer.post("/api/orders", json!({ "ticketId": { "$ne": null } })).await.refuses("ticketId");
    buyer.post("/api/orders", json!({ "ticketId": id, "quantity": 0 })).await.refuses("quantity");
    buyer.post("/api/orders", json!({ "ticketId": id, "quantity": 101 })).await.refuses("quantity");
    buyer.post("/api/orders", json!({ "ticketId": id, "quantity": "2" })).await.refuses("quantity");
    buyer.post("/api/orders", json!({ "ticketId": id, "price": 1 })).await.refuses("price");
    buyer.post("/api/orders", json!({})).await.refuses("ticketId");
    seller.post("/api/passes/check-in", json!({ "code": "forged" })).await.refuses("code");
    seller.post("/api/passes/check-in", json!({ "code": "x", "place": "y".repeat(101) })).await.refuses("place");
    let unknown = json!({ "ticketId": "01932b00-0000-7000-8000-000000000000" });
    buyer.post("/api/orders", unknown).await.problem(404, "not_found");
    let json = [("content-type", "application/json")];
    buyer.send_raw(Method::POST, "/api/orders", &json, "{ not json").await.expect(400);
    buyer.send_raw(Method::POST, "/api/orders", &json, vec![b' '; 100_000]).await.problem(413, "too_large");
    buyer
        .send_raw(Method::POST, "/api/orders", &[("content-type", "text/plain")], "{}")
        .await
        .problem(415, "unsupported_media_type");
    app.stop().await;
}
