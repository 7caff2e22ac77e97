use std::io::Write;

use serde_json::json;
use stripe::StripeRequest;
use stripe_core::refund::CreateRefund;
use stripe_shared::PaymentIntentStatus;

use crate::harness::{Sink, TestApp, create, key};

#[tokio::test]
async fn a_restart_forgets_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("stripe/journal.ndjson");
    let app = TestApp::start_with(Some(&journal), Sink::start().await).await;
    let open = app.intent("o1").await;
    let paying = create("o2").payment_method("pm_card_visa").confirm(true);
    let paid = paying.customize().request_strategy(key("a")).send(&app.client).await.unwrap();
    app.sink.wait_for(4).await;
    app.control("/test/webhooks/mode", json!({ "retry_ms": [60_000], "hold": true })).await;
    app.cancel(&open).await.unwrap();
    app.stand_in.stop().await;
    std::fs::OpenOptions::new().append(true).open(&journal).unwrap().write_all(b"{\"kind\":\"int").unwrap();

    let app = TestApp::start_with(Some(&journal), Sink::start().await).await;
    assert_eq!(app.retrieve(&open).await.status, PaymentIntentStatus::Canceled);
    let replayed = paying.customize().request_strategy(key("a")).send(&app.client).await.unwrap();
    assert_eq!(replayed.id, paid.id);
    let refund = CreateRefund::new().payment_intent(paid.id.as_str()).send(&app.client).await.unwrap();
    assert_eq!(refund.amount, 2_000);
    app.sink.wait_for_kind("payment_intent.canceled").await;
    app.sink.wait_for_kind("charge.refunded").await;
    app.stand_in.stop().await;

    let app = TestApp::start_with(Some(&journal), Sink::start().await).await;
    let charge = app.retrieve(&paid).await.latest_charge.unwrap().into_object().unwrap();
    assert_eq!(charge.amount_refunded, 2_000);
}
