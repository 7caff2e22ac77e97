//! How far a service is behind, as a real broker tells.

use async_nats::jetstream::consumer::{AckPolicy, pull};
use common::bus::Lag;
use common::events::{DomainEvent as _, ExpirationEvent};
use futures::StreamExt as _;

use super::{BOUND, Broker};

#[tokio::test]
async fn what_a_consumer_was_not_given_is_pending_and_what_it_did_not_answer_for_is_unacknowledged() {
    let broker = Broker::new().await;
    let lag = async |service: &str| broker.bus.lag(ExpirationEvent::DOMAIN, service).await.unwrap();
    assert_eq!(lag("orders").await, None, "it never listened");
    let durable_name = Some("orders".to_owned());
    let config = pull::Config { durable_name, ack_policy: AckPolicy::Explicit, ..pull::Config::default() };
    let stream = broker.jetstream.get_stream(&broker.stream).await.unwrap();
    let consumer = stream.create_consumer(config).await.unwrap();
    for _ in 0..3 {
        broker.publish().await;
    }
    assert_eq!(lag("orders").await, Some(Lag { pending: 3, unacknowledged: 0 }));
    let mut given = consumer.fetch().max_messages(2).expires(BOUND).messages().await.unwrap();
    let first = given.next().await.unwrap().unwrap();
    let second = given.next().await.unwrap().unwrap();
    assert_eq!(lag("orders").await, Some(Lag { pending: 1, unacknowledged: 2 }));
    first.double_ack().await.unwrap();
    assert_eq!(lag("orders").await, Some(Lag { pending: 1, unacknowledged: 1 }));
    second.double_ack().await.unwrap();
    assert_eq!(lag("orders").await, Some(Lag { pending: 1, unacknowledged: 0 }));
}
