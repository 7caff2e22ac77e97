//! The service between orders' events and the broker's clock.

use std::collections::HashMap;
use std::time::Duration;

use common::bus::EventRecord;
use common::clock::Time;
use common::events::orders::{OrderCreated, OrderFacts};
use common::events::{OrderEvent, Raised};
use common::id::{OrderId, TicketId, UserId};
use common::money::{Currency, Money};
use common::service::{Running, start};
use common::settings::Settings;
use docket_local::{LocalServers, Options};
use secrecy::SecretString;

use crate::broker::{Broker, assert_silence, next, now, orders_of, server, soon};

async fn run(broker: &Broker) -> Running {
    run_on(&server("DOCKET_TEST_NATS_URL"), broker).await
}

async fn run_on(nats: &str, broker: &Broker) -> Running {
    let mut settings = Settings::default_for_tests();
    settings.mongodb_uri = Some(SecretString::from(server("DOCKET_TEST_MONGODB_URI")));
    settings.nats_url = Some(SecretString::from(nats));
    settings.shutdown_grace_seconds = 2;
    settings.namespace.clone_from(&broker.name);
    start(vec![expiration::service()], settings).await.unwrap()
}

async fn tell(broker: &Broker, records: Vec<EventRecord>) {
    let told = broker.bus.publish_all(&records.iter().collect::<Vec<_>>()).await;
    told.into_iter().collect::<Result<(), _>>().unwrap();
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

fn held(order_id: OrderId, expires_at: Time) -> EventRecord {
    let event: OrderEvent = OrderCreated { order: facts(order_id), title: "Jazz".to_owned(), expires_at }.into();
    let raised = Raised { event, actor: None, traceparent: None };
    EventRecord::new("order", &order_id.to_string(), 1, &raised, now()).unwrap()
}

async fn hold(broker: &Broker, expires_at: Time) -> OrderId {
    let order_id = OrderId::generate(now());
    tell(broker, vec![held(order_id, expires_at)]).await;
    order_id
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
    assert_eq!(orders_of(&message), [first]);
    assert!(message.at.since(first_at) < Duration::from_secs(1), "too late: {} instead of {first_at}", message.at);
    service.stop().await;
    let message = next(&mut fired).await;
    assert_eq!(orders_of(&message), [second]);
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
    assert_eq!((orders_of(&message), message.record.at), (vec![order], at));
    assert_silence(&mut fired, now()).await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_deadlines_in_one_second() {
    const DEADLINES: usize = 10_000;
    let broker = Broker::shared().await;
    let at = soon(15);
    let due: HashMap<OrderId, Time> = (0..DEADLINES)
        .map(|nth| (OrderId::generate(now()), Time::from_millis(at.millis() + i64::try_from(nth % 1_000).unwrap())))
        .collect();
    let service = run(&broker).await;
    tell(&broker, due.iter().map(|(order, at)| held(*order, *at)).collect()).await;

    let mut fired = broker.fired().await;
    let (mut late, mut messages) = (HashMap::new(), 0);
    while late.len() < DEADLINES {
        let message = next(&mut fired).await;
        messages += 1;
        for order in orders_of(&message) {
            assert!(now() >= due[&order], "too early: {} instead of {}", now(), due[&order]);
            assert!(late.insert(order, now().since(due[&order])).is_none(), "one was due twice");
        }
    }
    let mut late: Vec<Duration> = late.into_values().collect();
    late.sort_unstable();
    let (median, p99, worst) = (late[DEADLINES / 2], late[DEADLINES * 99 / 100], late[DEADLINES - 1]);
    println!("{messages} messages; heard late {median:?} (median), {p99:?} (p99), {worst:?} (worst)");
    assert!(p99 < Duration::from_secs(1), "p99 of the lateness is {p99:?}");
    assert!(messages < DEADLINES / 4, "{messages} messages");
    assert_eq!(broker.waiting().await, 0);
    service.stop().await;
}

#[tokio::test]
async fn it_stops_although_the_broker_has_gone() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { mongod: false, ..Options::for_tests(folder.path()) };
    let servers = LocalServers::start(options).await.unwrap();
    let nats = servers.nats().unwrap();
    let running = run_on(nats.url(), &Broker::at(nats.url()).await).await;
    nats.kill().await.unwrap();
    tokio::time::timeout(Duration::from_secs(20), running.stop()).await.expect("it waits for the broker");
    servers.stop().await;
}
