//! The relay's tasks do not wait for each other.

use std::time::Duration;

use common::bus::{Bus, Namespace};
use common::clock::{SharedClock, SystemClock};
use common::id::OrderId;
use common::store::{Aggregate as _, Aggregates, Indexes, Relay};
use futures::future::join_all;
use mongodb::Collection;
use mongodb::bson::{Document, doc};
use tokio_util::sync::CancellationToken;

use super::backlog::Deadline;
use super::servers::StallingWay;
use crate::database::TestDatabase;

/// Less than a stalled call takes until it is given up.
const BOUND: Duration = Duration::from_secs(5);
/// The sweep looks for what was forgotten for so long, every few seconds.
const SWEPT: Duration = Duration::from_secs(20);

async fn some_wait(documents: &Collection<Document>) -> bool {
    let waiting = doc! { "outbox.0": { "$exists": true } };
    documents.count_documents(waiting).hint(mongodb::options::Hint::Keys(doc! { "outbox.at": 1 })).await.unwrap() > 0
}

async fn until_none_waits(bound: Duration, documents: &Collection<Document>) {
    let empty = async {
        while some_wait(documents).await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(bound, empty).await.expect("the events leave the outboxes");
}

#[actix_web::test]
async fn a_stalled_find_of_the_sweep_delays_no_event_and_events_without_a_pause_delay_no_sweep() {
    // Nothing but the sweep asks for this.
    let mut way = StallingWay::stalling("outbox.at\0").await;
    let shared = TestDatabase::new().await;
    let name = shared.0.name().to_owned();
    let (database, documents) = (way.client.database(&name), shared.1.collection(Deadline::COLLECTION));
    let url = std::env::var("DOCKET_TEST_NATS_URL").expect("run `cargo xtask test`, or set DOCKET_TEST_NATS_URL");
    let bus = Bus::connect(&url, Namespace::new(&name)).await.unwrap();
    bus.ensure_streams(1).await.unwrap();
    let (clock, stop): (SharedClock, _) = (std::sync::Arc::new(SystemClock), CancellationToken::new());
    let (relay, work) = Relay::new("deadlines", &database, bus, clock.clone());
    let deadlines: Aggregates<Deadline> = Aggregates::new(&database, relay, clock.clone());
    Indexes::of(Deadline::COLLECTION).outbox().ensure(&database).await.unwrap();
    let store = async || {
        let deadline = Deadline { order: OrderId::generate(clock.now()), at: clock.now() };
        deadlines.insert(deadline.clone(), deadline.raised()).await.unwrap();
    };
    // What a process left that had no time to publish it.
    store().await;
    let left: Document = documents.find_one(doc! {}).await.unwrap().unwrap();
    let working = tokio::spawn(work.run(stop.clone()));
    until_none_waits(SWEPT, &documents).await;

    way.stall().await;
    store().await;
    until_none_waits(BOUND, &documents).await;
    way.flow();

    let mut forgotten = left;
    let event = forgotten.get_array_mut("outbox").unwrap()[0].as_document_mut().unwrap();
    event.insert("at", mongodb::bson::DateTime::from_millis(0));
    forgotten.insert("_id", "forgotten");
    documents.insert_one(&forgotten).await.unwrap();
    let old = doc! { "_id": "forgotten", "outbox.0": { "$exists": true } };
    let swept = async {
        while documents.count_documents(old.clone()).await.unwrap() > 0 {
            join_all((0..64).map(|_| store())).await;
        }
    };
    tokio::time::timeout(SWEPT, swept).await.expect("the sweep has its turn");
    stop.cancel();
    working.await.unwrap();
    shared.leave().await;
}
