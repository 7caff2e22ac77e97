use std::sync::atomic::Ordering;
use std::time::Duration;

use common::http::{IdempotencyStore, Role};
use futures::TryStreamExt as _;
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use super::harness::{TestApp, json_of, problem, send};
use crate::database::TestDatabase;

fn count(app: &TestApp, token: &str, key: &str, body: &Value) -> RequestBuilder {
    app.post("/api/count").bearer_auth(token).header("idempotency-key", key).json(body)
}

fn done(app: &TestApp) -> u32 {
    app.state.done.load(Ordering::SeqCst)
}

#[actix_web::test]
async fn the_same_request_gets_the_same_answer() {
    let database = TestDatabase::new().await;
    let app = TestApp::with_database(&database.0);
    let token = app.token(Role::Member);
    let first = send(count(&app, &token, "k", &json!({ "by": 2 }))).await;
    assert_eq!((first.status().as_u16(), first.headers().contains_key("idempotent-replayed")), (201, false));
    let again = send(count(&app, &token, "k", &json!({ "by": 2 }))).await;
    assert_eq!((again.status().as_u16(), &again.headers()["idempotent-replayed"]), (201, &"true".parse().unwrap()));
    for name in ["etag", "location", "content-type"] {
        assert_eq!(first.headers()[name], again.headers()[name], "{name}");
    }
    assert_eq!(first.text().await.unwrap(), again.text().await.unwrap());
    assert_eq!(done(&app), 2);
    database.leave().await;
}

#[actix_web::test]
async fn a_key_belongs_to_one_request_of_one_person() {
    let database = TestDatabase::new().await;
    let app = TestApp::with_database(&database.0);
    let (one, other) = (app.token(Role::Member), app.token(Role::Member));
    assert_eq!(send(count(&app, &one, "k", &json!({ "by": 1 }))).await.status(), 201);
    assert_eq!(problem(count(&app, &one, "k", &json!({ "by": 2 }))).await.1, "idempotency_key_reused");
    assert_eq!(send(count(&app, &other, "k", &json!({ "by": 3 }))).await.status(), 201);
    assert_eq!(done(&app), 4);
    let without = app.post("/api/count").bearer_auth(&one).json(&json!({ "by": 1 }));
    assert_eq!(send(without.try_clone().unwrap()).await.status(), 201);
    assert_eq!(send(without).await.status(), 201);
    assert_eq!(problem(count(&app, &one, "two words", &json!({ "by": 1 }))).await.0, 400);
    assert_eq!(done(&app), 6);
    database.leave().await;
}

#[actix_web::test]
async fn fifty_clicks_at_once_are_one() {
    let database = TestDatabase::new().await;
    let app = TestApp::with_database(&database.0);
    let token = app.token(Role::Member);
    let clicks = (0..50).map(|_| send(count(&app, &token, "k", &json!({ "by": 1 }))));
    for answer in futures::future::join_all(clicks).await {
        assert!([201, 409].contains(&answer.status().as_u16()), "{answer:?}");
    }
    assert_eq!(done(&app), 1);
    database.leave().await;
}

#[actix_web::test]
async fn a_conflict_is_an_answer_but_a_failure_is_not() {
    let database = TestDatabase::new().await;
    let app = TestApp::with_database(&database.0);
    let token = app.token(Role::Member);
    let (first, again) =
        (count(&app, &token, "c", &json!({ "by": 10 })), count(&app, &token, "c", &json!({ "by": 10 })));
    assert_eq!(problem(first).await, problem(again).await);
    assert_eq!(done(&app), 10);
    for expected in [11, 12] {
        assert_eq!(problem(count(&app, &token, "f", &json!({ "by": 0 }))).await.0, 503);
        assert_eq!(done(&app), expected);
    }
    assert_eq!(problem(count(&app, &token, "i", &json!({ "by": "x" }))).await.0, 400);
    assert_eq!(send(count(&app, &token, "i", &json!({ "by": 1 }))).await.status(), 201, "corrected");
    database.leave().await;
}

