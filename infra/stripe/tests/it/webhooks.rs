use serde_json::json;
use stripe::StripeRequest;
use stripe_core::event::{ListEvent, RetrieveEvent};
use stripe_core::refund::CreateRefund;
use stripe_shared::version::VERSION;
use stripe_webhook::{EventObject, Webhook, WebhookError};

use docket_stripe::Options;

use crate::harness::{Received, SECRET, Sink, TestApp};

fn read(received: &Received) -> Result<stripe_webhook::Event, WebhookError> {
    Webhook::construct_event(&received.body, &received.signature, SECRET)
}

#[tokio::test]
async fn an_endpoint_gets_the_events_that_it_asks_for() {
    let events = ["payment_intent.succeeded", "refund.created"].map(str::to_owned).to_vec();
    let app = TestApp::start_as(Options { webhook_events: events, ..Options::default() }, Sink::start().await).await;
    let paid = app.pay("o1").await;
    CreateRefund::new().payment_intent(paid.id.as_str()).amount(700).send(&app.client).await.unwrap();
    let received = app.sink.wait_for(2).await;
    let kinds: Vec<String> = received.iter().map(|one| read(one).unwrap().type_.to_string()).collect();
    assert_eq!(kinds, ["payment_intent.succeeded", "refund.created"]);
    let others = ListEvent::new().types(["charge.succeeded".to_owned()]).send(&app.client).await.unwrap();
    assert_eq!(others.data.iter().map(|event| event.pending_webhooks).collect::<Vec<_>>(), [0]);
}

#[tokio::test]
async fn every_event_arrives_signed_and_readable() {
    let app = TestApp::start().await;
    let paid = app.pay("o1").await;
    app.sink.wait_for(3).await;
    CreateRefund::new().payment_intent(paid.id.as_str()).amount(700).send(&app.client).await.unwrap();
    app.sink.wait_for(5).await;
    let other = app.intent("o2").await;
    let _declined = app.confirm(&other, "pm_card_chargeDeclined").await;
    app.confirm(&other, "pm_card_authenticationRequired").await.unwrap();
    app.cancel(&other).await.unwrap();
    let slow = app.intent("o3").await;
    app.confirm(&slow, "pm_card_processing").await.unwrap();
    app.control(&format!("/test/payment_intents/{}/settle", slow.id), json!({ "outcome": "succeeded" })).await;
    let complaint = json!({ "reason": "general" });
    let dispute = app.control(&format!("/test/payment_intents/{}/dispute", slow.id), complaint).await;
    let decision = format!("/test/disputes/{}/close", dispute["id"].as_str().unwrap());
    app.control(&decision, json!({ "status": "won" })).await;
    let received = app.sink.wait_for(18).await;

    let mut seen: Vec<&str> = Vec::new();
    for one in &received {
        let event = read(one).unwrap();
        assert_eq!(event.api_version, Some(VERSION));
        seen.push(match event.data.object {
            EventObject::PaymentIntentCreated(_) => "created",
            EventObject::PaymentIntentSucceeded(it) => {
                assert_eq!(it.amount_received, 2_000);
                "succeeded"
            }
            EventObject::PaymentIntentPaymentFailed(it) => {
                assert_eq!(it.last_payment_error.unwrap().decline_code.as_deref(), Some("generic_decline"));
                "failed"
            }
            EventObject::PaymentIntentRequiresAction(it) => {
                assert!(it.next_action.is_some());
                "requires action"
            }
            EventObject::PaymentIntentProcessing(_) => "processing",
            EventObject::PaymentIntentCanceled(_) => "canceled",
            EventObject::ChargeSucceeded(_) => "charge succeeded",
            EventObject::ChargeFailed(_) => "charge failed",
            EventObject::ChargeRefunded(it) => {
                assert_eq!(it.amount_refunded, 700);
                "charge refunded"
            }
            EventObject::RefundCreated(it) => {
                assert_eq!(it.amount, 700);
                "refund created"
            }
            EventObject::ChargeDisputeCreated(it) => {
                assert_eq!(it.reason, "general");
                "disputed"
            }
            EventObject::ChargeDisputeFundsWithdrawn(it) => {
                assert_eq!(it.amount, 2_000);
                "funds withdrawn"
            }
            EventObject::ChargeDisputeClosed(it) => {
                assert_eq!(it.status.as_str(), "won");
                "decided"
            }
            EventObject::ChargeDisputeFundsReinstated(_) => "funds reinstated",
            other => panic!("{other:?}"),
        });
    }
    for kind in ["created", "succeeded", "failed", "requires action", "processing", "canceled", "charge succeeded"] {
        assert!(seen.contains(&kind), "{kind}: {seen:?}");
    }
    for kind in ["charge failed", "charge refunded", "refund created", "disputed", "funds withdrawn", "decided"] {
        assert!(seen.contains(&kind), "{kind}: {seen:?}");
    }
}

