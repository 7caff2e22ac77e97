//! How much waits in a document while the broker is away: none is handed to a relay that works here.

use std::sync::Arc;
use std::time::Duration;

use common::bus::{Bus, Namespace};
use common::clock::{Clock as _, SharedClock, SystemClock};
use common::events::inventory::InventoryChanged;
use common::events::{By as _, InventoryEvent, Raised};
use common::id::{OrderId, TicketId};
use common::store::{
    Aggregate, Aggregates, Applied, Change, ChangeError, EventArchive, Indexes, Projection, Relay, RelayWork,
    StoreError,
};
use common::telemetry::stopwatch;
use futures::TryStreamExt as _;
use mongodb::bson::{Bson, Document, doc};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::backlog::Deadline;
use super::{Page, event, page};
use crate::database::TestDatabase;

/// The counts of a listing. Its newest event says all.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Counts {
    pub(super) ticket_id: TicketId,
    pub(super) held: u32,
}

impl Aggregate for Counts {
    type Event = InventoryEvent;
    const KIND: &'static str = "inventory";
    const COLLECTION: &'static str = "counts";

    fn id(&self) -> String {
        self.ticket_id.to_string()
    }
}

impl Counts {
    pub(super) fn raised(&self) -> Raised<InventoryEvent> {
        let Self { ticket_id, held } = *self;
        let changed = InventoryChanged { ticket_id, capacity: 100_000, held, sold: 0, on_sale: true };
        InventoryEvent::from(changed).by_system()
    }

    fn one_more(&self) -> Change<Self> {
        let next = Self { held: self.held + 1, ..self.clone() };
        let raised = next.raised();
        Change::new(next, raised)
    }
}

/// The aggregates of one kind, and the relay to which they hand their events.
pub(super) async fn relayed<A: Aggregate>(
    database: &TestDatabase,
    clock: SharedClock,
) -> (Aggregates<A>, Relay, RelayWork) {
    let url = std::env::var("DOCKET_TEST_NATS_URL").expect("run `cargo xtask test`, or set DOCKET_TEST_NATS_URL");
    let bus = Bus::connect(&url, Namespace::new(database.0.name())).await.unwrap();
    bus.ensure_streams(1).await.unwrap();
    let (relay, work) = Relay::new("outboxes", &database.0, bus, clock.clone());
    Indexes::of(A::COLLECTION).outbox().ensure(&database.0).await.unwrap();
    (Aggregates::new(&database.0, relay.clone(), clock), relay, work)
}

/// Aggregates whose relay does nothing.
pub(super) async fn aggregates<A: Aggregate>(database: &TestDatabase) -> Aggregates<A> {
    relayed(database, Arc::new(SystemClock)).await.0
}

#[actix_web::test]
async fn an_aggregate_whose_newest_event_says_all_keeps_only_that() {
    let database = TestDatabase::new().await;
    let counts: Aggregates<Counts> = aggregates(&database).await;
    let documents = database.1.collection::<Document>(Counts::COLLECTION);
    let first = Counts { ticket_id: TicketId::generate(SystemClock.now()), held: 0 };
    let id = first.id();
    let mut current = counts.insert(first.clone(), first.raised()).await.unwrap();
    for _ in 0..200 {
        let change = current.value.one_more();
        current = counts.save(&current, change).await.unwrap();
    }
    let newest = async || {
        let stored = documents.find_one(doc! { "_id": &id }).await.unwrap().unwrap();
        let waiting: Vec<i64> = stored.get_array("outbox").unwrap().iter().map(version_of).collect();
        (waiting, stored.to_vec().unwrap().len())
    };
    let (waiting, size) = newest().await;
    assert_eq!(waiting, [201]);
    assert!(size < 2048, "{size} bytes");

    // As earlier builds left it, with all that had happened while the broker was away.
    let entry = documents.find_one(doc! { "_id": &id }).await.unwrap().unwrap().get_array("outbox").unwrap()[0].clone();
    let many: Vec<Bson> = std::iter::repeat_n(entry, 10_000).collect();
    documents.update_one(doc! { "_id": &id }, doc! { "$set": { "outbox": many } }).await.unwrap();
    let changed = counts.change(&id, |known| Ok::<_, StoreError>(Some(known.value.one_more())));
    let changed = tokio::time::timeout(Duration::from_secs(5), changed).await.expect("it is not read").unwrap();
    assert_eq!((changed.version, changed.value.held), (202, 201));
    assert_eq!(newest().await.0, [202]);
    database.leave().await;
}

