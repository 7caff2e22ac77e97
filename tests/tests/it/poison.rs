//! Poison on every stream: what is broken becomes a dead letter, what may be newer waits, nothing dies, and the next event is handled.

use std::collections::BTreeSet;

use async_nats::HeaderMap;
use bson::{Document, doc};
use common::bus::ParkedEvents;
use docket_tests::{App, eventually};
use serde_json::{Value, json};

/// More than a list of dead letters shows of one.
const LARGE: usize = 200_000;

struct Poison {
    subject: String,
    headers: HeaderMap,
    payload: String,
    /// Whether a newer build may have published it.
    newer: bool,
}

/// Every way a message can fail to be an event.
fn poisons(namespace: &str, domain: &str) -> Vec<Poison> {
    let poison = |name: &str, headers: &[(&str, &str)], payload: &str| Poison {
        subject: format!("{namespace}.{domain}.v1.poison-{name}"),
        headers: headers.iter().map(|(name, value)| (*name, *value)).fold(
            HeaderMap::new(),
            |mut map, (name, value)| {
                map.insert(name, value);
                map
            },
        ),
        payload: payload.to_owned(),
        newer: name.starts_with("newer"),
    };
    let whole = |event: &'static str, schema: &'static str| {
        [
            ("Docket-Type", event),
            ("Docket-Schema", schema),
            ("Docket-Version", "1"),
            ("Docket-Time", "2026-11-21T20:00:00Z"),
        ]
    };
    vec![
        poison("bare", &[], "not even JSON"),
        poison("newer-type", &whole("moon.landed", "1"), "{}"),
        poison("bad-payload", &whole(first_event(domain), "1"), "{\"orderId\": 7}"),
        poison("large", &whole(first_event(domain), "1"), &"x".repeat(LARGE)),
        poison("newer-schema", &whole(first_event(domain), "99"), "{}"),
    ]
}

fn first_event(domain: &str) -> &'static str {
    let known = common::events::registry();
    known.iter().find(|spec| spec.domain == domain).map(|spec| spec.kind.name).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_on_every_stream_is_put_aside_and_nothing_dies() {
    let app = App::start().await;
    let namespace = app.settings_used().namespace.clone();
    let jetstream = app.jetstream().await;
    for stream in common::bus::DOMAINS {
        for poison in poisons(&namespace, stream.domain) {
            let sent =
                jetstream.publish_with_headers(poison.subject, poison.headers, poison.payload.into()).await.unwrap();
            sent.await.unwrap();
        }
    }
    let admin = app.admin().await;
    for service in App::services().iter().filter(|service| service.keeps_state()) {
        let sent: Vec<Poison> = service.domains().iter().flat_map(|domain| poisons(&namespace, domain)).collect();
        let newer = sent.iter().filter(|poison| poison.newer).count();
        let expected = sent.len() - newer;
        let path = format!("/api/dead-letters/{}?limit=100", service.name());
        eventually(&format!("{expected} dead letters in {}", service.name()), 30, || async {
            let found = admin.get(&path).await.expect(200);
            (found["items"].as_array().unwrap().len() == expected).then_some(())
        })
        .await;
        let parked = app.database(service.name()).await.collection::<Document>(ParkedEvents::COLLECTION);
        let unknown = doc! { "domain": { "$gt": "" }, "cause": "unknown" };
        eventually(&format!("{newer} parked events in {}", service.name()), 30, || async {
            (parked.count_documents(unknown.clone()).await.unwrap() == newer as u64).then_some(())
        })
        .await;
    }
    super::journey::walk(&app.sign_up().await, &app.sign_up().await).await;

    let shown = admin.get("/api/dead-letters/orders").await.expect(200);
    assert!(shown.to_string().len() < 40_000, "a list shows the beginnings");
    let letters = shown["items"].as_array().unwrap();
    let large = letters.iter().find(|letter| letter["payloadBytes"] == LARGE).unwrap();
    assert!(large["payload"].as_str().unwrap().len() < LARGE);
    let path = format!("/api/dead-letters/orders/{}", large["id"].as_str().unwrap());
    assert_eq!(admin.get(&path).await.expect(200)["payload"].as_str().unwrap().len(), LARGE);
    admin.post(&format!("{path}/replay"), Value::Null).await.problem(409, "replay_failed");
    admin.delete(&path).await.expect(204);
    admin.delete(&path).await.problem(404, "not_found");
    admin.get(&path).await.problem(404, "not_found");

    let payments = letters.iter().filter(|letter| letter["id"].as_str().unwrap().starts_with("payments:")).count();
    let replayed = admin.post("/api/dead-letters/orders/replay?domain=payments", Value::Null).await.expect(200);
    assert_eq!(replayed, json!({ "moved": payments, "more": false }));
    let remaining = letters.len() - 1;
    eventually("what is broken is a dead letter again", 30, || async {
        let found = admin.get("/api/dead-letters/orders?limit=100").await.expect(200);
        (found["items"].as_array().unwrap().len() == remaining).then_some(())
    })
    .await;
    app.stop().await;
}

#[test]
fn every_domain_has_a_listener() {
    let heard: BTreeSet<&str> = App::services().iter().flat_map(|service| service.domains().to_vec()).collect();
    let there: BTreeSet<&str> = common::bus::DOMAINS.iter().map(|stream| stream.domain).collect();
    assert_eq!(heard, there);
}
