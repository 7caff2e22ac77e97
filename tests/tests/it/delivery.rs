//! The database is away while events come: none of them counts as a failure, and all are handled soon after it is back.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bson::{Document, doc};
use common::bus::{Bus, EventRecord, ListenError, Namespace, ParkedEvents, Received};
use common::clock::{Clock as _, SystemClock};
use common::events::expiration::ExpirationDue;
use common::events::{DomainEvent as _, ExpirationEvent, Raised};
use common::id::OrderId;
use common::service::{Running, Service, start};
use common::settings::Settings;
use docket_tests::{FaultProxy, Way, eventually, namespace, pause, servers};
use mongodb::{Client, Database};
use secrecy::SecretString;

const OUTAGE: Duration = Duration::from_secs(20);
const EVENTS: usize = 1_100;

/// How soon all are handled after the outage, on a machine that is busy with other tests.
const SOON: u64 = 30;

const HEARD: &str = "heard";

struct Handled(common::store::Collection<Document>);

/// Writes each event down, as a projection does.
async fn write_down(handled: Arc<Handled>, received: Received<ExpirationEvent>) -> Result<(), ListenError> {
    let known = doc! { "_id": received.record.aggregate };
    let times = doc! { "$inc": { "times": 1 } };
    handled.0.upsert_and_get(known, times).await.map(drop).map_err(ListenError::transient)
}

/// A namespace of its own, in which a service reaches its database through a proxy.
struct Shop {
    bus: Bus,
    database: Database,
    proxy: FaultProxy,
    settings: Settings,
}

impl Shop {
    async fn new() -> Self {
        let (servers, name) = (servers(), namespace());
        let (namespace, client) = (Namespace::new(&name), Client::with_uri_str(&servers.mongodb_uri).await.unwrap());
        let address = servers.mongodb_uri.trim_start_matches("mongodb://").split(['/', '?']).next().unwrap();
        let proxy = FaultProxy::before(address.parse().unwrap()).await;
        let uri = format!("mongodb://127.0.0.1:{}/?directConnection=true", proxy.port());
        let settings = Settings {
            mongodb_uri: Some(SecretString::from(uri)),
            nats_url: Some(SecretString::from(servers.nats_url.clone())),
            namespace: name,
            ..Settings::default_for_tests()
        };
        let database = client.database(&namespace.database("orders"));
        let bus = Bus::connect(&servers.nats_url, namespace).await.unwrap();
        bus.ensure_streams(1).await.unwrap();
        Self { bus, database, proxy, settings }
    }

    async fn run(&self) -> Running {
        let open = async |ctx: common::service::Context| Ok(Handled(ctx.database().collection(HEARD)));
        start(vec![Service::new("orders", open).listen(write_down).build()], self.settings.clone()).await.unwrap()
    }

    async fn publish(&self, count: usize) -> BTreeSet<String> {
        let now = SystemClock.now();
        let records: Vec<EventRecord> = (0..count)
            .map(|_| {
                let order_id = OrderId::generate(now);
                let event = ExpirationDue { order_ids: vec![order_id], expires_at: now }.into();
                let raised = Raised::<ExpirationEvent> { event, actor: None, traceparent: None };
                EventRecord::new(ExpirationEvent::DOMAIN, &order_id.to_string(), 1, &raised, now).unwrap()
            })
            .collect();
        let published = self.bus.publish_all(&records.iter().collect::<Vec<_>>()).await;
        published.into_iter().for_each(Result::unwrap);
        records.into_iter().map(|record| record.aggregate).collect()
    }

    async fn count(&self, collection: &str) -> usize {
        let all = self.database.collection::<Document>(collection).estimated_document_count().await.unwrap();
        usize::try_from(all).unwrap()
    }

    async fn goes_through(&self, way: Way) {
        let running = self.run().await;
        self.publish(1).await;
        eventually("the first is handled", SOON, || async { (self.count(HEARD).await == 1).then_some(()) }).await;
        self.proxy.set(way);
        self.publish(EVENTS).await;
        pause(OUTAGE).await;
        self.proxy.set(Way::Open);
        eventually("all are handled", SOON, || async { (self.count(HEARD).await == 1 + EVENTS).then_some(()) }).await;
        eventually("nothing is parked", SOON, || async {
            (self.count(ParkedEvents::COLLECTION).await == 0).then_some(())
        })
        .await;
        assert_eq!(self.count(common::bus::DeadLetters::COLLECTION).await, 0);
        self.publish(1).await;
        eventually("the next is heard", SOON, || async { (self.count(HEARD).await == 2 + EVENTS).then_some(()) }).await;
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_cut_off_makes_no_dead_letters_and_all_is_handled_soon_after() {
    Shop::new().await.goes_through(Way::Cut).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_stalls_makes_no_dead_letters_and_all_is_handled_soon_after() {
    Shop::new().await.goes_through(Way::Stalled).await;
}
