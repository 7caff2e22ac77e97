use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use docket_stripe::{Clock, Options, StripeStandIn};
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

/// What a crash, or an editor, leaves at the end of the file.
#[tokio::test]
async fn a_damaged_last_line_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("journal.ndjson");
    for damage in
        [&b"{\"kind\":\"intent\",\"da"[..], b"garbage\n", b"garbage\n\n", b"\0\0\0\0\n\n", b"\xff\xfe", b"{}\r\n \n"]
    {
        let app = TestApp::start_with(Some(&journal), Sink::start().await).await;
        let intent = app.intent("o1").await;
        app.stand_in.stop().await;
        std::fs::OpenOptions::new().append(true).open(&journal).unwrap().write_all(damage).unwrap();
        let app = TestApp::start_with(Some(&journal), Sink::start().await).await;
        assert_eq!(app.retrieve(&intent).await.status, PaymentIntentStatus::RequiresPaymentMethod, "{damage:?}");
        app.stand_in.stop().await;
    }
}

#[tokio::test]
async fn damage_elsewhere_is_an_error_that_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("journal.ndjson");
    let app = TestApp::start_with(Some(&journal), Sink::start().await).await;
    app.intent("o1").await;
    app.stand_in.stop().await;
    let lines = std::fs::read_to_string(&journal).unwrap();
    std::fs::write(&journal, format!("garbage\n{lines}")).unwrap();
    let options = Options { journal: Some(journal.clone()), ..Options::default() };
    let Err(error) = StripeStandIn::start(options).await else { panic!("it started") };
    let said = error.to_string();
    assert!(said.contains("line 1 ") && said.contains(journal.to_str().unwrap()), "{said}");
}

/// Four days of payments, a hundred an hour, pass by in the time of this test.
#[tokio::test]
async fn what_is_settled_and_old_goes_while_it_runs_and_what_counts_stays() {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("journal.ndjson");
    let now = Arc::new(AtomicI64::new(1_795_000_000));
    let clock: Clock = {
        let now = now.clone();
        Arc::new(move || now.load(Ordering::Relaxed))
    };
    let options = || Options { journal: Some(journal.clone()), clock: clock.clone(), ..Options::default() };
    let app = TestApp::start_as(options(), Sink::start().await).await;
    let first = app.pay("first").await;
    for _ in 0..40 {
        let payments = (0..100).map(|_| app.pay("others"));
        futures::future::join_all(payments).await;
        now.fetch_add(2 * 3_600, Ordering::Relaxed);
    }
    let length = std::fs::metadata(&journal).unwrap().len();
    assert!(length < 20 * 1024 * 1024, "{length}");
    let refund = CreateRefund::new().payment_intent(first.id.as_str()).send(&app.client).await.unwrap();
    let delivered = async {
        while app.look("/test/webhooks").await["running"] != 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), delivered).await.expect("the webhooks are delivered");
    app.stand_in.stop().await;

    // A process that was killed while it wrote the journal anew leaves this.
    std::fs::write(journal.with_extension("new"), "{\"kind\":\"intent\",").unwrap();
    let app = TestApp::start_as(options(), Sink::start().await).await;
    let charge = app.retrieve(&first).await.latest_charge.unwrap().into_object().unwrap();
    assert_eq!((charge.amount_refunded, refund.amount), (2_000, 2_000));
    let written = std::fs::read_to_string(&journal).unwrap();
    let of_kind =
        |kind: &str| written.lines().filter(|line| line.starts_with(&format!("{{\"kind\":\"{kind}\""))).count();
    assert_eq!((of_kind("intent"), of_kind("charge")), (4_001, 4_001));
    assert!(of_kind("event") < 1_000 && of_kind("reply") == 0, "{} events", of_kind("event"));
    app.stand_in.stop().await;
}
