//! `docket doctor` sees what is wrong, and nothing where nothing is.

use bson::doc;
use common::service::{Finding, Health, examine};
use docket_tests::{App, run};

use super::sale::variables;

async fn seen(app: &App) -> Vec<Finding> {
    let settings =
        common::settings::Settings { public_url: Some(app.base().parse().unwrap()), ..app.settings_used().clone() };
    examine(&App::services(), &settings).await
}

fn about<'f>(findings: &'f [Finding], what: &str) -> &'f Finding {
    findings.iter().find(|finding| finding.about == what).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_wrong_where_all_runs() {
    let app = App::start().await;
    let mut variables = variables(&app);
    variables.push(("DOCKET_PUBLIC_URL", app.base()));
    let output = run("docket", &["doctor"], &variables).await;
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && !said.contains("ILL"), "{said}");
    for wanted in ["mongodb", "nats", "auth", "tickets", "orders", "expiration", "payments", "entry", "stripe"] {
        assert!(said.lines().any(|line| line.starts_with(&format!("ok    {wanted} "))), "{wanted}: {said}");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_told() {
    let services = App::services().into_iter().filter(|service| service.name() != "expiration").collect();
    let app = App::of(services, |_| {}).await;
    let letters = app.database("orders").await.collection("dead_letters");
    letters.insert_one(doc! { "_id": "payments:1", "service": "orders" }).await.unwrap();
    let findings = seen(&app).await;
    let (expiration, orders) = (about(&findings, "expiration"), about(&findings, "orders"));
    assert_eq!(expiration.health, Health::Ill);
    assert!(expiration.says.contains("does not listen to orders"), "{expiration}");
    assert_eq!(orders.health, Health::Doubtful);
    assert!(orders.says.contains("1 dead letters"), "{orders}");
    assert_eq!(about(&findings, "nats").health, Health::Well);

    app.stop_serving().await;
    let old = doc! { "_id": "1", "version": 1_i64, "outbox": [{ "at": bson::DateTime::from_millis(0) }] };
    app.database("tickets").await.collection("tickets").insert_one(old).await.unwrap();
    let findings = seen(&app).await;
    for (what, says) in [("tickets", "1 events wait to be published"), ("entry", "does Docket run")] {
        let finding = about(&findings, what);
        assert!(finding.to_string().contains(says), "{finding}");
    }
    assert_eq!(about(&findings, "tickets").health, Health::Ill);
    app.stop().await;
}

/// A stream that somebody has changed by hand.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_differs_is_named() {
    let app = App::start().await;
    let nats = async_nats::connect(docket_tests::servers().nats_url).await.unwrap();
    let jetstream = async_nats::jetstream::new(nats);
    let name = format!("{}_orders", app.settings_used().namespace);
    let stream = jetstream.get_stream(&name).await.unwrap();
    let mut config = stream.cached_info().config.clone();
    config.duplicate_window = std::time::Duration::from_secs(1);
    jetstream.update_stream(config).await.unwrap();
    let findings = seen(&app).await;
    let nats = about(&findings, "nats");
    assert!(nats.health == Health::Ill && nats.says.contains("duplicate_window"), "{nats}");
    app.stop().await;
}
