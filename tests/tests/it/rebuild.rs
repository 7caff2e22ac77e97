//! Damaged projections: thrown away, and built anew from what their owners tell, however much of the streams is gone.

use bson::{Document, doc};
use common::clock::Time;
use common::service::{Service, examine, rebuild, republish, start};
use docket_tests::{App, Person, eventually, ops_of};
use futures::TryStreamExt;
use mongodb::options::ReadConcern;
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
    let refusal = rebuild(&orders::service(), &App::services(), app.settings_used()).await.unwrap_err();
    assert!(refusal.to_string().contains("stop it first"), "{refusal}");
    app.stop_serving().await;

    let (listings, replicas) =
        (projection(&app, "orders", "tickets").await, projection(&app, "payments", "orders").await);
    assert_eq!((listings.len(), replicas.len()), (1, 1));
    assert_eq!(tellings_of_earlier_places(&app).await, 2);
    damage(&app).await;
    for (service, projections) in [(orders::service(), 2), (payments::service(), 1), (tickets::service(), 2)] {
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
    assert_eq!(tellings_of_earlier_places(&app).await, 2, "an old event moved the number of places");
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
    app.jetstream().await.delete_stream(app.stream(domain)).await.unwrap();
}

/// Drops the first half of a stream, as its bounds do.
async fn lose_first_half(app: &App, domain: &str) {
    let stream = app.jetstream().await.get_stream(app.stream(domain)).await.unwrap();
    let last = stream.cached_info().state.last_sequence;
    stream.purge().sequence(last / 2 + 1).await.unwrap();
    let left = app.jetstream().await.get_stream(&stream.cached_info().config.name).await.unwrap();
    assert!(left.cached_info().state.first_sequence > 1, "{domain} has only {last} messages");
}

#[tokio::test(flavor = "multi_thread")]
async fn projections_are_rebuilt_although_the_streams_have_lost_their_beginnings() {
    let mut app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let (ticket, withdrawn) = (edited(&app, &seller).await, seller.sell(3).await);
    seller.delete(&format!("/api/tickets/{}", withdrawn["id"].as_str().unwrap())).await.expect(200);
    let (kept, held) = (bought(&buyer, &ticket).await, buyer.hold(&ticket, 1).await.expect(201));
    let part = json!({ "amount": "10.00" });
    let refunds = format!("/api/payments/{}/refunds", kept["id"].as_str().unwrap());
    seller.post(&refunds, part).await.expect(201);
    let returned = doc! { "_id": kept["id"].as_str().unwrap(), "returned.amount": 1_000_i64 };
    let orders = app.database("orders").await.collection::<Document>("orders");
    eventually("the refund is known", 30, || async { orders.find_one(returned.clone()).await.unwrap() }).await;
    told(&app, "payments", "orders", &buyer.until_order(&kept, "complete").await).await;
    told(&app, "payments", "orders", &held).await;
    until_withdrawn(&app, &withdrawn).await;
    seller.until_counts(&ticket, 1, 2).await;
    app.stop_serving().await;

    let (listings, replicas) =
        (projection(&app, "orders", "tickets").await, projection(&app, "payments", "orders").await);
    assert_eq!((listings.len(), replicas.len()), (2, 2));
    damage(&app).await;
    let wrong = doc! { "$set": { "returned": { "amount": 77_i64, "version": 1_000_i64 } } };
    orders.update_many(doc! {}, wrong).await.unwrap();
    for domain in ["tickets", "orders", "inventory", "payments"] {
        lose_first_half(&app, domain).await;
    }
    for (service, projections) in [(orders::service(), 2), (payments::service(), 1), (tickets::service(), 2)] {
        thrown_away(&app, &service, projections).await;
    }
    app.serve_again().await;

    same(&app, "orders", "tickets", &listings).await;
    same(&app, "payments", "orders", &replicas).await;
    eventually("what went back is known", 30, || async { orders.find_one(returned.clone()).await.unwrap() }).await;
    let (seller, buyer) = (seller.at(&app.base()), buyer.at(&app.base()));
    assert_eq!(seller.until_counts(&ticket, 1, 2).await["available"], 1);
    no_waiting_events(&app).await;
    // Selling goes on: a hold of before is paid, a new one is made, and what was paid before goes back.
    buyer.pay(&held, "pm_card_visa").await.expect(201);
    buyer.until_order(&held, "complete").await;
    buyer.hold(&ticket, 1).await.expect(201);
    buyer.hold(&withdrawn, 1).await.problem(409, "not_on_sale");
    buyer.delete(&format!("/api/orders/{}", kept["id"].as_str().unwrap())).await.expect(200);
    buyer.until_order(&kept, "refunded").await;
    seller.until_counts(&ticket, 1, 1).await;
    app.stop().await;
}

