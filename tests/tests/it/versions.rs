//! Two builds side by side, in the cheap form: this build beside one that is a version ahead. What that one would write is
//! written by hand, as raw JSON on the bus and raw BSON in the databases; `cargo xtask mixed` runs two real builds.

use std::collections::BTreeMap;

use async_nats::HeaderMap;
use bson::{Document, doc};
use docket_tests::{App, Person, eventually, ops_of};
use futures::TryStreamExt as _;
use mongodb::Collection;
use serde_json::{Value, json};

/// The services of a newer build.
pub(crate) struct NewerBuild<'a> {
    app: &'a App,
    jetstream: async_nats::jetstream::Context,
}

impl<'a> NewerBuild<'a> {
    pub(crate) async fn beside(app: &'a App) -> Self {
        Self { app, jetstream: app.jetstream().await }
    }

    pub(crate) async fn collection(&self, service: &str, name: &str) -> Collection<Document> {
        self.app.database(service).await.collection(name)
    }

    /// Publishes an event of an aggregate, as every build does.
    pub(crate) async fn publish(&self, domain: &str, (event, schema): (&str, u16), of: (&str, i64), payload: Value) {
        let (aggregate, version) = of;
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", format!("newer:{domain}:{aggregate}:{version}").as_str());
        headers.insert("Docket-Type", event);
        headers.insert("Docket-Schema", schema.to_string().as_str());
        headers.insert("Docket-Version", version.to_string().as_str());
        headers.insert("Docket-Time", "2026-11-21T20:00:00Z");
        let subject = format!("{}.{domain}.v1.{aggregate}", self.app.settings_used().namespace);
        let sent = self.jetstream.publish_with_headers(subject, headers, payload.to_string().into()).await.unwrap();
        sent.await.unwrap();
    }

    /// Changes a stored document as a newer build does; its version then.
    pub(crate) async fn write(&self, (service, collection): (&str, &str), id: &str, set: Document) -> i64 {
        let documents = self.collection(service, collection).await;
        let update = doc! { "$set": set, "$inc": { "version": 1_i64 } };
        let after = documents.find_one_and_update(doc! { "_id": id }, update);
        let after = after.return_document(mongodb::options::ReturnDocument::After).await.unwrap().unwrap();
        after.get_i64("version").unwrap()
    }

    async fn stored(&self, (service, collection): (&str, &str), id: &str) -> Value {
        let found = self.collection(service, collection).await.find_one(doc! { "_id": id }).await.unwrap();
        serde_json::to_value(found.unwrap()).unwrap()
    }
}

pub(crate) fn id(value: &Value) -> &str {
    value["id"].as_str().unwrap()
}

/// The HTML of a page that is shown.
async fn page(person: &Person, path: &str) -> String {
    person.get(path).await.expect(200).as_str().unwrap().to_owned()
}

async fn no_dead_letters(app: &App) {
    for service in App::services().iter().filter(|service| service.keeps_state()) {
        let letters = app.database(service.name()).await.collection::<Document>("dead_letters");
        let found: Vec<Document> =
            letters.find(doc! { "_id": { "$gt": "" } }).await.unwrap().try_collect().await.unwrap();
        assert!(found.is_empty(), "{}: {found:#?}", service.name());
    }
}

/// A listing whose policy only the newer build knows; the version of its document.
async fn with_a_newer_policy(newer: &NewerBuild<'_>, seller: &Person, ticket: &Value) -> i64 {
    let set = doc! { "offer.refundPolicy": "until_noon", "doors": "at seven" };
    let version = newer.write(("tickets", "tickets"), id(ticket), set).await;
    let listing = json!({ "ticketId": ticket["id"], "sellerId": seller.id, "title": ticket["title"],
        "price": { "amount": 1999, "currency": "usd" }, "quantity": ticket["quantity"], "perOrderLimit": null, "venue": null,
        "startsAt": null, "refundPolicy": "until_noon", "doors": "at seven" });
    newer.publish("tickets", ("ticket.updated", 1), (id(ticket), version), listing).await;
    version
}

