use reqwest::Method;
use serde_json::json;

use super::harness::{TestApp, json_of, problem, send, status};

const ID: &str = "01920000-0000-7000-8000-000000000001";

async fn refused(app: &TestApp, body: impl Into<reqwest::Body>) -> (u16, String, serde_json::Value) {
    let (status, code, body) =
        problem(app.post("/api/things").header("content-type", "application/json").body(body)).await;
    (status, code, body["errors"][0]["field"].clone())
}

#[actix_web::test]
async fn a_body_is_exactly_what_is_asked_for() {
    let app = TestApp::start();
    let created = send(app.post("/api/things").json(&json!({ "ticketId": ID, "quantity": 2 }))).await;
    assert_eq!(created.status(), 201);
    assert_eq!(created.headers()["location"], format!("/api/things/{ID}"));
    for (body, field) in [
        (json!({ "ticketId": ID, "quantity": "2" }), "quantity"),
        (json!({ "ticketId": ID, "quantity": 2.5 }), "quantity"),
        (json!({ "ticketId": ID }), "quantity"),
        (json!({ "ticketId": { "$ne": null }, "quantity": 2 }), "ticketId"),
        (json!({ "ticketId": "../admin", "quantity": 2 }), "ticketId"),
        (json!({ "ticketId": ID, "quantity": 2, "price": 1 }), "price"),
        (json!({ "ticketId": ID, "quantity": 256 }), "quantity"),
        (json!({ "ticketId": ID, "quantity": 2, "note": "" }), "note"),
    ] {
        assert_eq!(refused(&app, body.to_string()).await, (400, "invalid_input".to_owned(), json!(field)), "{body}");
    }
}

#[actix_web::test]
async fn what_is_no_json_is_told_apart() {
    let app = TestApp::start();
    assert_eq!(refused(&app, "{\"ticketId\":").await.1, "malformed_json");
    assert_eq!(refused(&app, "").await.1, "malformed_json");
    assert_eq!(refused(&app, format!("{{\"note\":{}", "[".repeat(60_000))).await.0, 400);
    assert_eq!(refused(&app, format!("{{\"note\":\"{}\"}}", "x".repeat(70_000))).await.0, 413);
    let endless = futures::stream::iter((0..100).map(|_| Ok::<_, std::io::Error>(vec![b' '; 1024])));
    assert_eq!(refused(&app, reqwest::Body::wrap_stream(endless)).await.0, 413);
    let (status, code, _) = problem(app.post("/api/things").header("content-type", "text/plain").body("{}")).await;
    assert_eq!((status, code.as_str()), (415, "unsupported_media_type"));
    assert_eq!(problem(app.post("/api/things")).await.0, 415);
}

#[actix_web::test]
async fn a_path_that_names_nothing_is_not_found() {
    let app = TestApp::start();
    assert_eq!(status(app.get(&format!("/api/things/{ID}"))).await, 200);
    for path in ["/api/things/1", "/api/things/%7B%22$ne%22:null%7D", "/api/things/%ff", "/api/nothing", "/"] {
        assert_eq!(problem(app.get(path)).await.1, "not_found", "{path}");
    }
}

#[actix_web::test]
async fn another_method_is_told_which_are_allowed() {
    let app = TestApp::start();
    let response = send(app.request(Method::DELETE, &format!("/api/things/{ID}"))).await;
    assert_eq!((response.status().as_u16(), &response.headers()["allow"]), (405, &"GET, HEAD, PUT".parse().unwrap()));
    assert_eq!(problem(app.request(Method::PATCH, "/api/pages")).await.1, "method_not_allowed");
    assert_eq!(status(app.request(Method::HEAD, "/api/pages")).await, 200);
}

#[actix_web::test]
async fn a_fixed_path_wins_over_a_parameter() {
    let app = TestApp::start();
    assert_eq!(send(app.get("/api/things/current")).await.text().await.unwrap(), "current");
}

#[actix_web::test]
async fn pages_lead_through_a_list() {
    let app = TestApp::start();
    let (mut seen, mut path) = (Vec::new(), "/api/pages?limit=2".to_owned());
    loop {
        let page = json_of(app.get(&path)).await;
        seen.extend(page["items"].as_array().unwrap().iter().map(|item| item.as_u64().unwrap()));
        let Some(next) = page["nextCursor"].as_str() else { break };
        path = format!("/api/pages?limit=2&cursor={next}");
    }
    assert_eq!(seen, [1, 2, 3, 4, 5]);
    assert_eq!(json_of(app.get("/api/pages?from=3")).await, json!({ "items": [4, 5], "nextCursor": null }));
    for (query, field) in
        [("limit=0", "limit"), ("limit=101", "limit"), ("limit=x", "limit"), ("cursor=!", "cursor"), ("from=x", "from")]
    {
        let (status, _, body) = problem(app.get(&format!("/api/pages?{query}"))).await;
        assert_eq!((status, body["errors"][0]["field"].as_str()), (400, Some(field)), "{query}");
    }
}