/// Waits until orders knows that a listing was withdrawn.
async fn until_withdrawn(app: &App, ticket: &Value) {
    let known = app.database("orders").await.collection::<Document>("tickets");
    let withdrawn = doc! { "_id": ticket["id"].as_str().unwrap(), "withdrawn": true };
    eventually("it is withdrawn", 30, || async { known.find_one(withdrawn.clone()).await.unwrap() }).await;
}

/// No event waits for one that will not come, and none was given up.
async fn no_waiting_events(app: &App) {
    for service in ["orders", "payments", "tickets", "expiration"] {
        for collection in ["parked_events", "dead_letters"] {
            let events = app.database(service).await.collection::<Document>(collection);
            eventually(&format!("no {collection} in {service}"), 30, || async {
                (events.estimated_document_count().await.unwrap() == 0).then_some(())
            })
            .await;
        }
    }
}

/// As when the command was killed between throwing away and telling.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_whose_rebuilding_was_broken_off_does_not_start() {
    let mut app = App::start().await;
    let seller = app.sign_up().await;
    let ticket = seller.sell(3).await;
    told(&app, "orders", "tickets", &ticket).await;
    app.stop_serving().await;
    let marks = app.database("orders").await.collection::<Document>("rebuilding");
    marks.insert_one(doc! { "_id": "tickets", "toldTo": null }).await.unwrap();
    app.database("orders").await.collection::<Document>("tickets").delete_many(doc! {}).await.unwrap();
    let refusal = start(vec![orders::service()], app.settings_used().clone()).await.err().unwrap().to_string();
    assert!(refusal.contains("run `docket rebuild orders` again"), "{refusal}");
    let seen = examine(&[orders::service()], app.settings_used()).await;
    let orders = seen.iter().find(|finding| finding.about == "orders").unwrap();
    assert!(orders.says.contains("has lost what it keeps of tickets"), "{orders}");
    let rebuilt = rebuild(&orders::service(), &App::services(), app.settings_used()).await.unwrap();
    let told: usize = rebuilt.iter().map(|rebuilt| rebuilt.told.snapshots).sum();
    assert_eq!(told, 1, "there are no payments yet");
    app.serve_again().await;
    eventually("it is ready", 30, || async {
        ops_of(&app.ops(), "/readyz").await.filter(|(status, _)| *status == 200)
    })
    .await;
    app.sign_up().await.hold(&ticket, 1).await.expect(201);
    assert_eq!(marks.estimated_document_count().await.unwrap(), 0);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_projections_is_not_rebuilt() {
    let app = App::start().await;
    app.stop_serving().await;
    let refusal = rebuild(&expiration::service(), &App::services(), app.settings_used()).await.unwrap_err();
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
    eventually("the 50 places are told", 10, || async { (tellings_of_earlier_places(app).await == 2).then_some(()) })
        .await;
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

/// Waits until a projection knows the newest version of something, and shows it to the service, which reads what a majority has.
async fn told(app: &App, service: &str, collection: &str, of: &Value) {
    let known = app.database(service).await.collection::<Document>(collection);
    let newest = doc! { "_id": of["id"].as_str().unwrap(), "version": of["version"].as_i64().unwrap() };
    eventually("the newest version", 30, || async {
        known.find_one(newest.clone()).read_concern(ReadConcern::majority()).await.unwrap()
    })
    .await;
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

/// How often orders has told of another number of places than the 4 that the listing has in the end. Were its old events followed
/// again, all but the first and the last would come too soon one after the other to be told; the first is told at once.
async fn tellings_of_earlier_places(app: &App) -> usize {
    let events = app.published("orders").await;
    let counts = events.iter().filter(|event| event.name == "inventory.changed");
    counts.filter(|event| !event.payload.contains("\"capacity\":4,")).count()
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
    let rebuilt = rebuild(service, &App::services(), app.settings_used()).await.unwrap();
    assert!(rebuilt.iter().map(|rebuilt| &rebuilt.projection).eq(service.projections()));
    assert_eq!(rebuilt.len(), count);
    assert!(rebuilt.iter().all(|rebuilt| rebuilt.told.snapshots > 0 && rebuilt.told.unreadable == 0), "{rebuilt:?}");
}

async fn charges(app: &App, order: &Value) -> Value {
    let path = format!("/test/charges?metadata[order]={}", order["id"].as_str().unwrap());
    Person::visitor(&app.stripe()).get(&path).await.expect(200)["succeeded"].clone()
}
