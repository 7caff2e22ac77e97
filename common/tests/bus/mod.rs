//! Following a stream while what it hangs on is taken away, at a real broker.

mod lag;
mod listen;

use std::time::Duration;

use async_nats::jetstream::{self, Context};
use common::bus::{Bus, EventRecord, Namespace};
use common::clock::{Clock as _, SystemClock, Time};
use common::events::expiration::ExpirationDue;
use common::events::{DomainEvent as _, ExpirationEvent, Raised};
use common::id::OrderId;
use futures::{StreamExt as _, TryStreamExt as _};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_util::sync::CancellationToken;

/// Longer than a follower is ever without a subscription in these tests.
const BOUND: Duration = Duration::from_secs(20);

/// A namespace of its own.
struct Broker {
    bus: Bus,
    jetstream: Context,
    namespace: String,
    stream: String,
}

impl Broker {
    async fn new() -> Self {
        let url = std::env::var("DOCKET_TEST_NATS_URL").expect("run `cargo xtask test`, or set DOCKET_TEST_NATS_URL");
        let name = format!("follow_{}", OrderId::generate(now()).uuid().simple());
        let namespace = Namespace::new(&name);
        let stream = namespace.stream(ExpirationEvent::DOMAIN);
        let bus = Bus::connect(&url, namespace).await.unwrap();
        bus.ensure_streams(1).await.unwrap();
        Self { bus, namespace: name, stream, jetstream: jetstream::new(async_nats::connect(url).await.unwrap()) }
    }

    async fn publish(&self) -> String {
        let order_id = OrderId::generate(now());
        let event = ExpirationDue { order_ids: vec![order_id], expires_at: now() }.into();
        let raised = Raised::<ExpirationEvent> { event, actor: None, traceparent: None };
        let record = EventRecord::new(ExpirationEvent::DOMAIN, &order_id.to_string(), 1, &raised, now()).unwrap();
        self.bus.publish_all(&[&record]).await.pop().unwrap().unwrap();
        order_id.to_string()
    }

    /// Follows since the beginning; what is learned comes out of the receiver.
    async fn follow(&self, stop: &CancellationToken) -> UnboundedReceiver<String> {
        let (tell, told) = unbounded_channel();
        let learn = move |received: common::bus::Received<ExpirationEvent>| {
            // Nobody listens any more when the test is over.
            let _ = tell.send(received.record.aggregate);
        };
        tokio::spawn(self.bus.follow(Time::from_millis(0), stop.clone(), learn).await.unwrap());
        told
    }

    async fn delete_consumers(&self) -> usize {
        let stream = self.jetstream.get_stream(&self.stream).await.unwrap();
        let names: Vec<String> = stream.consumer_names().try_collect().await.unwrap();
        let deleted = futures::stream::iter(&names).then(|name| stream.delete_consumer(name));
        deleted.map(Result::unwrap).count().await
    }
}

fn now() -> Time {
    SystemClock.now()
}

async fn next<T>(told: &mut UnboundedReceiver<T>) -> T {
    tokio::time::timeout(BOUND, told.recv()).await.expect("the event does not arrive").unwrap()
}

#[tokio::test]
async fn a_follower_whose_consumer_is_gone_goes_on_where_it_was() {
    let (broker, stop) = (Broker::new().await, CancellationToken::new());
    let before = broker.publish().await;
    let mut told = broker.follow(&stop).await;
    assert_eq!(told.try_recv().unwrap(), before, "what was there is learned before the call returns");
    for _ in 0..3 {
        assert_eq!(broker.delete_consumers().await, 1);
        let event = broker.publish().await;
        assert_eq!(next(&mut told).await, event);
    }
    stop.cancel();
    assert_eq!(told.recv().await, None, "nothing comes twice, and it ends");
}

#[tokio::test]
async fn a_follower_takes_to_a_stream_that_was_made_anew() {
    let (broker, stop) = (Broker::new().await, CancellationToken::new());
    let mut told = broker.follow(&stop).await;
    for _ in 0..3 {
        let event = broker.publish().await;
        assert_eq!(next(&mut told).await, event);
    }
    broker.jetstream.delete_stream(&broker.stream).await.unwrap();
    broker.bus.ensure_streams(1).await.unwrap();
    let event = broker.publish().await;
    assert_eq!(next(&mut told).await, event);
    stop.cancel();
}