#[tokio::test]
async fn a_refused_webhook_comes_again_until_it_is_taken() {
    let app = TestApp::start().await;
    app.control("/test/webhooks/mode", json!({ "retry_ms": [10, 10, 10] })).await;
    app.sink.refuse(3);
    app.intent("o1").await;
    let received = app.sink.wait_for(1).await;
    assert_eq!(received[0].kind(), "payment_intent.created");
    let deliveries = app.look("/test/webhooks/deliveries").await;
    let statuses: Vec<_> = deliveries["data"].as_array().unwrap().iter().map(|one| one["status"].clone()).collect();
    assert_eq!(statuses[..3], [json!(503), json!(503), json!(503)]);
}

#[tokio::test]
async fn tests_can_double_hold_and_reorder() {
    let app = TestApp::start().await;
    app.control("/test/webhooks/mode", json!({ "hold": true, "duplicate": 1, "shuffle": true })).await;
    app.pay("o1").await;
    assert!(app.sink.received().is_empty());
    let undelivered = || ListEvent::new().delivery_success(false).customize();
    assert_eq!(undelivered().send(&app.client).await.unwrap().data.len(), 3);
    assert_eq!(app.look("/test/webhooks").await["held"].as_array().unwrap().len(), 3);

    assert_eq!(app.control("/test/webhooks/flush", json!({})).await["events"], 3);
    let order = ["payment_intent.succeeded", "charge.succeeded", "payment_intent.created"];
    let twice: Vec<&str> = order.iter().flat_map(|kind| [*kind, *kind]).collect();
    assert_eq!(app.sink.kinds(), twice);
    assert_eq!(undelivered().send(&app.client).await.unwrap().data.len(), 0);

    assert_eq!(app.control("/test/webhooks/redeliver", json!({})).await["events"], 3);
    let received = app.sink.wait_for(9).await;
    let mut ids: Vec<String> = received.iter().map(Received::id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 3);
}

#[tokio::test]
async fn forged_and_stale_signatures_do_not_verify() {
    let app = TestApp::start().await;
    app.intent("o1").await;
    app.sink.wait_for(1).await;
    app.control("/test/webhooks/redeliver", json!({ "signature": "wrong" })).await;
    app.control("/test/webhooks/redeliver", json!({ "signature": "stale" })).await;
    let received = app.sink.wait_for(3).await;
    assert!(read(&received[0]).is_ok());
    assert!(matches!(read(&received[1]), Err(WebhookError::BadSignature)));
    assert!(matches!(read(&received[2]), Err(WebhookError::BadTimestamp(_))));
}

#[tokio::test]
async fn events_can_be_listed_newest_first() {
    let app = TestApp::start().await;
    for order in ["o1", "o2", "o3"] {
        app.pay(order).await;
    }
    let succeeded = |list: ListEvent| list.type_("payment_intent.succeeded").limit(2);
    let first = succeeded(ListEvent::new()).send(&app.client).await.unwrap();
    assert_eq!((first.data.len(), first.has_more), (2, true));
    assert!(first.data[0].id.as_str() > first.data[1].id.as_str());
    let rest = succeeded(ListEvent::new()).starting_after(first.data[1].id.as_str()).send(&app.client).await.unwrap();
    assert_eq!((rest.data.len(), rest.has_more), (1, false));
    let one = RetrieveEvent::new(rest.data[0].id.clone()).send(&app.client).await.unwrap();
    assert_eq!(one.type_.as_str(), "payment_intent.succeeded");
    let types = vec!["charge.succeeded".to_owned(), "payment_intent.created".to_owned()];
    let since = stripe_types::RangeQueryTs::Bounds(stripe_types::RangeBoundsTs { gte: Some(1), ..Default::default() });
    let both = ListEvent::new().types(types).created(since).limit(100).send(&app.client).await.unwrap();
    assert_eq!(both.data.len(), 6);
}