#[actix_web::test]
async fn who_hangs_up_finds_the_answer_later() {
    let database = TestDatabase::new().await;
    let app = TestApp::with_database(&database.0);
    let token = app.token(Role::Member);
    let body = json!({ "by": 1, "wait": true });
    let hung_up = tokio::spawn(send(count(&app, &token, "k", &body)));
    app.state.started.0.acquire().await.unwrap().forget();
    assert_eq!(problem(count(&app, &token, "k", &body)).await.1, "request_in_progress");
    hung_up.abort();
    app.state.gate.0.add_permits(1);
    let answered = async {
        loop {
            let answer = send(count(&app, &token, "k", &body)).await;
            if answer.status() == 201 {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let answer = tokio::time::timeout(Duration::from_secs(10), answered)
        .await
        .expect("the work was finished without its client");
    assert_eq!(answer.headers()["idempotent-replayed"], "true");
    assert_eq!(done(&app), 1);
    database.leave().await;
}

#[actix_web::test]
async fn a_lease_ends_with_its_process() {
    let database = TestDatabase::new().await;
    let app = TestApp::with_database(&database.0);
    let claims = app.claims(Role::Member);
    let token = app.key.sign(&claims);
    let body = json!({ "by": 1, "wait": true });
    // What a process that died in the middle leaves behind is the record of a request that never ends.
    let lost = tokio::spawn(send(count(&app, &token, "k", &body)));
    app.state.started.0.acquire().await.unwrap().forget();
    app.clock.advance(Duration::from_secs(61));
    let second = tokio::spawn(send(count(&app, &token, "k", &body)));
    tokio::time::timeout(Duration::from_secs(10), app.state.started.0.acquire())
        .await
        .expect("taken over")
        .unwrap()
        .forget();
    app.state.gate.0.add_permits(2);
    assert_eq!(second.await.unwrap().status(), 201);
    assert_eq!(lost.await.unwrap().status(), 201);
    assert_eq!(send(count(&app, &token, "k", &body)).await.headers()["idempotent-replayed"], "true");
    database.leave().await;
}

fn make(app: &TestApp, token: &str, key: &str, body: &Value) -> RequestBuilder {
    app.post("/api/made").bearer_auth(token).header("idempotency-key", key).json(body)
}

async fn records(database: &mongodb::Database) -> Vec<mongodb::bson::Document> {
    let records = database.collection::<mongodb::bson::Document>(IdempotencyStore::COLLECTION);
    records.find(mongodb::bson::doc! {}).await.unwrap().try_collect().await.unwrap()
}

#[actix_web::test]
async fn what_is_not_there_yet_is_asked_for_again_and_has_the_same_id() {
    let database = TestDatabase::new().await;
    let app = TestApp::with_database(&database.0);
    let token = app.token(Role::Member);
    for status in [404, 408, 425, 429] {
        let key = status.to_string();
        let ask = || make(&app, &token, &key, &json!({ "status": status }));
        let answers = [json_of(ask()).await, json_of(ask()).await];
        let repeated = answers.each_ref().map(|answer| answer["repeated"].as_bool());
        assert_eq!(repeated, [Some(false), Some(true)], "{status}: the second is asked anew");
        assert_eq!(answers[0]["id"], answers[1]["id"], "{status}");
    }
    assert_eq!(done(&app), 8);
    database.leave().await;
}

#[actix_web::test]
async fn what_one_attempt_may_have_made_is_not_forgotten_by_the_next() {
    let database = TestDatabase::new().await;
    let app = TestApp::with_database(&database.0);
    let token = app.token(Role::Member);
    assert_eq!(send(make(&app, &token, "k", &json!({ "status": 503 }))).await.status(), 503);
    let kept = records(&database.1).await;
    let asked = json_of(make(&app, &token, "k", &json!({ "status": 503 }))).await;
    assert_eq!(asked["code"], "unavailable");
    assert_eq!(records(&database.1).await[0].get("makes"), kept[0].get("makes"));
    // Input that is refused leaves no record, unless an attempt came before it.
    let refused = || make(&app, &token, "first", &json!({ "status": 400 }));
    let (first, again) = (json_of(refused()).await, json_of(refused()).await);
    assert_eq!((&first["repeated"], &again["repeated"]), (&json!(false), &json!(false)));
    assert_eq!(records(&database.1).await.len(), 1);
    database.leave().await;
}

#[actix_web::test]
async fn a_secret_is_not_kept_and_made_again() {
    let database = TestDatabase::new().await;
    let app = TestApp::with_database(&database.0);
    let token = app.token(Role::Member);
    let ask = || make(&app, &token, "k", &json!({ "status": 201, "secret": true }));
    let (first, again) = (json_of(ask()).await, json_of(ask()).await);
    assert_eq!((&first["id"], &first["secret"]), (&again["id"], &again["secret"]));
    assert_eq!((&first["repeated"], &again["repeated"]), (&json!(false), &json!(true)));
    let kept = records(&database.1).await;
    assert_eq!(kept.len(), 1);
    assert!(!format!("{kept:?}").contains("answer\": Document"), "{kept:?}");
    database.leave().await;
}

#[actix_web::test]
async fn a_stop_waits_for_work_whose_client_has_hung_up() {
    let database = TestDatabase::new().await;
    let app = TestApp::with_database(&database.0);
    let token = app.token(Role::Member);
    let hung_up = tokio::spawn(send(count(&app, &token, "k", &json!({ "by": 1, "wait": true }))));
    app.state.started.0.acquire().await.unwrap().forget();
    hung_up.abort();
    // Its connection is gone when the server has seen it; another request comes and goes meanwhile.
    for _ in 0..20 {
        assert_eq!(send(app.get("/api/things/current")).await.status(), 200);
    }
    assert!(!app.under_way.is_idle(), "the work goes on");
    app.state.gate.0.add_permits(1);
    let idle = async {
        while !app.under_way.is_idle() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), idle).await.expect("and ends");
    assert_eq!(send(count(&app, &token, "k", &json!({ "by": 1, "wait": true }))).await.status(), 201);
    assert_eq!(done(&app), 1);
    database.leave().await;
}

#[actix_web::test]
async fn an_answer_that_takes_too_long_is_found_by_the_repetition() {
    let database = TestDatabase::new().await;
    let app = TestApp::with_database(&database.0);
    let token = app.token(Role::Member);
    let ask = || count(&app, &token, "k", &json!({ "by": 1, "wait": true }));
    let late = send(ask()).await;
    assert_eq!((late.status().as_u16(), late.headers()["retry-after"].to_str().unwrap()), (503, "2"));
    assert_eq!(late.json::<Value>().await.unwrap()["code"], "timeout");
    assert_eq!(problem(ask()).await.1, "request_in_progress");
    app.state.gate.0.add_permits(1);
    let answered = async {
        while send(ask()).await.status() != 201 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), answered).await.expect("the work went on");
    assert_eq!(done(&app), 1);
    database.leave().await;
}

#[actix_web::test]
async fn answers_end_after_a_day() {
    let database = TestDatabase::new().await;
    IdempotencyStore::indexes().ensure(&database.0).await.unwrap();
    let names = database
        .1
        .collection::<mongodb::bson::Document>(IdempotencyStore::COLLECTION)
        .list_index_names()
        .await
        .unwrap();
    assert!(names.contains(&"at_1".to_owned()), "{names:?}");
    database.leave().await;
}
