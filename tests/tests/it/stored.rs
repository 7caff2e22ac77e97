//! What stands in the databases after people have used Docket, compared with the fixtures of stored documents: a collection
//! without a fixture, and a field that the newest fixtures do not show, are found here. The fixtures themselves are read by each
//! service's own tests.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use bson::{Bson, Document, doc};
use common::clock::{Clock as _, SystemClock};
use common::id::uuid_at;
use docket_tests::{App, Person, eventually};
use futures::TryStreamExt as _;
use reqwest::Method;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

/// What of a collection is in documents, as paths with the types that are found there.
type Shape = BTreeSet<String>;

/// The fields and types of a document. A map by ids has one entry here, and so has an array.
fn add_shape(shape: &mut Shape, path: &str, value: &Bson) {
    match value {
        Bson::Document(fields) => fields.iter().for_each(|(name, value)| {
            let is_id = name.parse::<uuid::Uuid>().is_ok();
            add_shape(shape, &format!("{path}.{}", if is_id { "<id>" } else { name }), value);
        }),
        Bson::Array(values) => values.iter().for_each(|value| add_shape(shape, &format!("{path}[]"), value)),
        // Nothing is missing where there is nothing.
        Bson::Null => {}
        value => {
            shape.insert(format!("{path}: {:?}", value.element_type()));
        }
    }
}

/// The newest fixtures of a folder, by collection.
fn newest_fixtures(folder: &Path) -> BTreeMap<String, Shape> {
    let mut found = BTreeMap::new();
    for collection in std::fs::read_dir(folder).into_iter().flatten() {
        let collection = collection.unwrap();
        let version = |path: &Path| path.file_stem().and_then(|stem| stem.to_str()?.parse::<u32>().ok()).unwrap();
        let files = std::fs::read_dir(collection.path()).unwrap().map(|file| file.unwrap().path());
        let newest = files.max_by_key(|path| version(path)).unwrap();
        let fixtures: Vec<BTreeMap<String, Document>> =
            serde_json::from_str(&std::fs::read_to_string(newest).unwrap()).unwrap();
        let mut shape = Shape::new();
        for fixture in fixtures {
            add_shape(&mut shape, "", &Bson::Document(fixture["stored"].clone()));
        }
        found.insert(collection.file_name().into_string().unwrap(), shape);
    }
    found
}

/// The fixtures of a service's collections: its own, and those that every service has.
fn fixtures_of(service: &str) -> BTreeMap<String, Shape> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut fixtures = newest_fixtures(&root.join("common/tests/stored"));
    fixtures.extend(newest_fixtures(&root.join(format!("services/{service}/tests/stored"))));
    fixtures
}

/// The shapes of all that was seen in the databases, by service and collection.
type Seen = BTreeMap<(String, String), Shape>;

