//! Single reads and writes that go together, against a real MongoDB.

mod backlog;
mod indexes;
mod outboxes;
mod servers;
mod snapshots;
mod stalls;
mod sweep;
mod unreadable;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::bus::EventRecord;
use common::clock::{SharedClock, SystemClock, Time};
use common::http::Problem;
use common::id::OrderId;
use common::store::{Applied, EventArchive, Indexes, Projection, StoreError, Table};
use futures::future::{join, join_all};
use mongodb::bson::doc;
use serde::{Deserialize, Serialize};

use crate::database::TestDatabase;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Page {
    #[serde(rename = "_id")]
    id: String,
    text: String,
}

fn page(id: u32, text: impl ToString) -> Page {
    Page { id: id.to_string(), text: text.to_string() }
}

/// An event of the aggregate `id` with nothing in it but its version.
fn event(id: u32, version: i64) -> EventRecord {
    EventRecord {
        id: format!("page:{id}:{version}"),
        domain: "pages".to_owned(),
        aggregate: id.to_string(),
        version,
        name: "page.written".to_owned(),
        schema: 1,
        at: Time::from_millis(1),
        actor: None,
        traceparent: None,
        payload: "{}".to_owned(),
    }
}

#[actix_web::test]
async fn each_insert_is_told_whether_it_was_the_first() {
    let database = TestDatabase::new().await;
    Indexes::of("pages").unique(doc! { "text": 1 }).ensure(&database.0).await.unwrap();
    let table = Table::new(&database.0, "pages");
    // Three want each id, and the text of the last ten is taken by the first ten.
    let wanted: Vec<Page> = (0..300).map(|nth| page(nth % 100, nth % 90)).collect();
    let stored = join_all(wanted.iter().map(|page| table.insert(page))).await;
    let mut firsts: BTreeMap<&str, u32> = BTreeMap::new();
    for (page, stored) in wanted.iter().zip(&stored) {
        assert!(matches!(stored, Ok(()) | Err(StoreError::Exists)), "{stored:?}");
        *firsts.entry(&page.id).or_default() += u32::from(stored.is_ok());
    }
    assert!(firsts.values().all(|count| *count <= 1), "{firsts:?}");
    let found = join_all((0..100).map(|id: u32| table.get::<Page>(id.to_string()))).await;
    let there = found.into_iter().map(|found| found.unwrap()).filter(Option::is_some).count();
    assert_eq!(there, firsts.values().filter(|count| **count == 1).count());
    // In whatever order they came, no page was refused for nothing: half of the ninety that fit is the least that can be.
    assert!(there >= 45, "{there}");
    database.leave().await;
}

#[actix_web::test]
async fn the_archive_gives_back_what_was_published_since_also_what_an_older_version_kept() {
    let database = TestDatabase::new().await;
    let archive = EventArchive::new(&database.0);
    EventArchive::indexes().ensure(&database.0).await.unwrap();
    assert_eq!(archive.newest().await.unwrap(), None);
    let at = Time::from_millis;
    let older = EventRecord { at: at(1_000), ..event(1, 1) };
    database.1.collection::<EventRecord>(EventArchive::COLLECTION).insert_one(&older).await.unwrap();
    // More than fits into one document.
    let large = EventRecord { payload: "x".repeat(3 << 20), ..event(3, 1) };
    let records = [event(2, 1), event(2, 2), large.clone(), EventRecord { version: 2, ..large }];
    archive.keep(records.iter(), at(2_000)).await.unwrap();
    archive.keep([].iter(), at(3_000)).await.unwrap();
    assert_eq!(archive.newest().await.unwrap(), Some(at(2_000)));
    let within = async |time| {
        let (mut published, mut events) = (archive.within(time).await.unwrap(), Vec::new());
        while let Some(more) = published.next_batch().await.unwrap() {
            events.extend(more);
        }
        events
    };
    assert_eq!(within(at(1_001)..=at(2_000)).await, records);
    assert_eq!(within(at(1_000)..=at(3_000)).await.first(), Some(&older));
    assert_eq!(within(at(1_000)..=at(3_000)).await.len(), 5);
    assert_eq!(within(at(2_001)..=at(3_000)).await, []);
    assert_eq!(within(at(1_000)..=at(1_999)).await, [older], "what comes meanwhile is no part of it");
}

