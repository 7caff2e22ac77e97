//! What operators look at: dashboards and alerts ask for nothing that is not on `/metrics`.

mod compose;
mod dashboards;
mod exposition;
mod queries;
mod rules;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use docket_tests::{App, eventually};

use dashboards::Dashboard;
use exposition::Exposition;
use queries::Query;
use rules::Rules;

/// What is measured last: now and then, beside the requests.
const LAST: [&str; 2] = ["consumer_pending_events", "payments_unsettled"];

/// A file of the repository.
fn path(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn read(file: &str) -> String {
    fs::read_to_string(path(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn dashboards() -> Vec<Dashboard> {
    let folder = "infra/observability/grafana/dashboards";
    let files = fs::read_dir(path(folder)).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let found: Vec<Dashboard> = files.map(|file| Dashboard::parse(&file, &read(&format!("{folder}/{file}")))).collect();
    assert!(found.len() >= 3, "there are dashboards");
    found
}

fn rules() -> Rules {
    Rules::parse(&read("infra/observability/prometheus/alerts.yml")).unwrap()
}

/// All that dashboards and alerts ask for.
fn queries() -> Vec<Query> {
    let mut asked = rules().queries();
    asked.extend(dashboards().iter().flat_map(Dashboard::queries));
    assert!(asked.len() > 40, "queries are found: {}", asked.len());
    asked
}

fn complaints(queries: &[Query], shown: &Exposition) -> Vec<String> {
    queries.iter().flat_map(|query| query.complaints(shown)).collect()
}

async fn shown(app: &App) -> Exposition {
    let answer = app.visitor().at(&app.ops()).get("/metrics").await.expect(200);
    Exposition::parse(answer.as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_journey_all_that_dashboards_and_alerts_ask_for_is_there() {
    let app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let ticket = seller.sell(1).await;
    let order = buyer.hold(&ticket, 1).await.expect(201);
    buyer.hold(&ticket, 1).await.problem(409, "sold_out");
    buyer.pay(&order, "pm_card_visa").await.expect(201);
    buyer.until_order(&order, "complete").await;
    assert_eq!(buyer.passes(&order).await.len(), 1);
    app.visitor().get("/").await.expect(200);
    seller.until_counts(&ticket, 0, 1).await;

    let shown = eventually("what is measured now and then is shown", 30, || async {
        Some(shown(&app).await).filter(|shown| LAST.iter().all(|metric| shown.has(metric)))
    })
    .await;
    assert_eq!(complaints(&queries(), &shown), Vec::<String>::new());
    assert_eq!(shown.oddities(), Vec::<String>::new());
    // Other tests count in the same process, so there may be more.
    for (metric, label) in [
        ("orders_holds_total", ("outcome", "granted")),
        ("orders_holds_total", ("outcome", "sold_out")),
        ("events_committed_total", ("event", "order.completed")),
        ("events_committed_total", ("event", "payment.succeeded")),
        ("events_handled_total", ("domain", "payments")),
        ("payments_stripe_calls_total", ("outcome", "answered")),
        ("http_requests_total", ("service", "web")),
        ("http_requests_total", ("service", "orders")),
        ("dependency_up", ("dependency", "nats")),
    ] {
        assert!(shown.sum(metric, label) >= 1.0, "{metric} {label:?}");
    }
    app.stop().await;
}

#[test]
fn a_dashboard_that_asks_for_what_is_not_there_is_found() {
    let made_up =
        r#"{ "panels": [{ "type": "stat", "title": "Sales", "targets": [{ "expr": "sum(sales_made_up_total)" }] }] }"#;
    let queries = Dashboard::parse("made-up.json", made_up).queries();
    let found = complaints(&queries, &Exposition::parse("orders_holds_total{outcome=\"granted\"} 1"));
    assert_eq!(found, ["made-up.json, \"Sales\": no metric sales_made_up_total in sum(sales_made_up_total)"]);
}

#[test]
fn dashboards_are_as_grafana_takes_them() {
    let dashboards = dashboards();
    assert_eq!(dashboards.iter().flat_map(Dashboard::faults).collect::<Vec<_>>(), Vec::<String>::new());
    let uids: BTreeSet<&str> = dashboards.iter().map(Dashboard::uid).collect();
    assert_eq!(uids.len(), dashboards.len(), "each has a uid of its own");
}

#[test]
fn alerts_are_as_prometheus_takes_them_and_lead_to_the_handbook() {
    assert_eq!(rules().faults(&read("docs/operations.md")), Vec::<String>::new());
}
