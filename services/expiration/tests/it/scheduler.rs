//! What the broker does with scheduled messages.

use std::collections::HashMap;
use std::time::Duration;

use common::bus::EventRecord;
use common::clock::Time;
use common::events::ExpirationEvent;
use common::events::expiration::ExpirationDue;
use docket_local::{LocalServers, Options};
use futures::{StreamExt, stream};

use crate::broker::{Broker, TRACEPARENT, assert_silence, due, next, now, order_of, soon};

#[tokio::test]
async fn it_is_due_at_its_time_and_says_what_it_said() {
    let broker = Broker::shared().await;
    let mut fired = broker.fired().await;
    let at = soon(1);
    let order = broker.schedule(at).await;
    let message = next(&mut fired).await;
    assert!(message.at >= Time::from_millis(at.millis() - 1), "too early: {} instead of {at}", message.at);
    assert!(message.at.since(at) < Duration::from_secs(1), "too late: {} instead of {at}", message.at);

    let expected = due(order, at);
    assert_eq!(message.record, EventRecord { id: message.record.id.clone(), ..expected });
    assert_eq!(message.record.traceparent.as_deref(), Some(TRACEPARENT));
    assert!(message.headers.get("Nats-Msg-Id").is_none(), "the id of the schedule is not that of the event");
    let received = message.record.decode::<ExpirationEvent>().unwrap();
    assert_eq!(received.event, ExpirationDue { order_id: order, expires_at: at }.into());
    assert_eq!(broker.waiting().await, 0);
}

#[tokio::test]
async fn a_deadline_in_the_past_is_due_at_once() {
    let broker = Broker::shared().await;
    let mut fired = broker.fired().await;
    let order = broker.schedule(now() - Duration::from_secs(60)).await;
    assert_eq!(order_of(&next(&mut fired).await), order.to_string());
}

#[tokio::test]
async fn what_is_taken_back_is_never_due() {
    let broker = Broker::shared().await;
    let mut fired = broker.fired().await;
    let at = soon(1);
    let order = broker.schedule(at).await;
    broker.unschedule(order).await;
    broker.unschedule(order).await;
    // The event that set the deadline comes again.
    broker.schedule_order(order, at).await;
    assert_eq!(broker.waiting().await, 0);
    assert_silence(&mut fired, at).await;
}

#[tokio::test]
async fn the_last_deadline_of_an_order_counts() {
    let broker = Broker::shared().await;
    let mut fired = broker.fired().await;
    let (sooner, later) = (soon(1), soon(2));
    let delayed = broker.schedule(sooner).await;
    broker.schedule_order(delayed, later).await;
    let message = next(&mut fired).await;
    assert!(message.at >= Time::from_millis(later.millis() - 1), "due at {} instead of {later}", message.at);
    assert_silence(&mut fired, later).await;
}

#[tokio::test]
async fn deadlines_outlive_the_broker() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { mongod: false, durable: true, ..Options::for_tests(folder.path()) };
    let servers = LocalServers::start(options).await.unwrap();
    let nats = servers.nats().unwrap();
    let broker = Broker::at(nats.url()).await;
    let past = broker.schedule(now() + Duration::from_millis(100)).await;
    let ahead_at = soon(3);
    let ahead = broker.schedule(ahead_at).await;
    nats.kill().await.unwrap();
    nats.start().await.unwrap();

    let mut fired = broker.fired().await;
    assert_eq!(order_of(&next(&mut fired).await), past.to_string());
    let message = next(&mut fired).await;
    assert_eq!(order_of(&message), ahead.to_string());
    assert!(
        message.at >= Time::from_millis(ahead_at.millis() - 1) && message.at.since(ahead_at) < Duration::from_secs(1)
    );
    servers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_deadlines_in_one_second() {
    const DEADLINES: usize = 10_000;
    let broker = Broker::shared().await;
    let at = soon(12);
    let scheduled = stream::iter(0..DEADLINES).map(|_| broker.schedule(at)).buffer_unordered(256).collect::<Vec<_>>();
    let orders = scheduled.await;
    assert!(now() < at, "the broker took too long to accept them; lateness means nothing");
    let accepted = now();

    let fired =
        broker.fired().await.take(DEADLINES).map(|fired| (order_of(&fired), (fired.at.since(at), now().since(at))));
    let times: Vec<_> = tokio::time::timeout(Duration::from_secs(60), fired.collect()).await.expect("not all are due");
    let once: HashMap<String, (Duration, Duration)> = times.into_iter().collect();
    assert_eq!(once.len(), DEADLINES, "one was due twice");
    assert!(orders.iter().all(|order| once.contains_key(&order.to_string())));
    let p99 = |late: Vec<Duration>| {
        let mut late = late;
        late.sort_unstable();
        (late[DEADLINES / 2], late[DEADLINES * 99 / 100], late[DEADLINES - 1])
    };
    let published = p99(once.values().map(|(published, _)| *published).collect());
    let heard = p99(once.values().map(|(_, heard)| *heard).collect());
    println!(
        "accepted {:?} before; published late {published:?}; heard late {heard:?} (median, p99, worst)",
        at.since(accepted)
    );
    assert!(heard.1 < Duration::from_secs(1), "p99 of the lateness is {:?}", heard.1);
    assert_eq!(broker.waiting().await, 0);
}
