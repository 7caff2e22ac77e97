//! What the broker does with scheduled messages.

use std::time::Duration;

use common::bus::EventRecord;
use common::clock::Time;
use common::events::ExpirationEvent;
use common::events::expiration::ExpirationDue;
use docket_local::{LocalServers, Options};

use crate::broker::{Broker, TRACEPARENT, assert_silence, due, next, now, orders_of, soon};

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
    assert_eq!(received.event, ExpirationDue { order_ids: vec![order], expires_at: at }.into());
    assert_eq!(broker.waiting().await, 0);
}

#[tokio::test]
async fn a_deadline_in_the_past_is_due_at_once() {
    let broker = Broker::shared().await;
    let mut fired = broker.fired().await;
    let order = broker.schedule(now() - Duration::from_secs(60)).await;
    assert_eq!(orders_of(&next(&mut fired).await), [order]);
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
    assert_eq!(orders_of(&next(&mut fired).await), [past]);
    let message = next(&mut fired).await;
    assert_eq!(orders_of(&message), [ahead]);
    assert!(
        message.at >= Time::from_millis(ahead_at.millis() - 1) && message.at.since(ahead_at) < Duration::from_secs(1)
    );
    servers.stop().await;
}
