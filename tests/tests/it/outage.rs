//! The broker is away for a minute: every request is answered, and every event arrives once it is back.

use std::time::Duration;

use docket_local::{LocalServers, Options};
use docket_tests::{App, eventually, pause};
use futures::{StreamExt, stream};
use secrecy::SecretString;
use serde_json::json;

const OUTAGE: Duration = Duration::from_secs(60);
const WRITES: usize = 1_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_writes_while_the_broker_is_away_for_a_minute() {
    let folder = tempfile::tempdir().unwrap();
    let servers = LocalServers::start(Options { mongod: false, ..Options::for_tests(folder.path()) }).await.unwrap();
    let broker = servers.nats().unwrap();
    let app = App::with(|settings| settings.nats_url = Some(SecretString::from(broker.url().to_owned()))).await;
    let seller = app.sign_up().await;
    seller.confirm().await;

    broker.stop().await.unwrap();
    let writes = stream::iter(0..WRITES).map(|nth| {
        let ticket = json!({ "title": format!("Show {nth}"), "price": "5", "quantity": 2 });
        let seller = seller.clone();
        async move { seller.list(ticket).await.expect(201) }
    });
    let (tickets, ()) = tokio::join!(writes.buffer_unordered(16).collect::<Vec<_>>(), pause(OUTAGE));
    assert_eq!(tickets.len(), WRITES);
    broker.start().await.unwrap();

    let known = app.database("orders").await.collection::<bson::Document>("tickets");
    eventually("orders has learned of all tickets", 120, || async {
        let count = known.count_documents(bson::doc! {}).await.unwrap();
        (count == WRITES as u64).then_some(())
    })
    .await;
    let twice = known.count_documents(bson::doc! { "_id": { "$gt": "" }, "version": { "$ne": 1 } }).await.unwrap();
    assert_eq!(twice, 0, "an event took effect twice");
    let inventories = app.database("orders").await.collection::<bson::Document>("inventories");
    let untouched = bson::doc! { "_id": { "$gt": "" }, "version": 1, "capacity": 2 };
    assert_eq!(inventories.count_documents(untouched).await.unwrap(), WRITES as u64);
    let waiting = app.database("tickets").await.collection::<bson::Document>("tickets");
    eventually("all outboxes are empty", 60, || async {
        let full = waiting
            .count_documents(bson::doc! { "_id": { "$gt": "" }, "outbox.0": { "$exists": true } })
            .await
            .unwrap();
        (full == 0).then_some(())
    })
    .await;
    app.stop().await;
    servers.stop().await;
}
