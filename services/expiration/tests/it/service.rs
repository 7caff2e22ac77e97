//! The service between orders' events and the broker's clock.

use std::time::Duration;

use common::bus::EventRecord;
use common::clock::Time;
use common::events::orders::{OrderCancelled, OrderCreated, OrderFacts};
use common::events::{OrderEvent, Raised};
use common::id::{OrderId, TicketId, UserId};
use common::money::{Currency, Money};
use common::service::{Running, start};
use common::settings::Settings;
use secrecy::SecretString;

use crate::broker::{Broker, assert_silence, next, now, order_of, server, soon};

async fn run(broker: &Broker) -> Running {
    let mut settings = Settings::default_for_tests();
    settings.mongodb_uri = Some(SecretString::from(server("DOCKET_TEST_MONGODB_URI")));
    settings.nats_url = Some(SecretString::from(server("DOCKET_TEST_NATS_URL")));
    settings.namespace.clone_from(&broker.name);
    start(vec![expiration::service()], settings).await.unwrap()
}

async fn tell(broker: &Broker, version: i64, event: OrderEvent) {
    let (OrderEvent::Created(OrderCreated { order, .. }) | OrderEvent::Cancelled(OrderCancelled { order })) = &event
    else {
        panic!("these tests do not tell {event:?}");
    };
    let id = order.order_id.to_string();
    let raised = Raised { event, actor: None, traceparent: None };
    let record = EventRecord::new("order", &id, version, &raised, now()).unwrap();
    broker.bus.publish_all(&[&record]).await.pop().unwrap().unwrap();
}

fn facts(order_id: OrderId) -> OrderFacts {
    OrderFacts {
        order_id,
        ticket_id: TicketId::generate(now()),
        buyer_id: UserId::generate(now()),
        seller_id: UserId::generate(now()),
        quantity: 1,
        total: Money::from_minor(1999, Currency::USD).unwrap(),
    }
}

async fn hold(broker: &Broker, expires_at: Time) -> OrderId {
    let order_id = OrderId::generate(now());
    tell(broker, 1, OrderCreated { order: facts(order_id), title: "Jazz".to_owned(), expires_at }.into()).await;
    order_id
}

async fn cancel(broker: &Broker, order_id: OrderId) {
    tell(broker, 2, OrderCancelled { order: facts(order_id) }.into()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_is_due_at_its_deadline_also_while_the_service_is_down() {
    let broker = Broker::shared().await;
    let mut fired = broker.fired().await;
    let service = run(&broker).await;
    let (first_at, second_at) = (soon(1), soon(3));
    let first = hold(&broker, first_at).await;
    let second = hold(&broker, second_at).await;
    let message = next(&mut fired).await;
    assert_eq!(order_of(&message), first.to_string());
    assert!(message.at.since(first_at) < Duration::from_secs(1), "too late: {} instead of {first_at}", message.at);
    service.stop().await;
    let message = next(&mut fired).await;
    assert_eq!(order_of(&message), second.to_string());
    assert!(message.at.since(second_at) < Duration::from_secs(1), "the broker keeps the time");
}

#[tokio::test(flavor = "multi_thread")]
async fn deadlines_that_passed_while_the_service_was_down_are_told_at_once() {
    let broker = Broker::shared().await;
    let mut fired = broker.fired().await;
    let at = now() - Duration::from_secs(5);
    let order = hold(&broker, at).await;
    let service = run(&broker).await;
    let message = next(&mut fired).await;
    assert_eq!((order_of(&message), message.record.at), (order.to_string(), at));
    assert_silence(&mut fired, now()).await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_hold_is_never_due() {
    let broker = Broker::shared().await;
    let mut fired = broker.fired().await;
    let service = run(&broker).await;
    let at = soon(2);
    let cancelled = hold(&broker, at).await;
    cancel(&broker, cancelled).await;
    let kept = hold(&broker, at).await;
    assert_eq!(order_of(&next(&mut fired).await), kept.to_string());
    assert_silence(&mut fired, at).await;
    service.stop().await;
}
