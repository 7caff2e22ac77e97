//! Poison on every stream: a dead letter each, nothing dies, and the next event is handled.

use std::collections::BTreeSet;

use async_nats::HeaderMap;
use docket_tests::{App, eventually};
use secrecy::ExposeSecret;

struct Poison {
    subject: String,
    headers: HeaderMap,
    payload: &'static str,
}

/// Every way a message can fail to be an event.
fn poisons(namespace: &str, domain: &str) -> Vec<Poison> {
    let poison = |name: &str, headers: &[(&str, &str)], payload| Poison {
        subject: format!("{namespace}.{domain}.v1.poison-{name}"),
        headers: headers.iter().map(|(name, value)| (*name, *value)).fold(
            HeaderMap::new(),
            |mut map, (name, value)| {
                map.insert(name, value);
                map
            },
        ),
        payload,
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
        poison("unknown-type", &whole("moon.landed", "1"), "{}"),
        poison("bad-payload", &whole(first_event(domain), "1"), "{\"orderId\": 7}"),
        poison("future", &whole(first_event(domain), "99"), "{}"),
    ]
}

fn first_event(domain: &str) -> &'static str {
    let known = common::events::registry();
    known.iter().find(|spec| spec.domain == domain).map(|spec| spec.kind.name).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_on_every_stream_becomes_dead_letters_and_nothing_dies() {
    let app = App::start().await;
    let settings = app.settings_used();
    let namespace = settings.namespace.clone();
    let client = async_nats::connect(settings.nats_url.as_ref().unwrap().expose_secret()).await.unwrap();
    let jetstream = async_nats::jetstream::new(client);
    for stream in common::bus::DOMAINS {
        for poison in poisons(&namespace, stream.domain) {
            let sent =
                jetstream.publish_with_headers(poison.subject, poison.headers, poison.payload.into()).await.unwrap();
            sent.await.unwrap();
        }
    }
    let admin = app.admin().await;
    for service in App::services().iter().filter(|service| service.keeps_state()) {
        let expected: usize = service.domains().iter().map(|domain| poisons(&namespace, domain).len()).sum();
        let path = format!("/api/dead-letters/{}?limit=100", service.name());
        eventually(&format!("{expected} dead letters in {}", service.name()), 30, || async {
            let found = admin.get(&path).await.expect(200);
            (found["items"].as_array().unwrap().len() == expected).then_some(())
        })
        .await;
    }
    super::journey::walk(&app.sign_up().await, &app.sign_up().await).await;

    let letters = admin.get("/api/dead-letters/orders").await.expect(200);
    let letter = letters["items"][0]["id"].as_str().unwrap();
    admin
        .post(&format!("/api/dead-letters/orders/{letter}/replay"), serde_json::Value::Null)
        .await
        .problem(409, "replay_failed");
    admin.delete(&format!("/api/dead-letters/orders/{letter}")).await.expect(204);
    admin.delete(&format!("/api/dead-letters/orders/{letter}")).await.problem(404, "not_found");
    app.stop().await;
}

#[test]
fn every_domain_has_a_listener() {
    let heard: BTreeSet<&str> = App::services().iter().flat_map(|service| service.domains().to_vec()).collect();
    let there: BTreeSet<&str> = common::bus::DOMAINS.iter().map(|stream| stream.domain).collect();
    assert_eq!(heard, there);
}
