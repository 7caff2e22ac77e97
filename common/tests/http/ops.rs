use common::http::{Readiness, Status, openapi};

use super::harness::{TestApp, status};
use super::service;

#[actix_web::test]
async fn the_ops_port_tells_alive_ready_and_metrics() {
    let app = TestApp::start();
    assert_eq!(status(app.get("/api/pages")).await, 200);
    assert_eq!(status(app.get("/made-up")).await, 404);
    let readiness = Readiness::waiting_for(["mongodb"]);
    let told = Status::default();
    let (listener, address) = common::http::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    tokio::spawn(common::http::serve_ops(listener, readiness.clone(), told.clone()).unwrap());
    let get = |path: &str| app.client.get(format!("http://{address}{path}"));

    assert_eq!((status(get("/livez")).await, status(get("/readyz")).await), (200, 503));
    readiness.set("mongodb", true);
    readiness.ready().await;
    assert_eq!(status(get("/readyz")).await, 200);
    told.set("nats", false, serde_json::json!({ "awaySeconds": 12 }));
    let shared: serde_json::Value = get("/status").send().await.unwrap().json().await.unwrap();
    assert_eq!(shared["shared"]["nats"], serde_json::json!({ "well": false, "awaySeconds": 12 }));
    assert_eq!(status(get("/readyz")).await, 200, "what is shared and ill is no reason");
    readiness.drain();
    assert_eq!((status(get("/livez")).await, status(get("/readyz")).await), (200, 503));
    let metrics = get("/metrics").send().await.unwrap().text().await.unwrap();
    let counted = r#"http_requests_total{service="things",method="GET",route="/api/pages",status="200"}"#;
    assert!(metrics.contains(counted), "{metrics}");
    assert!(metrics.contains("http_request_duration_seconds_bucket"));
    assert!(!metrics.contains("made-up"));
}

#[test]
fn the_document_says_what_is_served() {
    let document = serde_json::to_value(openapi("Things", &service::routes())).unwrap();
    let create = &document["paths"]["/api/count"]["post"];
    assert_eq!(create["x-policy"], "signed-in");
    assert_eq!(create["x-idempotent"], true);
    assert_eq!(create["security"][0], serde_json::json!({ "bearer": [] }));
    let problem = &create["responses"]["401"]["content"]["application/problem+json"]["schema"]["$ref"];
    assert_eq!(problem, "#/components/schemas/Problem");
    assert_eq!(document["paths"]["/api/things/managers"]["get"]["x-policy"], "role:manager");
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for name in ["NewOrder", "Seen", "Problem", "FieldError"] {
        assert!(schemas.contains_key(name), "{name} of {:?}", schemas.keys());
    }
    assert_eq!(ids(&document).len(), service::routes().len());
    assert_eq!(dangling(&document), Vec::<String>::new());
}

#[test]
fn what_handlers_take_and_answer_stands_in_the_document() {
    let document = serde_json::to_value(openapi("Things", &service::routes())).unwrap();
    let statuses = |path: &str, method: &str| {
        let answers = document["paths"][path][method]["responses"].as_object().unwrap();
        answers.keys().map(String::as_str).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(statuses("/api/things/anyone", "get"), "200 429 503");
    assert_eq!(statuses("/api/things/owner", "get"), "200 401 403 429 503");
    assert_eq!(statuses("/api/things/webhook", "post"), "200 429 503", "it comes from no browser");
    assert_eq!(statuses("/api/things/{id}", "get"), "200 304 404 429 503");
    assert_eq!(statuses("/api/things/{id}", "put"), "204 400 403 404 412 429 503");
    assert_eq!(statuses("/api/things", "post"), "201 400 403 408 413 415 429 503");
    assert_eq!(statuses("/api/count", "post"), "201 400 401 403 408 409 413 415 422 429 503");
    assert_eq!(statuses("/api/pages", "get"), "200 400 429 503");
    let named = |path: &str, method: &str| document["paths"][path][method]["parameters"].to_string();
    assert!(named("/api/things/{id}", "put").contains("If-Match"));
    assert!(named("/api/things/{id}", "get").contains("If-None-Match"));
    assert!(named("/api/count", "post").contains("Idempotency-Key"));
    let headers = |status: &str| document["paths"]["/api/count"]["post"]["responses"][status]["headers"].to_string();
    assert!(["ETag", "Location", "Idempotent-Replayed"].iter().all(|name| headers("201").contains(name)));
    assert!(headers("503").contains("Retry-After") && headers("401").contains("WWW-Authenticate"));
}

#[test]
fn every_refusal_is_a_problem() {
    let document = serde_json::to_value(openapi("Things", &service::routes())).unwrap();
    let operations =
        document["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap().values());
    for answers in operations.map(|operation| operation["responses"].as_object().unwrap()) {
        for (status, answer) in answers.iter().filter(|(status, _)| status.as_str() >= "400") {
            let schema = &answer["content"]["application/problem+json"]["schema"]["$ref"];
            assert_eq!(schema, "#/components/schemas/Problem", "{status}: {answer}");
        }
    }
}

#[test]
fn an_answer_has_all_of_its_fields() {
    let document = serde_json::to_value(openapi("Things", &service::routes())).unwrap();
    let required = |schema: &str| document["components"]["schemas"][schema]["required"].to_string();
    assert_eq!(required("Seen"), r#"["user"]"#, "null if there is none");
    assert_eq!(required("NewOrder"), r#"["ticketId","quantity"]"#, "what is sent may leave out what is not required");
    assert_eq!(required("FieldError"), r#"["message"]"#, "what may be left out is never null");
}

fn ids(document: &serde_json::Value) -> std::collections::BTreeSet<String> {
    let paths = document["paths"].as_object().unwrap().values();
    let operations = paths.flat_map(|path| path.as_object().unwrap().values());
    operations.map(|operation| operation["operationId"].as_str().unwrap().to_owned()).collect()
}

/// References that lead nowhere.
fn dangling(document: &serde_json::Value) -> Vec<String> {
    let text = document.to_string();
    let references = text.split("\"$ref\":\"#").skip(1).filter_map(|rest| rest.split('"').next());
    references.filter(|pointer| document.pointer(pointer).is_none()).map(str::to_owned).collect()
}
