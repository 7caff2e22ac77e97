use reqwest::Method;

use super::harness::{TestApp, problem, send, status};
use super::service::VERSION;

const THING: &str = "/api/things/01920000-0000-7000-8000-000000000001";

#[actix_web::test]
async fn a_version_is_shown_and_honoured() {
    let app = TestApp::start();
    let shown = send(app.get(THING)).await;
    let tag = shown.headers()["etag"].to_str().unwrap().to_owned();
    assert!(tag.starts_with(&format!("\"{VERSION}.")), "{tag}");
    let again = send(app.get(THING).header("if-none-match", &tag)).await;
    assert_eq!(again.status(), 304);
    assert_eq!(again.headers()["etag"], tag.as_str());
    assert!(again.bytes().await.unwrap().is_empty());

    let change = |tag: &str| app.request(Method::PUT, THING).header("if-match", tag);
    assert_eq!(status(app.request(Method::PUT, THING)).await, 204);
    assert_eq!(status(change("*")).await, 204);
    assert_eq!(status(change(&format!("\"{VERSION}\""))).await, 204);
    assert_eq!(problem(change("\"6\"")).await.1, "version_mismatch");
    assert_eq!(problem(change("six")).await.0, 400);
}

#[actix_web::test]
async fn a_fault_of_ours_stays_with_us() {
    let app = TestApp::start();
    let response = send(app.get("/api/fault")).await;
    assert_eq!(response.status(), 500);
    let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    let body = response.text().await.unwrap();
    assert!(body.contains(&id) && !body.contains("hunter2"), "{body}");
}

#[actix_web::test]
async fn a_panic_is_an_answer_too() {
    let app = TestApp::start();
    let (status, code, body) = problem(app.get("/api/crash")).await;
    assert_eq!((status, code.as_str()), (500, "internal"));
    assert!(!body.to_string().contains("hunter2"));
    assert!(body["requestId"].is_string());
}

#[actix_web::test]
async fn every_answer_has_safe_headers_and_an_id() {
    let app = TestApp::start();
    for path in [THING, "/api/nothing", "/api/fault", "/api/things/signed-in"] {
        let response = send(app.get(path)).await;
        for (name, value) in
            [("x-content-type-options", "nosniff"), ("referrer-policy", "no-referrer"), ("x-frame-options", "DENY")]
        {
            assert_eq!(response.headers()[name], value, "{path}");
        }
        assert!(!response.headers()["x-request-id"].is_empty());
    }
}

#[actix_web::test]
async fn a_trace_goes_on() {
    let app = TestApp::start();
    let sent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let seen = send(app.get("/api/trace").header("traceparent", sent)).await.text().await.unwrap();
    assert_eq!(seen, sent);
    let own = send(app.get("/api/trace")).await.text().await.unwrap();
    assert_eq!(own, "", "without a collector no traces begin");
}

#[actix_web::test]
async fn a_process_that_stops_lets_go_of_its_clients() {
    let app = TestApp::start();
    assert!(!send(app.get(THING)).await.headers().contains_key("connection"));
    app.readiness.drain();
    assert_eq!(send(app.get(THING)).await.headers()["connection"], "close");
}