#[actix_web::test]
async fn of_changes_that_come_soon_one_after_the_other_the_first_and_the_newest_are_published_before_a_stop() {
    let database = TestDatabase::new().await;
    let (counts, _relay, work) = relayed::<Counts>(&database, Arc::new(SystemClock)).await;
    let (stop, begun) = (CancellationToken::new(), stopwatch());
    let working = tokio::spawn(work.run(stop.clone()));
    let first = Counts { ticket_id: TicketId::generate(SystemClock.now()), held: 0 };
    let mut current = counts.insert(first.clone(), first.raised()).await.unwrap();
    let archive = database.1.collection::<Document>(EventArchive::COLLECTION);
    let told = async || {
        let bundles: Vec<Document> = archive.find(doc! {}).await.unwrap().try_collect().await.unwrap();
        let events = bundles.iter().flat_map(|bundle| bundle.get_array("events").unwrap());
        events.map(version_of).collect::<Vec<i64>>()
    };
    while told().await.is_empty() {
        tokio::task::yield_now().await;
    }
    for _ in 0..100 {
        let change = current.value.one_more();
        current = counts.save(&current, change).await.unwrap();
    }
    stop.cancel();
    working.await.unwrap();
    let told = told().await;
    assert_eq!((told.first(), told.last()), (Some(&1), Some(&101)));
    assert!(told.is_sorted() && told.len() as u128 <= 3 + begun.elapsed().as_millis() / 500, "{told:?}");
    let stored = database.1.collection::<Document>(Counts::COLLECTION).find_one(doc! {}).await.unwrap().unwrap();
    assert!(stored.get_array("outbox").unwrap().is_empty(), "{stored}");
    database.leave().await;
}

fn version_of(entry: &Bson) -> i64 {
    entry.as_document().unwrap().get_i64("version").unwrap()
}

#[actix_web::test]
async fn a_document_whose_outbox_is_full_takes_no_change_until_the_broker_has_taken_some() {
    let database = TestDatabase::new().await;
    let deadlines: Aggregates<Deadline> = aggregates(&database).await;
    let documents = database.1.collection::<Document>(Deadline::COLLECTION);
    let now = SystemClock.now();
    let deadline = Deadline { order: OrderId::generate(now), at: now };
    let id = deadline.id();
    deadlines.insert(deadline.clone(), deadline.raised()).await.unwrap();
    let again = || {
        deadlines.change(&id, |known| Ok::<_, StoreError>(Some(Change::new(known.value.clone(), known.value.raised()))))
    };
    again().await.unwrap();
    let entry = documents.find_one(doc! { "_id": &id }).await.unwrap().unwrap().get_array("outbox").unwrap()[0].clone();
    let waiting = async |count: usize| {
        let many: Vec<Bson> = std::iter::repeat_n(entry.clone(), count).collect();
        documents.update_one(doc! { "_id": &id }, doc! { "$set": { "outbox": many } }).await.unwrap();
    };
    waiting(999).await;
    assert_eq!(again().await.unwrap().version, 3);
    let refused = again().await.unwrap_err();
    assert!(matches!(&refused, ChangeError::Store(full @ StoreError::Full) if full.passes()), "{refused}");
    waiting(10).await;
    assert_eq!(again().await.unwrap().version, 4, "nothing was stored before");
    assert!(!deadlines.table().get::<Document>(&*id).await.unwrap().unwrap().contains_key("outbox"));
    database.leave().await;
}

#[actix_web::test]
async fn what_may_leave_versions_out_is_followed_by_its_newest_event_alone() {
    let database = TestDatabase::new().await;
    let pages: Projection<Page> = Projection::new(&database.0, "pages");
    let counted = |version| common::bus::EventRecord { domain: "inventory".to_owned(), ..event(1, version) };
    for refused in
        [pages.apply(&counted(1), |_| Some(page(1, "one"))).await.err(), pages.is_next(&counted(1)).await.err()]
    {
        assert!(refused.unwrap().to_string().contains("may leave versions out"));
    }
    assert_eq!(pages.replace(&counted(5), &page(1, "five")).await.unwrap(), Applied::Now(()));
    assert_eq!(pages.replace(&counted(3), &page(1, "three")).await.unwrap(), Applied::Before);
    assert_eq!(pages.replace(&counted(9), &page(1, "nine")).await.unwrap(), Applied::Now(()));
    assert_eq!(pages.get("1").await.unwrap().unwrap().value, page(1, "nine"));
    database.leave().await;
}

#[actix_web::test]
async fn what_a_later_build_wrote_is_neither_read_nor_overwritten() {
    let database = TestDatabase::new().await;
    let pages: Projection<Page> = Projection::new(&database.0, "pages");
    let documents = database.1.collection::<Document>("pages");
    let later = doc! { "_id": "1", "version": 4_i64, "schema": 2, "words": ["one"] };
    documents.insert_one(&later).await.unwrap();
    let counted = common::bus::EventRecord { domain: "inventory".to_owned(), ..event(1, 5) };
    let newer = |error: &str| error.contains("has schema 2, written by a later build");
    assert!(newer(&pages.get("1").await.unwrap_err().to_string()));
    assert!(newer(&pages.apply(&event(1, 5), |_| Some(page(1, "five"))).await.unwrap_err().to_string()));
    assert!(newer(&pages.replace(&counted, &page(1, "five")).await.unwrap_err().to_string()));
    assert_eq!(documents.find_one(doc! { "_id": "1" }).await.unwrap(), Some(later));
    database.leave().await;
}
