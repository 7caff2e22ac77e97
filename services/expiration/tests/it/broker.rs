//! A broker, and what its scheduler does.

use std::collections::HashMap;
use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::consumer::pull::OrderedConfig;
use common::bus::{Bus, EventRecord, Namespace};
use common::clock::{Clock, SystemClock, Time};
use common::events::expiration::ExpirationDue;
use common::events::{DomainEvent, ExpirationEvent, Raised};
use common::id::OrderId;
use futures::{Stream, StreamExt, TryStreamExt};

pub(crate) const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Longer than any message of these tests is under way.
const BOUND: Duration = Duration::from_secs(20);

/// Within this time after its deadline a message that is not to come would have come.
const SILENCE: Duration = Duration::from_millis(1_500);

const DOMAIN: &str = ExpirationEvent::DOMAIN;

/// What the broker published, and when it did.
pub(crate) struct Fired {
    pub(crate) record: EventRecord,
    pub(crate) headers: async_nats::HeaderMap,
    pub(crate) at: Time,
}

/// A namespace of its own on a broker.
pub(crate) struct Broker {
    pub(crate) bus: Bus,
    pub(crate) name: String,
    namespace: Namespace,
    jetstream: jetstream::Context,
}

impl Broker {
    pub(crate) async fn shared() -> Self {
        Self::at(&server("DOCKET_TEST_NATS_URL")).await
    }

    pub(crate) async fn at(url: &str) -> Self {
        let name = format!("test_{}", OrderId::generate(now()).uuid().simple());
        let namespace = Namespace::new(&name);
        let bus = Bus::connect(url, namespace.clone()).await.unwrap();
        bus.ensure_streams(1).await.unwrap();
        let jetstream = jetstream::new(async_nats::connect(url).await.unwrap());
        Self { bus, name, namespace, jetstream }
    }

    /// All that is due from now on and has been before, in the order in which it was published.
    pub(crate) async fn fired(&self) -> impl Stream<Item = Fired> + Unpin {
        let stream = self.jetstream.get_stream(self.namespace.stream(DOMAIN)).await.unwrap();
        let filter_subject = self.namespace.subject(DOMAIN, ">");
        let config = OrderedConfig { filter_subject, ..OrderedConfig::default() };
        let messages = stream.create_consumer(config).await.unwrap().messages().await.unwrap();
        Box::pin(messages.filter_map(|message| async { message.ok().map(|message| fired(&message)) }))
    }

    pub(crate) async fn waiting(&self) -> usize {
        let stream = self.jetstream.get_stream(self.namespace.stream(DOMAIN)).await.unwrap();
        let subjects: HashMap<String, usize> =
            stream.info_with_subjects(">").await.unwrap().try_collect().await.unwrap();
        subjects.keys().filter(|subject| subject.contains(".schedule.")).count()
    }

    pub(crate) async fn schedule(&self, expires_at: Time) -> OrderId {
        let order = OrderId::generate(now());
        self.schedule_order(order, expires_at).await;
        order
    }

    pub(crate) async fn schedule_order(&self, order: OrderId, expires_at: Time) {
        self.bus.schedule(&due(order, expires_at), expires_at).await.unwrap();
    }
}

/// The address of a server of this run.
pub(crate) fn server(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set: run `cargo xtask test`"))
}

pub(crate) fn now() -> Time {
    SystemClock.now()
}

pub(crate) fn soon(seconds: u64) -> Time {
    now() + Duration::from_secs(seconds)
}

pub(crate) fn due(order_id: OrderId, expires_at: Time) -> EventRecord {
    let event = ExpirationDue { order_ids: vec![order_id], expires_at }.into();
    let raised = Raised::<ExpirationEvent> { event, actor: None, traceparent: Some(TRACEPARENT.to_owned()) };
    EventRecord::new(DOMAIN, &order_id.to_string(), 1, &raised, expires_at).unwrap()
}

fn fired(message: &jetstream::Message) -> Fired {
    let headers = message.headers.clone().unwrap();
    let record = EventRecord::from_message(DOMAIN, &message.subject, &headers, &message.payload).unwrap();
    let nanos = message.info().unwrap().published.unix_timestamp_nanos();
    Fired { record, headers, at: Time::from_millis(i64::try_from(nanos / 1_000_000).unwrap()) }
}

pub(crate) async fn next(fired: &mut (impl Stream<Item = Fired> + Unpin)) -> Fired {
    tokio::time::timeout(BOUND, fired.next()).await.expect("nothing is due").unwrap()
}

pub(crate) async fn assert_silence(fired: &mut (impl Stream<Item = Fired> + Unpin), until: Time) {
    let bound = until.since(now()) + SILENCE;
    assert!(tokio::time::timeout(bound, fired.next()).await.is_err(), "it is due although it had been due before");
}

pub(crate) fn orders_of(fired: &Fired) -> Vec<OrderId> {
    let ExpirationEvent::Due(due) = fired.record.clone().decode().unwrap().event;
    due.order_ids
}
