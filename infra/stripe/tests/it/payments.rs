use serde_json::json;
use stripe_core::payment_intent::{ConfirmPaymentIntent, RetrievePaymentIntent};
use stripe_shared::{ApiErrorsCode, ApiErrorsType, PaymentIntentStatus};

use crate::harness::{KEY, TestApp, create, refused};

#[tokio::test]
async fn a_good_card_pays_once() {
    let app = TestApp::start().await;
    let intent = app.intent("o1").await;
    assert_eq!(intent.status, PaymentIntentStatus::RequiresPaymentMethod);
    assert!(intent.client_secret.as_deref().unwrap().starts_with(intent.id.as_str()));

    let paid = app.confirm(&intent, "pm_card_visa").await.unwrap();
    assert_eq!(paid.status, PaymentIntentStatus::Succeeded);
    assert_eq!(paid.amount_received, 2_000);
    assert_eq!(paid.metadata["order"], "o1");

    let seen = app.retrieve(&paid).await;
    let charge = seen.latest_charge.unwrap().into_object().unwrap();
    assert!(charge.paid && charge.captured && !charge.refunded);
    assert_eq!(charge.payment_method_details.unwrap().card.unwrap().last4.as_deref(), Some("4242"));
    let counted = app.charges("o1").await;
    assert_eq!((&counted["succeeded"], &counted["captured"]), (&json!(1), &json!(2_000)));
}

#[tokio::test]
async fn creating_and_confirming_may_be_one_call() {
    let app = TestApp::start().await;
    let paid = create("o1").payment_method("pm_card_mastercard").confirm(true).send(&app.client).await.unwrap();
    assert_eq!(paid.status, PaymentIntentStatus::Succeeded);
}

#[tokio::test]
async fn a_decline_names_its_reason_and_leaves_the_intent_open() {
    let app = TestApp::start().await;
    let declines = [
        ("pm_card_chargeDeclined", ApiErrorsCode::CardDeclined, "generic_decline"),
        ("pm_card_visa_chargeDeclined", ApiErrorsCode::CardDeclined, "generic_decline"),
        ("pm_card_chargeDeclinedInsufficientFunds", ApiErrorsCode::CardDeclined, "insufficient_funds"),
        ("pm_card_chargeDeclinedExpiredCard", ApiErrorsCode::ExpiredCard, "expired_card"),
    ];
    let intent = app.intent("o1").await;
    for (method, code, decline_code) in declines {
        let (error, status) = refused(app.confirm(&intent, method).await);
        assert_eq!((status, &error.type_), (402, &ApiErrorsType::CardError));
        assert_eq!(error.code, Some(code));
        assert_eq!(error.decline_code.as_deref(), Some(decline_code));
        assert_eq!(error.payment_intent.unwrap().status, PaymentIntentStatus::RequiresPaymentMethod);
        assert!(error.payment_method.is_some() && error.charge.is_some());
    }
    let seen = app.retrieve(&intent).await;
    assert_eq!(seen.last_payment_error.unwrap().decline_code.as_deref(), Some("expired_card"));
    assert_eq!(app.confirm(&intent, "pm_card_visa").await.unwrap().status, PaymentIntentStatus::Succeeded);
}

#[tokio::test]
async fn cancelling_works_until_the_money_has_come() {
    let app = TestApp::start().await;
    let open = app.intent("o1").await;
    assert_eq!(app.cancel(&open).await.unwrap().status, PaymentIntentStatus::Canceled);
    let paid = app.pay("o2").await;
    let slow = app.intent("o3").await;
    assert_eq!(app.confirm(&slow, "pm_card_processing").await.unwrap().status, PaymentIntentStatus::Processing);
    for (intent, status) in [
        (open, PaymentIntentStatus::Canceled),
        (paid, PaymentIntentStatus::Succeeded),
        (slow, PaymentIntentStatus::Processing),
    ] {
        let (error, code) = refused(app.cancel(&intent).await);
        assert_eq!((code, error.code), (400, Some(ApiErrorsCode::PaymentIntentUnexpectedState)));
        assert_eq!(error.payment_intent.unwrap().status, status);
    }
}

#[tokio::test]
async fn a_settled_intent_cannot_be_confirmed() {
    let app = TestApp::start().await;
    let paid = app.pay("o1").await;
    let (error, status) = refused(app.confirm(&paid, "pm_card_visa").await);
    assert_eq!((status, error.type_), (400, ApiErrorsType::InvalidRequestError));
    assert_eq!(error.code, Some(ApiErrorsCode::PaymentIntentUnexpectedState));
    assert_eq!(app.charges("o1").await["succeeded"], 1);
}