#[actix_web::test]
async fn events_with_little_in_them_fill_documents_too() {
    let database = TestDatabase::new().await;
    let archive = EventArchive::new(&database.0);
    // Of more than 16 MiB in all, of which the payloads are a hundredth.
    let small = event(1, 1);
    archive.keep(std::iter::repeat_n(&small, 100_000), Time::from_millis(1)).await.unwrap();
    database.leave().await;
}

#[actix_web::test]
async fn of_many_who_compare_and_set_the_same_version_one_wins_and_each_knows() {
    let database = TestDatabase::new().await;
    let pages: Projection<Page> = Projection::new(&database.0, "pages");
    for version in 1..=5_i64 {
        let events: Vec<EventRecord> = (0..160).map(|nth| event(nth % 40, version)).collect();
        let applied = join_all(events.iter().enumerate().map(|(nth, event)| {
            let written = page(event.aggregate.parse().unwrap(), nth);
            let pages = &pages;
            async move { (written.clone(), pages.apply(event, |_| Some(written)).await) }
        }));
        let mut winners = BTreeMap::new();
        for (written, applied) in applied.await {
            match applied {
                Ok(Applied::Now(_)) => assert_eq!(winners.insert(written.id.clone(), written), None, "two winners"),
                // Who has read the version before the winner's write loses the comparison, who read it later knows.
                Ok(Applied::Before) => {}
                Err(error) => assert!(error.to_string().contains("changed meanwhile"), "{error}"),
            }
        }
        assert_eq!(winners.len(), 40);
        for (id, winner) in winners {
            let found = pages.get(&id).await.unwrap().unwrap();
            assert_eq!((found.version, found.value), (version, winner));
        }
    }
    database.leave().await;
}

#[actix_web::test]
async fn many_large_writes_are_more_than_one_command() {
    let database = TestDatabase::new().await;
    let pages: Projection<Page> = Projection::new(&database.0, "pages");
    let long = &"x".repeat(400 * 1024);
    let events: Vec<EventRecord> = (0..30).map(|id| event(id, 1)).collect();
    let applied = join_all(events.iter().zip(0..).map(|(event, id)| pages.apply(event, move |_| Some(page(id, long)))));
    for applied in applied.await {
        assert!(matches!(applied, Ok(Applied::Now(_))), "{applied:?}");
    }
    for id in 0..30_u32 {
        assert!(pages.get(&id.to_string()).await.unwrap().is_some());
    }
    database.leave().await;
}

#[actix_web::test]
async fn what_was_just_made_is_waited_for_and_not_said_to_be_missing() {
    let database = TestDatabase::new().await;
    let pages: Projection<Page> = Projection::new(&database.0, "pages");
    let clock: SharedClock = Arc::new(SystemClock);
    let id = OrderId::generate(clock.now()).uuid();
    let first = EventRecord { aggregate: id.to_string(), ..event(0, 1) };
    let told = Page { id: id.to_string(), text: "told".to_owned() };
    let (found, applied) = join(pages.get_soon(id, &clock), pages.apply(&first, |_| Some(told.clone()))).await;
    assert_eq!((found.unwrap().unwrap().value, applied.unwrap()), (told.clone(), Applied::Now(told)));
    let unheard = OrderId::generate(clock.now()).uuid();
    let refused = pages.get_soon(unheard, &clock).await.err().map(Problem::from).unwrap();
    assert_eq!(refused.status(), 503, "a client may try again");
    let old = OrderId::generate(Time::from_millis(0)).uuid();
    assert!(pages.get_soon(old, &clock).await.unwrap().is_none());
    database.leave().await;
}
