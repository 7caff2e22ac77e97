//! A document that cannot be read does not keep the others from being listed.

use common::clock::{Clock as _, SystemClock};
use common::id::TicketId;
use common::store::{Aggregate as _, Aggregates, Indexes, StoreError};
use futures::TryStreamExt as _;
use mongodb::bson::{Document, doc};
use serde::Deserialize;

use super::outboxes::{Counts, aggregates};
use super::{Page, page};
use crate::database::TestDatabase;

#[actix_web::test]
async fn aggregates_of_a_later_build_and_broken_ones_are_passed_over_in_a_page() {
    let database = TestDatabase::new().await;
    let counts: Aggregates<Counts> = aggregates(&database).await;
    Indexes::of(Counts::COLLECTION).on(doc! { "held": 1 }).ensure(&database.0).await.unwrap();
    for held in 0..8 {
        let one = Counts { ticket_id: TicketId::generate(SystemClock.now()), held };
        counts.insert(one.clone(), one.raised()).await.unwrap();
    }
    let documents = database.1.collection::<Document>(Counts::COLLECTION);
    let later = doc! { "$set": { "schema": 99 } };
    documents.update_many(doc! { "held": { "$in": [0, 1, 2, 5] } }, later).await.unwrap();
    documents.update_one(doc! { "held": 3 }, doc! { "$unset": { "ticketId": true } }).await.unwrap();

    let any = doc! { "held": { "$gte": 0 } };
    let page = async |limit| {
        let found = counts.find(any.clone(), doc! { "held": 1 }, limit).await.unwrap();
        found.into_iter().map(|found| found.value.held).collect::<Vec<_>>()
    };
    assert_eq!(page(2).await, [4, 6], "a page is filled with what stands behind them");
    assert_eq!(page(20).await, [4, 6, 7]);
    let one = counts.find_one(doc! { "held": 5 }).await.map(|found| found.map(|found| found.version));
    assert!(matches!(one, Err(StoreError::Newer { stored: 99, .. })), "it is not said to be missing: {one:?}");
    let all = counts.find_all(any.clone(), doc! { "held": 1 }, 20).await.map(|found| found.len());
    assert!(matches!(all, Err(StoreError::Newer { .. })), "{all:?}");
    database.leave().await;
}

#[actix_web::test]
async fn documents_that_do_not_fit_their_type_are_passed_over() {
    let database = TestDatabase::new().await;
    let documents = database.1.collection::<Document>("pages");
    let broken = (100..500).map(|id: i32| doc! { "_id": id.to_string(), "text": id });
    documents.insert_many(broken).await.unwrap();
    let pages = database.0.collection::<Page>("pages");
    pages.insert_many(&[page(600, "a"), page(601, "b"), page(602, "c")]).await.unwrap();
    let found = pages.find(doc! {}).sort(doc! { "_id": 1 }).limit(2).await.unwrap();
    assert_eq!(found, [page(600, "a"), page(601, "b")]);
    let all: Vec<Page> = pages.find(doc! {}).stream().await.unwrap().try_collect().await.unwrap();
    assert_eq!(all.len(), 3, "a job goes on behind them");
    let whole = pages.find(doc! {}).whole();
    assert!(matches!(whole.await, Err(StoreError::Codec(_))), "a part is not taken for the whole");
    let made = pages.aggregate::<Page>([doc! { "$match": { "_id": { "$gte": "499" } } }], None).await.unwrap();
    assert_eq!(made.len(), 3, "nor does one keep sums from being shown");
    database.leave().await;
}

/// A part of a count, as a job reads it.
#[derive(Debug, PartialEq, Deserialize)]
struct Held {
    held: i32,
}

#[actix_web::test]
async fn a_part_of_an_aggregate_is_read_by_its_schema_however_it_is_looked_for() {
    let database = TestDatabase::new().await;
    let counts: Aggregates<Counts> = aggregates(&database).await;
    Indexes::of(Counts::COLLECTION).on(doc! { "held": 1 }).ensure(&database.0).await.unwrap();
    let mut ids = Vec::new();
    for held in 0..3 {
        let one = Counts { ticket_id: TicketId::generate(SystemClock.now()), held };
        ids.push(one.ticket_id);
        counts.insert(one.clone(), one.raised()).await.unwrap();
    }
    let documents = database.1.collection::<Document>(Counts::COLLECTION);
    documents.update_one(doc! { "held": 1 }, doc! { "$set": { "schema": 99 } }).await.unwrap();
    let any = || doc! { "held": { "$gte": 0 } };
    let parts = counts.states::<Held>();
    let shown = parts.find(any()).projection(doc! { "held": 1 }).sort(doc! { "held": 1 }).await.unwrap();
    assert_eq!(shown, [Held { held: 0 }, Held { held: 2 }], "the fields that are asked for do not say the schema");
    let streamed: Vec<Held> =
        parts.find(any()).projection(doc! { "held": 1 }).stream().await.unwrap().try_collect().await.unwrap();
    assert_eq!(streamed.len(), 2);
    assert!(matches!(parts.find_one(doc! { "held": 1 }).await, Err(StoreError::Newer { .. })));
    let beside = counts.collection().beside_states::<Held>();
    assert_eq!(beside.find(any()).await.unwrap().len(), 3, "what stands beside a state is of no schema");
    let work = counts.find_work(any(), doc! { "held": 1 }, 1).await.unwrap();
    assert_eq!(work.iter().map(|found| found.value.held).collect::<Vec<_>>(), [0]);
    let work = counts.find_work(doc! { "held": { "$gte": 1 } }, doc! { "held": 1 }, 1).await.unwrap();
    assert_eq!(work.iter().map(|found| found.value.held).collect::<Vec<_>>(), [2]);
    database.leave().await;
}
