use std::collections::HashMap;
use std::time::Duration;

use serde_json::json;
use stripe::StripeError;
use stripe::StripeRequest;
use stripe_core::payment_intent::ConfirmPaymentIntent;
use stripe_shared::{ApiErrorsCode, ApiErrorsType, PaymentIntentStatus};

use crate::harness::{KEY, TestApp, create, key, refused};

#[tokio::test]
async fn the_same_key_gets_the_same_answer() {
    let app = TestApp::start().await;
    // Every client serialises its hash map in another order; that is still the same request.
    let many = |n: usize| -> HashMap<String, String> { (0..n).map(|i| (format!("k{i}"), i.to_string())).collect() };
    let first = create("o1").metadata(many(20)).customize().request_strategy(key("a")).send(&app.client).await.unwrap();
    let again = create("o1").metadata(many(20)).customize().request_strategy(key("a")).send(&app.client).await.unwrap();
    assert_eq!(first.id, again.id);

    let other = create("o1").metadata(many(19)).customize().request_strategy(key("a")).send(&app.client).await;
    let (error, status) = refused(other);
    assert_eq!((status, error.type_), (400, ApiErrorsType::IdempotencyError));
    let confirm = ConfirmPaymentIntent::new(first.id.clone()).payment_method("pm_card_visa");
    let elsewhere = confirm.customize().request_strategy(key("a")).send(&app.client).await;
    assert_eq!(refused(elsewhere).0.type_, ApiErrorsType::IdempotencyError);
}

#[tokio::test]
async fn a_replay_says_so() {
    let app = TestApp::start().await;
    for replayed in [None, Some("true")] {
        let request = app.http.post(app.url("/v1/payment_intents")).bearer_auth(KEY);
        let answer = request.header("Idempotency-Key", "k").body("amount=2000&currency=eur").send().await.unwrap();
        assert_eq!(answer.headers().get("Idempotent-Replayed").map(|value| value.to_str().unwrap()), replayed);
    }
}

#[tokio::test]
async fn a_decline_is_remembered_and_a_validation_failure_is_not() {
    let app = TestApp::start().await;
    let intent = app.intent("o1").await;
    let confirm = ConfirmPaymentIntent::new(intent.id.clone()).payment_method("pm_card_chargeDeclined");
    let mut charges = Vec::new();
    for _ in 0..3 {
        let (error, status) = refused(confirm.customize().request_strategy(key("a")).send(&app.client).await);
        assert_eq!(status, 402);
        charges.push(error.charge);
    }
    charges.dedup();
    assert_eq!(charges.len(), 1);

    let wrong = ConfirmPaymentIntent::new(intent.id.clone()).payment_method("pm_none");
    assert_eq!(refused(wrong.customize().request_strategy(key("b")).send(&app.client).await).1, 400);
    let right = ConfirmPaymentIntent::new(intent.id.clone()).payment_method("pm_card_visa");
    let paid = right.customize().request_strategy(key("b")).send(&app.client).await.unwrap();
    assert_eq!(paid.status, PaymentIntentStatus::Succeeded);
}

#[tokio::test]
async fn fifty_at_once_with_one_key_charge_once() {
    let app = TestApp::start().await;
    app.control("/test/latency", json!({ "ms": 50 })).await;
    let paying = create("o1").payment_method("pm_card_visa").confirm(true);
    let clicks = (0..50).map(|_| paying.customize().request_strategy(key("a")).send(&app.client));
    let answers = futures::future::join_all(clicks).await;
    let paid = answers.iter().filter(|answer| answer.is_ok()).count();
    assert!(paid >= 1);
    for answer in answers.into_iter().filter(Result::is_err) {
        let (error, status) = refused(answer);
        assert_eq!((status, error.code), (409, Some(ApiErrorsCode::IdempotencyKeyInUse)));
        assert_eq!(error.type_, ApiErrorsType::IdempotencyError);
    }
    assert_eq!(app.charges("o1").await["succeeded"], 1);
    let replayed = paying.customize().request_strategy(key("a")).send(&app.client).await.unwrap();
    assert_eq!(replayed.status, PaymentIntentStatus::Succeeded);
}

#[tokio::test]
async fn a_call_that_fails_after_its_work_can_be_repeated() {
    let app = TestApp::start().await;
    for kind in ["error", "disconnect", "hang"] {
        app.control("/test/faults", json!({ "kind": kind, "path": "payment_intents", "hang_ms": 60_000 })).await;
        let paying = create(kind).payment_method("pm_card_visa").confirm(true);
        let paying = || paying.customize().request_strategy(key(kind)).timeout(Duration::from_millis(500));
        let failed = paying().send(&app.client).await.unwrap_err();
        match kind {
            "error" => assert!(matches!(failed, StripeError::Stripe(_, 500)), "{failed}"),
            "hang" => assert!(matches!(failed, StripeError::Timeout), "{failed}"),
            _ => assert!(matches!(failed, StripeError::ClientError(_)), "{failed}"),
        }
        assert_eq!(paying().send(&app.client).await.unwrap().status, PaymentIntentStatus::Succeeded);
        assert_eq!(app.charges(kind).await["succeeded"], 1);
    }
}

#[tokio::test]
async fn a_call_that_fails_before_its_work_has_done_nothing() {
    let app = TestApp::start().await;
    app.control("/test/faults", json!({ "count": 2, "when": "before", "status": 503 })).await;
    let paying = create("o1").payment_method("pm_card_visa").confirm(true);
    for _ in 0..2 {
        let (error, status) = refused(paying.customize().request_strategy(key("a")).send(&app.client).await);
        assert_eq!((status, error.type_), (503, ApiErrorsType::ApiError));
        assert_eq!(app.charges("o1").await["succeeded"], 0);
    }
    assert_eq!(app.look("/test/faults").await["struck"][""], 2);
    paying.customize().request_strategy(key("a")).send(&app.client).await.unwrap();
    assert_eq!(app.charges("o1").await["succeeded"], 1);
}

#[tokio::test]
async fn stripes_own_500_stays_with_its_key() {
    let app = TestApp::start().await;
    app.control("/test/faults", json!({ "remembered": true })).await;
    let paying = create("o1").payment_method("pm_card_visa").confirm(true);
    for _ in 0..2 {
        assert_eq!(refused(paying.customize().request_strategy(key("a")).send(&app.client).await).1, 500);
    }
    assert_eq!(app.charges("o1").await["succeeded"], 1);
}

/// Stripe's API reference, "Idempotent requests": "Stripe saves the status code and body of the first request made with a
/// given idempotency key after endpoint execution begins. Retries with the same key return the saved response, including
/// `500` errors."
#[tokio::test]
async fn a_500_before_the_work_stays_with_its_key_and_another_key_does_the_work() {
    let app = TestApp::start().await;
    app.control("/test/faults", json!({ "when": "before", "remembered": true })).await;
    let paying = create("o1").payment_method("pm_card_visa").confirm(true);
    for _ in 0..2 {
        assert_eq!(refused(paying.customize().request_strategy(key("a")).send(&app.client).await).1, 500);
    }
    assert_eq!(app.charges("o1").await["succeeded"], 0);
    paying.customize().request_strategy(key("b")).send(&app.client).await.unwrap();
    assert_eq!(app.charges("o1").await["succeeded"], 1);
}
