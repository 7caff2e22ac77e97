//! A snapshot beside the events that it stands for.

use common::bus::{EventRecord, ListenError};
use common::store::{Applied, Projection};
use mongodb::bson::{Document, doc};
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use super::{Page, event, page};
use crate::database::TestDatabase;

fn snapshot(version: i64) -> EventRecord {
    EventRecord { domain: "orders".to_owned(), name: "order.snapshot".to_owned(), ..event(1, version) }
}

fn single(version: i64) -> EventRecord {
    EventRecord { name: "order.completed".to_owned(), ..snapshot(version) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_overtakes_what_is_missing_and_nothing_old_changes_it() {
    let database = TestDatabase::new().await;
    let pages: Projection<Page> = Projection::new(&database.0, "pages");
    let apply = async |record: &EventRecord, text: &str| pages.apply(record, |_| Some(page(1, text))).await;
    assert!(matches!(apply(&single(3), "third").await, Err(ListenError::Early { .. })));
    assert!(matches!(apply(&snapshot(5), "fifth").await, Ok(Applied::Now(_))));
    for old in [snapshot(5), snapshot(2), single(1), single(3), single(5)] {
        assert!(matches!(apply(&old, "old").await, Ok(Applied::Before)), "{old:?}");
    }
    assert!(matches!(apply(&single(6), "sixth").await, Ok(Applied::Now(_))));
    assert!(matches!(apply(&snapshot(9), "ninth").await, Ok(Applied::Now(_))));
    let known = pages.get(1).await.unwrap().unwrap();
    assert_eq!((known.version, known.value.text.as_str()), (9, "ninth"));
    database.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_meets_an_older_state_which_was_stored_meanwhile_comes_again() {
    let database = TestDatabase::new().await;
    let pages: Projection<Page> = Projection::new(&database.0, "pages");
    let stored = doc! { "_id": "1", "text": "first", "version": 1_i64, "schema": 1 };
    let documents = database.1.collection::<Document>("pages");
    let newer = snapshot(5);
    // Another replica stores the first event after this one has seen that there is nothing.
    let meanwhile = pages.apply(&newer, |known| {
        assert_eq!(known, None);
        block_in_place(|| Handle::current().block_on(async { documents.insert_one(&stored).await }).unwrap());
        Some(page(1, "fifth"))
    });
    let failed = meanwhile.await;
    assert!(matches!(failed, Err(ListenError::Transient(_))), "{failed:?}");
    let again = pages.apply(&newer, |_| Some(page(1, "fifth"))).await;
    assert!(matches!(again, Ok(Applied::Now(_))), "{again:?}");
    assert_eq!(pages.get(1).await.unwrap().unwrap().version, 5);
    database.leave().await;
}
