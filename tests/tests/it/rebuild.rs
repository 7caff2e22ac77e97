//! Damaged projections: thrown away, and built from the streams as they were.

use bson::{Document, doc};
use common::clock::Time;
use common::service::{Service, rebuild, republish};
use docket_tests::{App, Person, eventually};
use futures::TryStreamExt;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn damaged_projections_are_rebuilt_as_they_were() {
    let mut app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let ticket = edited(&app, &seller).await;
    let order = bought(&buyer, &ticket).await;
    told(&app, "payments", "orders", &order).await;
    seller.until_counts(&ticket, 0, 2).await;
    let passes = buyer.passes(&order).await;
    let refusal = rebuild(&orders::service(), app.settings_used()).await.unwrap_err();
    assert!(refusal.to_string().contains("stop it first"), "{refusal}");
    app.stop_serving().await;

    let (listings, replicas) =
        (projection(&app, "orders", "tickets").await, projection(&app, "payments", "orders").await);
    assert_eq!((listings.len(), replicas.len()), (1, 1));
    assert_eq!(tellings_of_fifty(&app).await, 1);
    damage(&app).await;
    for (service, projections) in [(orders::service(), 2), (payments::service(), 1), (tickets::service(), 1)] {
        thrown_away(&app, &service, projections).await;
    }
    app.serve_again().await;

    same(&app, "orders", "tickets", &listings).await;
    same(&app, "payments", "orders", &replicas).await;
    let (seller, buyer) = (seller.at(&app.base()), buyer.at(&app.base()));
    assert_eq!(seller.until_counts(&ticket, 0, 2).await["available"], 2);
    buyer.until_order(&order, "complete").await;
    assert_eq!(buyer.passes(&order).await, passes);
    assert_eq!(charges(&app, &order).await, 1);
    bought(&buyer, &ticket).await;
    assert_eq!(tellings_of_fifty(&app).await, 1, "an old event moved the number of places");
    buyer.hold(&ticket, 1).await.problem(409, "sold_out");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_streams_are_published_again_from_the_archives() {
    let mut app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let ticket = seller.sell(3).await;
    let order = buyer.hold(&ticket, 2).await.expect(201);
    buyer.pay(&order, "pm_card_visa").await.expect(201);
    told(&app, "payments", "orders", &buyer.until_order(&order, "complete").await).await;
    app.stop_serving().await;
    let replicas = projection(&app, "payments", "orders").await;
    assert_eq!(replicas.len(), 1);
    let domains = ["tickets", "orders", "inventory", "payments"];
    for domain in domains {
        lose_stream(&app, domain).await;
    }

    let count = republish(&App::services(), app.settings_used(), Time::from_millis(0)).await.unwrap();
    let mut archived = Vec::new();
    for service in ["auth", "tickets", "orders", "payments"] {
        archived.extend(app.published(service).await);
    }
    assert_eq!(count, archived.len());
    assert!(domains.into_iter().all(|domain| archived.iter().any(|event| event.domain == domain)), "{archived:?}");
    thrown_away(&app, &payments::service(), 1).await;
    app.serve_again().await;
    same(&app, "payments", "orders", &replicas).await;
    assert_eq!(republish(&App::services(), app.settings_used(), Time::from_millis(i64::MAX)).await.unwrap(), 0);
    assert_eq!(charges(&app, &order).await, 1);
    app.stop().await;
}

async fn lose_stream(app: &App, domain: &str) {
    let settings = app.settings_used();
    let client = async_nats::connect(settings.nats_url.as_ref().unwrap().expose_secret()).await.unwrap();
    let stream = format!("{}_{domain}", settings.namespace);
    async_nats::jetstream::new(client).delete_stream(stream).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_projections_is_not_rebuilt() {
    let app = App::start().await;
    app.stop_serving().await;
    let refusal = rebuild(&expiration::service(), app.settings_used()).await.unwrap_err();
    assert_eq!(refusal.to_string(), "expiration has no projections");
    app.stop().await;
}

#[test]
fn every_projection_is_heard() {
    for service in App::services() {
        for projection in service.projections() {
            assert!(service.domains().contains(&projection.domain), "{}: {projection:?}", service.name());
        }
    }
}

/// A ticket in its third version: more places, then fewer, another title and price.
async fn edited(app: &App, seller: &Person) -> Value {
    let ticket = seller.sell(10).await;
    let path = format!("/api/tickets/{}", ticket["id"].as_str().unwrap());
    seller.put(&path, json!({ "title": "Friday evening", "price": "19.99", "quantity": 50 })).await.expect(200);
    seller.put(&path, json!({ "title": "Saturday", "price": "25", "quantity": 4 })).await.expect(200);
    told(app, "orders", "tickets", &seller.get(&path).await.expect(200)).await;
    ticket
}

async fn bought(buyer: &Person, ticket: &Value) -> Value {
    let order = buyer.hold(ticket, 2).await.expect(201);
    assert_eq!((&order["title"], &order["total"]), (&json!("Saturday"), &json!("50.00")));
    buyer.pay(&order, "pm_card_visa").await.expect(201);
    buyer.until_order(&order, "complete").await
}

/// Waits until a projection knows the newest version of something.
async fn told(app: &App, service: &str, collection: &str, of: &Value) {
    let known = app.database(service).await.collection::<Document>(collection);
    let newest = doc! { "_id": of["id"].as_str().unwrap(), "version": of["version"].as_i64().unwrap() };
    eventually("the newest version", 30, || async { known.find_one(newest.clone()).await.unwrap() }).await;
}

async fn projection(app: &App, service: &str, collection: &str) -> Vec<Document> {
    let documents = app.database(service).await.collection::<Document>(collection);
    documents.find(doc! {}).sort(doc! { "_id": 1 }).await.unwrap().try_collect().await.unwrap()
}

async fn same(app: &App, service: &str, collection: &str, before: &[Document]) {
    eventually(&format!("{collection} in {service} as they were"), 30, || async {
        (projection(app, service, collection).await == before).then_some(())
    })
    .await;
}

/// How often orders has told that a listing has 50 places.
async fn tellings_of_fifty(app: &App) -> usize {
    let events = app.published("orders").await;
    let counts = events.iter().filter(|event| event.name == "inventory.changed");
    counts.filter(|event| event.payload.contains("\"capacity\":50,")).count()
}

/// A title that nobody gave with a version that was never reached, a replica that is lost, and counts that nobody told.
async fn damage(app: &App) {
    let listing = doc! { "$set": { "listing.title": "Broken", "version": 70_i64 } };
    let collection = async |service: &str, name: &str| app.database(service).await.collection::<Document>(name);
    collection("orders", "tickets").await.update_many(doc! {}, listing).await.unwrap();
    collection("payments", "orders").await.delete_many(doc! {}).await.unwrap();
    let counts = doc! { "$set": { "places.held": 9_i64, "places.version": 1_000_i64 } };
    collection("tickets", "tickets").await.update_many(doc! {}, counts).await.unwrap();
}

async fn thrown_away(app: &App, service: &Service, count: usize) {
    let projections = rebuild(service, app.settings_used()).await.unwrap();
    assert_eq!(projections, service.projections());
    assert_eq!(projections.len(), count);
}

async fn charges(app: &App, order: &Value) -> Value {
    let path = format!("/test/charges?metadata[order]={}", order["id"].as_str().unwrap());
    Person::visitor(&app.stripe()).get(&path).await.expect(200)["succeeded"].clone()
}