#[tokio::test]
async fn three_d_secure_asks_on_a_page_and_returns_to_the_shop() {
    let app = TestApp::start().await;
    for (decision, status, outcome) in [
        ("approve", PaymentIntentStatus::Succeeded, "succeeded"),
        ("fail", PaymentIntentStatus::RequiresPaymentMethod, "failed"),
    ] {
        let intent = app.intent(decision).await;
        let confirm = ConfirmPaymentIntent::new(intent.id.clone())
            .payment_method("pm_card_threeDSecure2Required")
            .return_url("https://shop.example/orders?id=7");
        let asked = confirm.send(&app.client).await.unwrap();
        assert_eq!(asked.status, PaymentIntentStatus::RequiresAction);
        let page = asked.next_action.unwrap().redirect_to_url.unwrap().url.unwrap();
        let html = app.http.get(&page).send().await.unwrap().text().await.unwrap();
        assert!(html.contains("value=\"approve\"") && html.contains("value=\"fail\""));
        for _click in 0..2 {
            let click = app.http.post(&page).header("Content-Type", "application/x-www-form-urlencoded");
            let answer = click.body(format!("decision={decision}")).send().await.unwrap();
            assert_eq!(answer.status(), 303);
            let back = answer.headers()["location"].to_str().unwrap().to_owned();
            assert!(back.starts_with("https://shop.example/orders?id=7&payment_intent="), "{back}");
            assert!(back.ends_with(&format!("redirect_status={outcome}")), "{back}");
        }
        let seen = app.retrieve(&intent).await;
        assert_eq!(seen.status, status);
        if decision == "fail" {
            let error = seen.last_payment_error.unwrap();
            assert_eq!(error.code, Some(ApiErrorsCode::PaymentIntentAuthenticationFailure));
        }
    }
}

#[tokio::test]
async fn a_processing_payment_settles_either_way() {
    let app = TestApp::start().await;
    for (outcome, status) in
        [("succeeded", PaymentIntentStatus::Succeeded), ("failed", PaymentIntentStatus::RequiresPaymentMethod)]
    {
        let intent = app.intent(outcome).await;
        app.confirm(&intent, "pm_card_processing").await.unwrap();
        app.control(&format!("/test/payment_intents/{}/settle", intent.id), json!({ "outcome": outcome })).await;
        assert_eq!(app.retrieve(&intent).await.status, status);
    }
}

#[tokio::test]
async fn typed_numbers_and_tokens_become_payment_methods() {
    let app = TestApp::start().await;
    let bodies = [
        ("pk_test_browser", "type=card&card[number]=4242%204242%204242%204242", 200),
        (KEY, "type=card&card%5Btoken%5D=tok_visa", 200),
        (KEY, "type=card&card[number]=4111111111111111", 400),
        ("sk_live_other", "type=card&card[number]=4242424242424242", 401),
    ];
    for (secret, body, status) in bodies {
        let request = app.http.post(app.url("/v1/payment_methods")).bearer_auth(secret).body(body);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), status);
        let method: serde_json::Value = answer.json().await.unwrap();
        if status == 200 {
            let intent = app.intent("o1").await;
            let paid = app.confirm(&intent, method["id"].as_str().unwrap()).await.unwrap();
            assert_eq!(paid.status, PaymentIntentStatus::Succeeded);
        }
    }
    let intent = app.intent("o2").await;
    let answer = app
        .http
        .post(app.url(&format!("/v1/payment_intents/{}/confirm", intent.id)))
        .basic_auth(KEY, Some(""))
        .body("payment_method_data[type]=card&payment_method_data[card][token]=tok_chargeDeclined")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 402);
}

#[tokio::test]
async fn what_stripe_refuses_is_refused() {
    let app = TestApp::start().await;
    let missing = RetrievePaymentIntent::new("pi_none").send(&app.client).await;
    let (error, status) = refused(missing);
    assert_eq!((status, error.code), (404, Some(ApiErrorsCode::ResourceMissing)));

    let intent = app.intent("o1").await;
    let (error, status) = refused(app.confirm(&intent, "pm_card_nonsense").await);
    assert_eq!((status, error.param.as_deref()), (400, Some("payment_method")));
    let (error, _) = refused(ConfirmPaymentIntent::new(intent.id.clone()).send(&app.client).await);
    assert_eq!(error.code, Some(ApiErrorsCode::PaymentIntentUnexpectedState));

    let stranger = stripe::ClientBuilder::new("sk_test_other").url(app.stand_in.base_url()).build().unwrap();
    let (error, status) = refused(create("o1").send(&stranger).await);
    assert_eq!((status, error.type_), (401, ApiErrorsType::InvalidRequestError));
}

#[tokio::test]
async fn bad_amounts_and_missing_return_urls_charge_nobody() {
    let app = TestApp::start().await;
    for body in [
        "amount=0&currency=eur",
        "amount=-5&currency=eur",
        "amount=49&currency=eur",
        "amount=ten&currency=eur",
        "currency=eur",
        "amount=2000",
        "amount=2000&currency=euro",
        "amount=2000&currency=eur&confirm=true&payment_method=pm_card_visa",
        "amount=2000&currency=eur&confirm=true&payment_method=pm_card_visa&return_url=javascript:alert(1)",
        "amount=2000&currency=eur&a[b][c][d][e][f][g][h][i][j]=1&metadata[x",
    ] {
        let request = app.http.post(app.url("/v1/payment_intents")).bearer_auth(KEY).body(body);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 400, "{body}");
        let error: serde_json::Value = answer.json().await.unwrap();
        assert_eq!(error["error"]["type"], "invalid_request_error", "{body}");
    }
    assert_eq!(app.look("/test/charges").await["charges"], json!([]));
}
