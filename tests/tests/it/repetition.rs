//! A request with an Idempotency-Key is done once, whatever becomes of its answers.

use std::time::Duration;

use bson::{Document, doc};
use docket_tests::{Answer, App, FaultProxy, Person, Way, eventually};
use futures::future::join_all;
use reqwest::Method;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::time::timeout;

async fn list(seller: &Person, key: &str) -> Answer {
    let show = json!({ "title": "Jazz night", "price": "5", "quantity": 3 });
    seller.send(Method::POST, "/api/tickets", &[("idempotency-key", key)], show).await
}

/// Asks with the same key until there is an answer.
async fn listed(seller: &Person, key: &str) -> Value {
    eventually("the work has an answer", 20, || async {
        let answer = list(seller, key).await;
        assert!([201, 409, 503].contains(&answer.status), "{answer:?}");
        (answer.status == 201).then_some(answer.body)
    })
    .await
}

async fn listings(app: &App) -> u64 {
    let listings = app.database("tickets").await.collection::<Document>("tickets");
    listings.count_documents(doc! { "_id": { "$gt": "" } }).await.unwrap()
}

/// The database through a proxy.
async fn app_behind_a_proxy() -> (App, FaultProxy) {
    let uri = docket_tests::servers().mongodb_uri;
    let address = uri.trim_start_matches("mongodb://").split('/').next().unwrap().parse().unwrap();
    let proxy = FaultProxy::before(address).await;
    let through = format!("mongodb://127.0.0.1:{}/?directConnection=true", proxy.port());
    let app = App::with(|settings| settings.mongodb_uri = Some(SecretString::from(through))).await;
    (app, proxy)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_could_not_be_kept_is_given_again_without_doing_the_work_again() {
    let app = App::start().await;
    let seller = app.sign_up().await;
    seller.confirm().await;
    let database = app.database("tickets").await;
    let refuse = |validator: Document| database.run_command(doc! { "collMod": "idempotency", "validator": validator });
    refuse(doc! { "answer": null }).await.unwrap();
    let first = list(&seller, "k").await.expect(201);
    refuse(doc! {}).await.unwrap();
    // So does the end of the lease, with a process that was killed before it could keep the answer.
    let over = doc! { "$set": { "leaseUntil": bson::DateTime::from_millis(0) } };
    let records = database.collection::<Document>("idempotency");
    records.update_many(doc! { "_id": { "$gt": "" } }, over).await.unwrap();
    let again = list(&seller, "k").await;
    assert_eq!(again.headers["location"], format!("/api/tickets/{}", first["id"].as_str().unwrap()).as_str());
    assert_eq!(again.expect(201), first);
    let kept = list(&seller, "k").await;
    assert_eq!((&kept.headers["idempotent-replayed"], listings(&app).await), (&"true".parse().unwrap(), 1));
    let many = join_all((0..20).map(|_| listed(&seller, "many"))).await;
    assert!(many.iter().all(|one| one["id"] == many[0]["id"]) && listings(&app).await == 2);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_hangs_up_at_any_moment_finds_one_listing_and_no_lease() {
    let (app, proxy) = app_behind_a_proxy().await;
    let seller = app.sign_up().await;
    seller.confirm().await;
    listed(&seller, "warm").await;
    proxy.set(Way::Stalled);
    let hung_up = timeout(Duration::from_millis(300), list(&seller, "stalled")).await;
    assert!(hung_up.is_err(), "{hung_up:?}");
    proxy.set(Way::Open);
    listed(&seller, "stalled").await;
    proxy.set(Way::Slow(Duration::from_millis(40)));
    let moments = 1..=12;
    for moment in moments.clone() {
        // Whether it was answered in time does not matter.
        let _ = timeout(Duration::from_millis(25 * moment), list(&seller, &format!("after-{moment}"))).await;
    }
    proxy.set(Way::Open);
    for moment in moments {
        listed(&seller, &format!("after-{moment}")).await;
    }
    assert_eq!(listings(&app).await, 14);
    app.stop().await;
}