/// Looks at all documents again and again, as some of what stands in them is soon taken out.
async fn watch(databases: &[(&'static str, mongodb::Database)], seen: &Mutex<Seen>) {
    let mut looks = tokio::time::interval(Duration::from_millis(20));
    loop {
        looks.tick().await;
        look(databases, seen).await;
    }
}

async fn look(databases: &[(&'static str, mongodb::Database)], seen: &Mutex<Seen>) {
    for (service, database) in databases {
        for name in database.list_collection_names().await.unwrap() {
            let documents = database.collection::<Document>(&name);
            let found = documents.find(doc! {}).sort(doc! { "_id": 1 }).await.unwrap();
            let found: Vec<Document> = found.try_collect().await.unwrap();
            let mut seen = seen.lock().unwrap();
            let shape = seen.entry(((*service).to_owned(), name)).or_default();
            found.into_iter().for_each(|document| add_shape(shape, "", &Bson::Document(document)));
        }
    }
}

/// Where the services answer.
struct Addresses<'a> {
    auth: &'a str,
    tickets: &'a str,
    orders: &'a str,
    payments: &'a str,
}

async fn post(person: &Person, base: &str, path: &str, body: Value) -> docket_tests::Answer {
    let key = uuid_at(SystemClock.now()).to_string();
    person.at(base).send(Method::POST, path, &[("idempotency-key", &key)], body).await
}

/// Has people do everything that leaves something in a database.
async fn use_docket(at: &Addresses<'_>, name: &str) {
    let admin = Person::sign_up(at.auth, docket_tests::ADMIN).await;
    admin.verify_email().await;
    let [seller, buyer] = ["seller", "buyer"].map(|who| format!("{who}-{name}@example.com"));
    let (seller, buyer) = (Person::sign_up(at.auth, &seller).await, Person::sign_up(at.auth, &buyer).await);
    seller.confirm().await;
    accounts(at, &admin, &buyer, name).await;
    let listing = json!({ "title": "Jazz by the river", "price": "19.99", "currency": "eur", "quantity": 10,
        "description": "Four sets.", "venue": "The old mill", "startsAt": "2099-06-01T18:00:00Z",
        "timeZone": "Europe/Rome", "saleEndsAt": "2099-06-01T15:00:00Z", "perOrderLimit": 4, "imageUrl": "https://example.com/jazz.png",
        "refundPolicy": "until_start" });
    let ticket = post(&seller, at.tickets, "/api/tickets", listing).await.expect(201);
    let free =
        post(&seller, at.tickets, "/api/tickets", json!({ "title": "Open day", "price": "0" })).await.expect(201);
    seller.at(at.tickets).delete(&format!("/api/tickets/{}", text(&free["id"]))).await.expect(200);

    let order = hold(at, &buyer, &ticket, 2).await;
    let cancelled = hold(at, &buyer, &ticket, 1).await;
    buyer.at(at.orders).delete(&format!("/api/orders/{}", text(&cancelled["id"]))).await.expect(200);
    pay(at, &buyer, &order, "pm_card_chargeDeclined").await.problem(402, "payment_declined");
    let action = hold(at, &buyer, &ticket, 1).await;
    pay(at, &buyer, &action, "pm_card_threeDSecure2Required").await.expect(201);
    pay(at, &buyer, &order, "pm_card_visa").await.expect(201);
    buyer.at(at.orders).until_order(&order, "complete").await;
    let passes = buyer.at(at.orders).passes(&order).await;
    let scan = json!({ "code": passes[0]["code"], "place": "north door" });
    post(&seller, at.orders, "/api/passes/check-in", scan).await.expect(200);
    let scan = json!({ "code": passes[1]["code"], "ticketId": ticket["id"], "place": "south door" });
    let admitted = post(&seller, at.orders, "/api/passes/check-in", scan).await.expect(200);
    let undo = json!({ "orderId": order["id"], "passId": admitted["passId"], "checkedInAt": admitted["checkedInAt"] });
    post(&seller, at.orders, "/api/passes/undo", undo).await.expect(200);
    refund(at, &seller, &order).await;
    inside(at, &seller, &buyer, &ticket).await;
    let returned = hold(at, &buyer, &ticket, 1).await;
    pay(at, &buyer, &returned, "pm_card_visa").await.expect(201);
    buyer.at(at.orders).until_order(&returned, "complete").await;
    buyer.at(at.orders).delete(&format!("/api/orders/{}", text(&returned["id"]))).await.expect(200);
    buyer.at(at.orders).until_order(&returned, "refunded").await;
    let unpaid = hold(at, &buyer, &ticket, 1).await;
    buyer.at(at.orders).until_order(&unpaid, "expired").await;
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

async fn hold(at: &Addresses<'_>, buyer: &Person, ticket: &Value, quantity: u32) -> Value {
    let wish = json!({ "ticketId": ticket["id"], "quantity": quantity });
    eventually("the listing is known", 20, || async {
        let answer = post(buyer, at.orders, "/api/orders", wish.clone()).await;
        (answer.status == 201).then_some(answer.body)
    })
    .await
}

async fn pay(at: &Addresses<'_>, buyer: &Person, order: &Value, method: &str) -> docket_tests::Answer {
    let wish = json!({ "orderId": order["id"], "paymentMethod": method });
    eventually("payments has heard of the order", 20, || async {
        let answer = post(buyer, at.payments, "/api/payments", wish.clone()).await;
        (!matches!(answer.status, 404 | 503)).then_some(answer)
    })
    .await
}

/// Somebody is inside whose money goes back.
async fn inside(at: &Addresses<'_>, seller: &Person, buyer: &Person, ticket: &Value) {
    let order = hold(at, buyer, ticket, 1).await;
    pay(at, buyer, &order, "pm_card_visa").await.expect(201);
    buyer.at(at.orders).until_order(&order, "complete").await;
    let scan = json!({ "code": buyer.at(at.orders).passes(&order).await[0]["code"], "place": "north door" });
    post(seller, at.orders, "/api/passes/check-in", scan).await.expect(200);
    let refunds = format!("/api/payments/{}/refunds", text(&order["id"]));
    post(seller, at.payments, &refunds, json!({})).await.expect(201);
    buyer.at(at.orders).until_order(&order, "refunded").await;
}

/// Part of the money goes back, for a reason.
async fn refund(at: &Addresses<'_>, seller: &Person, order: &Value) {
    let path = format!("/api/payments/{}", text(&order["id"]));
    let asked = json!({ "amount": "5.00", "reason": "The band came late" });
    post(seller, at.payments, &format!("{path}/refunds"), asked).await.expect(201);
    eventually("the money is back", 20, || async {
        let payment = seller.at(at.payments).get(&path).await.expect(200);
        (payment["refunds"][0]["status"] == "succeeded").then_some(())
    })
    .await;
}

/// What no build knows is parked, and what is no event becomes a dead letter.
async fn strange_events(nats: &str, namespace: &str) {
    let jetstream = async_nats::jetstream::new(async_nats::connect(nats).await.unwrap());
    let publish = async |aggregate: &str, headers: &[(&str, &str)]| {
        let mut map = async_nats::HeaderMap::new();
        headers.iter().for_each(|(name, value)| map.insert(*name, *value));
        let subject = format!("{namespace}.tickets.v1.{aggregate}");
        jetstream.publish_with_headers(subject, map, "{}".into()).await.unwrap().await.unwrap();
    };
    publish("poison", &[]).await;
    let newer = [("Docket-Type", "moon.landed"), ("Docket-Schema", "1"), ("Docket-Version", "1")];
    let newer = [&newer[..], &[("Docket-Time", "2026-11-21T20:00:00Z"), ("Nats-Msg-Id", "moon:1:1")]].concat();
    publish("00000000-0000-7000-8000-00000000000a", &newer).await;
}

async fn accounts(at: &Addresses<'_>, admin: &Person, buyer: &Person, name: &str) {
    let other = Person::sign_up(at.auth, &format!("other-{name}@example.com")).await;
    buyer.send(Method::PATCH, "/api/users/me", &[], json!({ "name": "Ana Lee" })).await.expect(200);
    buyer.post("/api/users/verify-email/request", Value::Null).await.expect(202);
    let key = json!({ "name": "Box office", "scopes": ["tickets:read", "orders:write"] });
    let key = buyer.post("/api/users/api-keys", key).await.expect(201);
    let second = buyer.post("/api/users/api-keys", json!({ "name": "Old", "scopes": ["*:read"] })).await.expect(201);
    buyer.delete(&format!("/api/users/api-keys/{}", text(&second["id"]))).await.expect(204);
    buyer.post("/api/users/api-keys/exchange", json!({ "key": key["key"] })).await.expect(200);
    Person::visitor(at.auth).post("/api/users/forgot-password", json!({ "email": buyer.email })).await.expect(202);
    let wrong = json!({ "email": other.email, "password": "a wrong password" });
    other.elsewhere().await.post("/api/users/refresh", Value::Null).await.expect(200);
    Person::visitor(at.auth).post("/api/users/signin", wrong).await.problem(401, "invalid_credentials");
    let change = json!({ "currentPassword": docket_tests::PASSWORD, "newPassword": "a staple for the battery" });
    other.post("/api/users/change-password", change).await.expect(200);
    let role = format!("/api/users/{}/role", text(&other.id));
    admin.put(&role, json!({ "role": "admin" })).await.expect(200);
    admin.put(&role, json!({ "role": "member" })).await.expect(200);
    other.post("/api/users/refresh", Value::Null).await.expect(200);
    other.confirm().await;
    let listing = json!({ "title": "Taken from sale", "price": "5" });
    post(&other, at.tickets, "/api/tickets", listing).await.expect(201);
    admin.post(&format!("/api/users/{}/disable", text(&other.id)), Value::Null).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_collection_has_fixtures_of_all_that_is_stored_in_it() {
    let app = App::with(|settings| settings.hold_seconds = 8).await;
    let mut databases = Vec::new();
    for service in App::services().iter().filter(|service| service.keeps_state()) {
        databases.push((service.name(), app.database(service.name()).await));
    }
    let (seen, base) = (Mutex::new(Seen::new()), app.base());
    let nats = app.settings_used().nats_url.as_ref().unwrap().expose_secret().to_owned();
    strange_events(&nats, &app.settings_used().namespace).await;
    let at = Addresses { auth: &base, tickets: &base, orders: &base, payments: &base };
    tokio::select! {
        () = watch(&databases, &seen) => {}
        () = use_docket(&at, "stored") => {}
    }
    for name in [common::bus::DeadLetters::COLLECTION, common::bus::ParkedEvents::COLLECTION] {
        let kept = app.database("orders").await.collection::<Document>(name);
        eventually(name, 20, || async { kept.find_one(doc! { "_id": { "$gt": "" } }).await.unwrap() }).await;
    }
    look(&databases, &seen).await;
    let mut missing = Vec::new();
    for ((service, collection), shape) in seen.into_inner().unwrap() {
        match fixtures_of(&service).get(&collection) {
            None => missing.push(format!("{service}.{collection} has no fixture")),
            Some(known) => {
                missing.extend(
                    shape.difference(known).map(|field| format!("no fixture of {service}.{collection} has {field}")),
                );
            }
        }
    }
    assert!(missing.is_empty(), "docs/upgrading.md says what to do:\n{}", missing.join("\n"));
    app.stop().await;
}
