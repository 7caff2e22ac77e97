use serde_json::json;
use stripe_core::refund::{CreateRefund, CreateRefundReason, ListRefund, RetrieveRefund};
use stripe_shared::{ApiErrorsCode, PaymentIntent};

use crate::harness::{TestApp, refused};

fn refund(intent: &PaymentIntent) -> CreateRefund {
    CreateRefund::new().payment_intent(intent.id.as_str())
}

#[tokio::test]
async fn refunds_take_what_is_left_and_no_more() {
    let app = TestApp::start().await;
    let paid = app.pay("o1").await;
    let first = refund(&paid).amount(500).reason(CreateRefundReason::RequestedByCustomer);
    let first = first.send(&app.client).await.unwrap();
    assert_eq!((first.amount, first.status.as_deref()), (500, Some("succeeded")));

    let (error, status) = refused(refund(&paid).amount(1_501).send(&app.client).await);
    assert_eq!((status, error.code), (400, Some(ApiErrorsCode::AmountTooLarge)));
    let rest = refund(&paid).send(&app.client).await.unwrap();
    assert_eq!(rest.amount, 1_500);
    let (error, status) = refused(refund(&paid).send(&app.client).await);
    assert_eq!((status, error.code), (400, Some(ApiErrorsCode::ChargeAlreadyRefunded)));

    let charge = app.retrieve(&paid).await.latest_charge.unwrap().into_object().unwrap();
    assert!(charge.refunded);
    assert_eq!(charge.amount_refunded, 2_000);
    let all = ListRefund::new().payment_intent(paid.id.as_str()).send(&app.client).await.unwrap();
    assert_eq!(all.data.len(), 2);
    let again = RetrieveRefund::new(first.id.clone()).send(&app.client).await.unwrap();
    assert_eq!(again.payment_intent.unwrap().id(), &paid.id);
}

#[tokio::test]
async fn nothing_is_refunded_where_nothing_was_paid() {
    let app = TestApp::start().await;
    let open = app.intent("o1").await;
    let (_, status) = refused(refund(&open).send(&app.client).await);
    assert_eq!(status, 400);
    let _declined = app.confirm(&open, "pm_card_chargeDeclined").await;
    let (_, status) = refused(refund(&open).send(&app.client).await);
    assert_eq!(status, 400);
    let (error, status) = refused(CreateRefund::new().payment_intent("pi_none").send(&app.client).await);
    assert_eq!((status, error.code), (404, Some(ApiErrorsCode::ResourceMissing)));
}

#[tokio::test]
async fn a_refund_that_bounces_can_be_made_again() {
    let app = TestApp::start().await;
    let paid = app.pay("o1").await;
    let first = refund(&paid).send(&app.client).await.unwrap();
    app.control(&format!("/test/refunds/{}/bounce", first.id), json!({})).await;
    let seen = RetrieveRefund::new(first.id.clone()).send(&app.client).await.unwrap();
    assert_eq!(seen.status.as_deref(), Some("failed"));
    assert_eq!(refund(&paid).send(&app.client).await.unwrap().amount, 2_000);
}

#[tokio::test]
async fn a_disputed_charge_is_not_refunded() {
    let app = TestApp::start().await;
    let paid = app.pay("o1").await;
    app.control(&format!("/test/payment_intents/{}/dispute", paid.id), json!({})).await;
    let (error, status) = refused(refund(&paid).send(&app.client).await);
    assert_eq!((status, error.code), (400, Some(ApiErrorsCode::ChargeDisputed)));
}