/// An order under that policy, as soon as orders has heard of it.
async fn held_under_it(buyer: &Person, ticket: &Value) -> Value {
    eventually("orders has heard of the policy", 30, || async {
        let order = buyer.hold(ticket, 1).await.expect(201);
        if order["refundPolicy"] == "until_noon" {
            return Some(order);
        }
        buyer.delete(&format!("/api/orders/{}", id(&order))).await.expect(200);
        None
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_policy_of_a_newer_build_is_kept_and_promises_nothing() {
    let app = App::start().await;
    let newer = NewerBuild::beside(&app).await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    // Places that were given up come back a moment later, so there are enough for each time that is asked.
    let ticket = seller.sell(1000).await;
    let version = with_a_newer_policy(&newer, &seller, &ticket).await;
    let order = held_under_it(&buyer, &ticket).await;
    buyer.pay(&order, "pm_card_visa").await.expect(201);
    buyer.until_order(&order, "complete").await;
    let own = format!("/orders/{}", id(&order));
    buyer.delete(&format!("/api{own}")).await.problem(409, "not_refundable");
    let shown = page(&buyer, &own).await;
    assert!(shown.contains("Pass 1 of 1") && !shown.contains("Ask for a refund"), "{shown}");
    assert!(page(&buyer, &format!("/tickets/{}", id(&ticket))).await.contains("Ask the seller"));

    // This build has written the listing's document meanwhile: the counts in it.
    seller.until_counts(&ticket, 0, 1).await;
    let edit = format!("/sales/{}/edit", id(&ticket));
    assert!(page(&seller, &edit).await.contains(r#"<option value="until_noon" selected>"#));
    let change = json!({ "title": "Jazz", "price": "19.99", "quantity": 1000, "refundPolicy": "until_noon" });
    seller.put(&format!("/api/tickets/{}", id(&ticket)), change).await.refuses("refundPolicy");
    let stored = newer.stored(("tickets", "tickets"), id(&ticket)).await;
    assert_eq!(stored["offer"]["refundPolicy"], "until_noon");
    assert_eq!((&stored["doors"], &stored["version"]), (&json!("at seven"), &json!(version)));
    let stored = newer.stored(("orders", "orders"), id(&order)).await;
    assert_eq!(stored["refundPolicy"], "until_noon");
    no_dead_letters(&app).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_for_a_reason_of_a_newer_build_is_made() {
    let app = App::start().await;
    let newer = NewerBuild::beside(&app).await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let ticket = seller.sell(10).await;
    let order = buyer.hold(&ticket, 1).await.expect(201);
    buyer.pay(&order, "pm_card_visa").await.expect(201);
    buyer.until_order(&order, "complete").await;

    let set = doc! { "state": "refunding", "refundReason": "rain" };
    let version = newer.write(("orders", "orders"), id(&order), set).await;
    let facts = json!({ "orderId": order["id"], "ticketId": ticket["id"], "buyerId": buyer.id, "sellerId": seller.id,
        "quantity": 1, "total": { "amount": 1999, "currency": "usd" }, "reason": "rain" });
    newer.publish("orders", ("order.refund-requested", 1), (id(&order), version), facts).await;
    let refunded = buyer.until_order(&order, "refunded").await;
    assert_eq!(refunded["refundReason"], "rain");
    assert!(page(&buyer, &format!("/orders/{}", id(&order))).await.contains("Your money is on its way back"));
    no_dead_letters(&app).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_a_role_of_a_newer_build_may_do_what_everybody_may() {
    let app = App::start().await;
    let newer = NewerBuild::beside(&app).await;
    let (admin, person) = (app.admin().await, app.sign_up().await);
    let user = person.id.as_str().unwrap();
    let version = newer.write(("auth", "users"), user, doc! { "role": "stagehand" }).await;
    let changed = json!({ "userId": user, "role": "stagehand" });
    newer.publish("users", ("user.role-changed", 1), (user, version), changed).await;

    let person = person.elsewhere().await;
    assert_eq!(person.get("/api/users/currentuser").await.expect(200)["currentUser"]["role"], "stagehand");
    person.sell(10).await;
    let ticket = admin.sell(10).await;
    eventually("the listing is known", 30, || async { (person.hold(&ticket, 1).await.status == 201).then_some(()) })
        .await;
    person.get("/api/users").await.problem(403, "role_required");
    assert!(page(&person, "/profile").await.contains("Password"));
    let everybody = admin.get("/api/users").await.expect(200);
    assert!(everybody["items"].as_array().unwrap().iter().any(|person| person["role"] == "stagehand"), "{everybody}");
    // A role is given by name, and this build gives only those that it knows.
    admin.put(&format!("/api/users/{user}/role"), json!({ "role": "stagehand" })).await.refuses("role");
    assert_eq!(newer.stored(("auth", "users"), user).await["role"], "stagehand");
    no_dead_letters(&app).await;
    app.stop().await;
}

/// The events that services have set aside for a newer build, by service.
async fn set_aside(app: &App) -> BTreeMap<&'static str, Vec<String>> {
    let mut found = BTreeMap::new();
    for service in App::services().iter().filter(|service| service.keeps_state()) {
        let parked = app.database(service.name()).await.collection::<Document>("parked_events");
        let parked: Vec<Document> =
            parked.find(doc! { "_id": { "$gt": "" } }).await.unwrap().try_collect().await.unwrap();
        let unknown = parked.iter().filter(|event| event.get_str("cause").unwrap() == "unknown");
        found.insert(service.name(), unknown.map(|event| event.get_str("subject").unwrap().to_owned()).collect());
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_a_newer_build_are_set_aside_and_selling_goes_on() {
    let app = App::start().await;
    let newer = NewerBuild::beside(&app).await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let ticket = seller.sell(10).await;
    let order = buyer.hold(&ticket, 1).await.expect(201);
    seller.until_counts(&ticket, 1, 0).await;

    // A type that nobody here knows, of an order that exists: what comes after it waits for it, and the order goes on.
    let version = newer.write(("orders", "orders"), id(&order), doc! { "seat": "12A" }).await;
    newer.publish("orders", ("order.seated", 1), (id(&order), version), json!({ "seat": "12A" })).await;
    // A type and a schema that nobody here knows, on every stream.
    for stream in common::bus::DOMAINS {
        let event = common::events::registry().into_iter().find(|spec| spec.domain == stream.domain).unwrap();
        newer.publish(stream.domain, ("moon.landed", 1), ("00000000-0000-7000-8000-00000000000a", 1), json!({})).await;
        let payload = json!({ "all": "new" });
        newer.publish(stream.domain, (event.kind.name, 99), ("00000000-0000-7000-8000-00000000000b", 1), payload).await;
    }
    let services = App::services();
    let heard = |name: &str| services.iter().find(|service| service.name() == name).unwrap().domains().to_vec();
    eventually("everything unknown is set aside", 30, || async {
        let found = set_aside(&app).await;
        let expected = |name| heard(name).iter().map(|domain| if *domain == "orders" { 3 } else { 2 }).sum::<usize>();
        found.iter().all(|(name, events)| events.len() == expected(name)).then_some(())
    })
    .await;

    buyer.pay(&order, "pm_card_visa").await.expect(201);
    let paid = buyer.until_order(&order, "complete").await;
    assert_eq!(paid["status"], "complete");
    assert_eq!(newer.stored(("orders", "orders"), id(&order)).await["seat"], "12A");
    super::journey::walk(&app.sign_up().await, &app.sign_up().await).await;
    eventually("what is set aside is counted", 40, || async {
        let (_, metrics) = ops_of(&app.ops(), "/metrics").await?;
        let counted = |line: &&str| line.starts_with("parked_events{") && line.contains(r#"cause="unknown""#);
        let counted = metrics.lines().filter(counted).filter(|line| line.contains(r#"service="orders""#));
        let sum: f64 = counted.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum();
        (sum >= 2.0).then_some(())
    })
    .await;
    no_dead_letters(&app).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_of_a_newer_build_is_answered_with_503_and_never_overwritten() {
    let app = App::start().await;
    let newer = NewerBuild::beside(&app).await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let ticket = seller.sell(10).await;
    let order = buyer.hold(&ticket, 1).await.expect(201);
    let paid = buyer.hold(&ticket, 1).await.expect(201);
    for order in [&order, &paid] {
        newer.write(("orders", "orders"), id(order), doc! { "schema": 2, "state": "queued" }).await;
    }
    let listed = newer.write(("tickets", "tickets"), id(&ticket), doc! { "schema": 2, "offer.title": ["Jazz"] }).await;
    // Payments knows nothing of that: the money comes in, and orders has to tell the order.
    buyer.pay(&paid, "pm_card_visa").await.expect(201);

    let own = format!("/orders/{}", id(&order));
    for answer in [buyer.get(&format!("/api{own}")).await, buyer.delete(&format!("/api{own}")).await] {
        assert_eq!((answer.status, answer.headers.contains_key("retry-after")), (503, true), "{}", answer.body);
    }
    buyer.get(&own).await.expect(503);
    let wish = json!({ "title": "Jazz", "price": "19.99", "quantity": 10 });
    seller.put(&format!("/api/tickets/{}", id(&ticket)), wish).await.expect(503);
    super::journey::walk(&app.sign_up().await, &app.sign_up().await).await;

    for order in [&order, &paid] {
        let stored = newer.stored(("orders", "orders"), id(order)).await;
        assert_eq!([&stored["state"], &stored["schema"], &stored["version"]], [&json!("queued"), &json!(2), &json!(2)]);
    }
    let stored = newer.stored(("tickets", "tickets"), id(&ticket)).await;
    assert_eq!((&stored["version"], &stored["offer"]["title"]), (&json!(listed), &json!(["Jazz"])));
    no_dead_letters(&app).await;
    app.stop().await;
}
