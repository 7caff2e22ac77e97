//! What must stand in no log and in no trace: the tokens of mails' links, and what lets a browser pay.

use std::fs;
use std::process::Stdio;

use docket_tests::{App, Collector, Person, binary, eventually, free_port};
use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;

const PAGES: [(&str, &str); 4] = [
    ("/reset-password?token=", "GET /reset-password"),
    ("/verify-email?token=", "GET /verify-email"),
    ("/orders/01932b00-0000-7000-8000-000000000000?payment_intent_client_secret=pi_1_secret_", "GET /orders/{id}"),
    ("/api/users/currentuser?token=", "GET /api/users/currentuser"),
];

/// As somebody sends them who clicks a link, comes back from a bank, or asks by the API.
#[tokio::test(flavor = "multi_thread")]
async fn what_stands_behind_the_question_mark_is_in_no_line_and_in_no_span() {
    let (folder, collector) = (TempDir::new().unwrap(), Collector::listen());
    let app = App::start().await;
    app.stop_serving().await;
    let (log, errors) = (folder.path().join("log"), folder.path().join("errors"));
    let (http, ops) = (free_port(), free_port());
    let mut docket = Command::new(binary("docket"))
        .env("DOCKET_HTTP_ADDR", format!("127.0.0.1:{http}"))
        .env("DOCKET_OPS_ADDR", format!("127.0.0.1:{ops}"))
        .env("DOCKET_DATA_DIR", folder.path().join("data"))
        .env("DOCKET_DEMO", "0")
        .env("DOCKET_STREAM_MIB", "64")
        .env("DOCKET_LOG_FORMAT", "json")
        .envs(super::sale::variables(&app))
        .env("RUST_LOG", "debug,common=trace,auth=trace,web=trace")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.address())
        .stdout(Stdio::from(fs::File::create(&log).unwrap()))
        .stderr(Stdio::from(fs::File::create(&errors).unwrap()))
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let visitor = Person::visitor(&format!("http://127.0.0.1:{http}"));
    eventually("it answers", 60, || async {
        visitor.try_send(reqwest::Method::GET, "/api/tickets", &[], json!(null)).await.ok()
    })
    .await;
    let secret = "hunter2".repeat(6);
    // With a token that is none, of which the log tells.
    let token = [("authorization", "Bearer nonsense")];
    for (page, _) in PAGES {
        visitor.send(reqwest::Method::GET, &format!("{page}{secret}"), &token, json!(null)).await;
    }
    visitor.post("/api/users/reset-password", json!({ "token": secret, "password": "a new password" })).await;
    for (_, span) in PAGES {
        eventually(&format!("the collector hears of {span}"), 30, || async {
            (!collector.traces("docket", span).is_empty()).then_some(())
        })
        .await;
    }
    let spans = collector.spans();
    let told: Vec<_> = spans.iter().filter(|span| span.tells(&secret)).collect();
    assert!(told.is_empty(), "{told:#?}");
    let paths: Vec<&str> = spans.iter().filter_map(|span| span.attribute("http.target")).collect();
    assert!(paths.contains(&"/reset-password") && paths.iter().all(|path| !path.contains('?')), "{paths:?}");
    docket.kill().await.unwrap();
    for file in [log, errors] {
        let lines = fs::read_to_string(&file).unwrap();
        let line = lines.lines().find(|line| line.contains(&secret));
        assert_eq!(line, None, "{}", file.display());
    }
    let log = fs::read_to_string(folder.path().join("log")).unwrap();
    let told = log.lines().find(|line| line.contains("no principal")).expect("the log tells of requests");
    assert!(told.contains("\"http.target\":\"/api/users/currentuser\""), "{told}");
    app.stop().await;
}
