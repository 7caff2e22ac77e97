//! Listening to streams and following them while what they hang on is taken away, at a real broker.

mod delivery;
mod lag;
mod listen;
mod overtaken;
mod parked;

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::{self, Context};
use bson::doc;
use common::bus::{
    Bus, DeadLetter, DeadLetters, EventRecord, ListenError, Namespace, ParkedEvent, ParkedEvents, Received,
};
use common::clock::{Clock as _, SystemClock, Time};
use common::events::expiration::ExpirationDue;
use common::events::{DomainEvent as _, ExpirationEvent, Raised};
use common::id::OrderId;
use common::service::{Running, Service, start};
use common::settings::Settings;
use futures::{StreamExt as _, TryStreamExt as _};
use mongodb::{Client, Collection, Database};
use secrecy::SecretString;
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
        let aggregate = aggregate();
        self.publish_versions(&[(&aggregate, 1)]).await;
        aggregate
    }

    /// Publishes events of these aggregates and versions, in this order.
    async fn publish_versions(&self, events: &[(&str, i64)]) {
        let records: Vec<EventRecord> = events.iter().map(|(aggregate, version)| record(aggregate, *version)).collect();
        let published = self.bus.publish_all(&records.iter().collect::<Vec<_>>()).await;
        published.into_iter().for_each(Result::unwrap);
    }

    /// Publishes what some other build calls an event of this domain.
    async fn publish_foreign(&self, aggregate: &str, name: &str, schema: u16, payload: &str) {
        let foreign =
            EventRecord { name: name.to_owned(), schema, payload: payload.to_owned(), ..record(aggregate, 1) };
        self.bus.publish_all(&[&foreign]).await.pop().unwrap().unwrap();
    }

    fn settings(&self) -> Settings {
        let server = |variable: &str| Some(SecretString::from(std::env::var(variable).unwrap()));
        Settings {
            mongodb_uri: server("DOCKET_TEST_MONGODB_URI"),
            nats_url: server("DOCKET_TEST_NATS_URL"),
            namespace: self.namespace.clone(),
            ..Settings::default_for_tests()
        }
    }

    /// Runs the service `orders`, which gives each event to `hear`.
    async fn run<Fut>(&self, hear: impl Fn(EventRecord) -> Fut + Clone + Send + Sync + 'static) -> Running
    where
        Fut: Future<Output = Result<(), ListenError>> + Send + 'static,
    {
        self.run_at(0, hear).await
    }

    /// The same with a clock that is so many milliseconds ahead.
    async fn run_at<Fut>(
        &self,
        clock_offset_ms: i64,
        hear: impl Fn(EventRecord) -> Fut + Clone + Send + Sync + 'static,
    ) -> Running
    where
        Fut: Future<Output = Result<(), ListenError>> + Send + 'static,
    {
        let hear = move |_: Arc<()>, received: Received<ExpirationEvent>| hear(received.record);
        let service = Service::new("orders", async |_| Ok(())).listen(hear).build();
        start(vec![service], Settings { clock_offset_ms, ..self.settings() }).await.unwrap()
    }

    /// The collection of what the service has parked.
    async fn parked_events(&self) -> Collection<ParkedEvent> {
        self.database().await.collection(ParkedEvents::COLLECTION)
    }

    async fn parked_count(&self) -> u64 {
        self.parked_events().await.estimated_document_count().await.unwrap()
    }

    async fn parked(&self) -> Vec<ParkedEvent> {
        let all = self.parked_events().await.find(doc! { "_id": { "$gt": "" } }).sort(doc! { "_id": 1 }).await.unwrap();
        all.try_collect().await.unwrap()
    }

    async fn database(&self) -> Database {
        let client = Client::with_uri_str(std::env::var("DOCKET_TEST_MONGODB_URI").unwrap()).await.unwrap();
        client.database(&Namespace::new(&self.namespace).database("orders"))
    }

    async fn dead_letters(&self) -> Vec<DeadLetter> {
        DeadLetters::new(&self.database().await.into(), Arc::new(SystemClock))
            .list(None, 100, |letter| letter)
            .await
            .unwrap()
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

fn aggregate() -> String {
    OrderId::generate(now()).to_string()
}

fn record(aggregate: &str, version: i64) -> EventRecord {
    let event = ExpirationDue { order_ids: vec![OrderId::generate(now())], expires_at: now() }.into();
    let raised = Raised::<ExpirationEvent> { event, actor: None, traceparent: None };
    EventRecord::new(ExpirationEvent::DOMAIN, aggregate, version, &raised, now()).unwrap()
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

/// Waits until `what` holds.
async fn until(what: &str, within: Duration, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    };
    tokio::time::timeout(within, waiting).await.unwrap_or_else(|_| panic!("not within {within:?}: {what}"));
}
