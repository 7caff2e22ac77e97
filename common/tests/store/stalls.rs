//! A database that does not answer: nobody waits for it without a limit.

use std::cell::Cell;
use std::future::ready;
use std::time::Duration;

use common::store::{PATIENCE, Projection, StoreError, Table};
use common::telemetry::stopwatch;
use futures::future::{BoxFuture, join_all};
use futures::{FutureExt, TryStreamExt};
use mongodb::bson::{Document, doc};

use super::servers::{OwnMongo, StallingWay};
use super::{Page, event, page};
use crate::database::TestDatabase;

/// Well before the driver finds out by itself that a server is gone.
const BOUND: Duration = PATIENCE.saturating_add(Duration::from_secs(2));

/// Longer than a database that is well needs for a call.
const SOON: Duration = Duration::from_secs(2);

type Answered = BoxFuture<'static, Result<(), StoreError>>;

#[actix_web::test]
async fn every_call_ends_in_time_and_says_that_it_may_work_later() {
    let mongo = OwnMongo::start().await;
    let database = mongo.database("pages");
    let (table, pages) = (Table::new(&database, "pages"), Projection::<Page>::new(&database, "pages"));
    table.insert(&page(1, "one")).await.unwrap();
    mongo.servers.mongod().unwrap().pause().await.unwrap();

    let lost = tokio::time::timeout(BOUND, table.insert(&page(2, "two"))).await.expect("it ends").unwrap_err();
    assert!(lost.passes(), "{lost}");

    let one = || doc! { "_id": "1" };
    let change = || doc! { "$set": { "text": "changed" } };
    let collection = || database.collection::<Page>("pages");
    let stages = [doc! { "$match": one() }];
    let (reads, first) = (table.clone(), event(3, 1));
    let calls: Vec<Answered> = vec![
        async move { reads.get::<Page>("1").await.map(drop) }.boxed(),
        async move { pages.apply(&first, |_| Some(page(3, "three"))).await.map(drop).map_err(|_| StoreError::Unheard) }
            .boxed(),
        {
            let c = collection();
            async move { c.find_one(one()).await.map(drop) }.boxed()
        },
        {
            let c = collection();
            async move { c.find(one()).await.map(drop) }.boxed()
        },
        {
            let c = collection();
            async move { c.find(one()).stream().await?.try_collect::<Vec<_>>().await.map(drop) }.boxed()
        },
        {
            let c = collection();
            async move { c.count(one(), Some(1)).await.map(drop) }.boxed()
        },
        {
            let c = collection();
            async move { c.estimated_count().await.map(drop) }.boxed()
        },
        {
            let c = collection();
            async move { c.aggregate::<Document>(stages, doc! { "_id": 1 }).await.map(drop) }.boxed()
        },
        {
            let c = collection();
            async move { c.insert_one(&page(4, "four")).await }.boxed()
        },
        {
            let c = collection();
            async move { c.put(one(), &page(1, "put")).await }.boxed()
        },
        {
            let c = collection();
            async move { c.update_one(one(), change()).await.map(drop) }.boxed()
        },
        {
            let c = collection();
            async move { c.update_many(one(), change()).await.map(drop) }.boxed()
        },
        {
            let c = collection();
            async move { c.upsert_and_get(one(), change()).await.map(drop) }.boxed()
        },
        {
            let c = collection();
            async move { c.delete_one(doc! { "_id": "none" }).await.map(drop) }.boxed()
        },
        {
            let d = database.clone();
            async move { d.run_command(doc! { "ping": 1 }).await.map(drop) }.boxed()
        },
    ];
    let answers = tokio::time::timeout(BOUND, join_all(calls)).await.expect("all of them end");
    for (nth, answer) in answers.into_iter().enumerate() {
        let error = answer.expect_err("nobody answered");
        assert!(error.passes(), "{nth}: {error}");
    }

    // What was given up has reached the server, and is done when it comes to itself.
    mongo.servers.mongod().unwrap().resume().await.unwrap();
    let stored = async { while collection().count(doc! { "_id": "2" }, None).await.unwrap_or(0) == 0 {} };
    tokio::time::timeout(Duration::from_secs(60), stored).await.expect("it lands late");
    mongo.stop().await;
}

#[actix_web::test]
async fn a_call_whose_connection_alone_is_stuck_ends_in_time() {
    let (mut way, shared) = (StallingWay::stalling("stuck").await, TestDatabase::new().await);
    let table = Table::new(&way.client.database(shared.0.name()), "pages");
    table.insert(&page(1, "one")).await.unwrap();
    way.begin_to_stall();
    let insert = tokio::time::timeout(BOUND, async { table.insert(&page(2, "stuck")).await });
    let (answer, ()) = tokio::join!(insert, way.stall());
    let lost = answer.expect("it ends").unwrap_err();
    assert!(lost.passes(), "{lost}");
    table.get::<Page>("1").await.unwrap().expect("other connections work");
    shared.leave().await;
}

#[actix_web::test]
async fn calls_that_were_given_up_while_they_waited_for_a_connection_hold_up_nobody() {
    let mongo = OwnMongo::start().await;
    let database = mongo.database("pages");
    let pages = || database.collection::<Page>("pages");
    pages().insert_one(&page(1, "one")).await.unwrap();

    mongo.slow_finds(Some(Duration::from_secs(3))).await;
    let crowd = (0..1_500).map(|_| async { pages().find_one(doc! { "_id": "1" }).await });
    let answered = join_all(crowd).await.into_iter().filter(Result::is_ok).count();
    assert!((1..750).contains(&answered), "most gave up, as there are more than have a turn in time: {answered}");
    mongo.slow_finds(None).await;

    for nth in 0..20 {
        let found = tokio::time::timeout(SOON, pages().find_one(doc! { "_id": "1" })).await;
        found.unwrap_or_else(|_| panic!("the {nth}th call waits behind those that were given up")).unwrap();
    }
    mongo.stop().await;
}

#[actix_web::test]
async fn a_database_that_stood_still_answers_all_who_come_when_it_goes_on() {
    let mongo = OwnMongo::start().await;
    // The driver's own look at the server is put off: it would notice, and throw all connections away.
    let database = mongo.database_by("heartbeatFrequencyMS=300000", "pages").await;
    let pages = || database.collection::<Page>("pages");
    pages().insert_one(&page(1, "one")).await.unwrap();
    let one = || async { pages().find_one(doc! { "_id": "1" }).await };
    let crowd = join_all((0..300).map(|_| async {
        loop {
            let _ = one().await;
        }
    }));
    let watched = async {
        mongo.servers.mongod().unwrap().pause().await.unwrap();
        let paused = stopwatch();
        // Longer than a call may take, and those that had their turn after it.
        while paused.elapsed() < PATIENCE + PATIENCE / 2 {
            one().await.unwrap_err();
        }
        mongo.servers.mongod().unwrap().resume().await.unwrap();
        for nth in 0..20 {
            let found = tokio::time::timeout(SOON, one()).await;
            found.unwrap_or_else(|_| panic!("the {nth}th call waits behind those that were given up")).unwrap();
        }
    };
    tokio::select! {
        () = watched => {}
        _ = crowd => {}
    }
    mongo.stop().await;
}

#[actix_web::test]
async fn a_long_list_waits_for_its_turn_a_few_times_and_not_for_each_row() {
    let mongo = OwnMongo::start().await;
    let database = mongo.database_by("maxPoolSize=1", "pages").await;
    let pages = || database.collection::<Page>("pages");
    pages().insert_many(&(0..1_000).map(|nth| page(nth, "one of many")).collect::<Vec<_>>()).await.unwrap();
    mongo.slow_finds(Some(Duration::from_millis(50))).await;
    let crowd = join_all((0..3).map(|_| async {
        loop {
            pages().find_one(doc! { "_id": "1" }).await.unwrap();
        }
    }));
    let listed = async { pages().find(doc! {}).stream().await.unwrap().try_collect::<Vec<_>>().await.unwrap().len() };
    tokio::select! {
        rows = tokio::time::timeout(Duration::from_secs(10), listed) => assert_eq!(rows, Ok(1_000)),
        _ = crowd => {}
    }
    mongo.stop().await;
}

/// One turn of it is a few documents then: the whole may take longer than a call.
#[actix_web::test]
async fn a_list_of_large_documents_comes_to_its_end_however_slow_they_come() {
    let mongo = OwnMongo::start().await;
    let pages = mongo.database("pages").collection::<Page>("pages");
    // MongoDB gives 16 MiB at a time.
    let large = "x".repeat(1_000_000);
    for nth in 0..96 {
        pages.insert_one(&page(nth, &large)).await.unwrap();
    }
    mongo.slow("getMore", Some(Duration::from_secs(2))).await;
    let listed: Vec<Page> = pages.find(doc! {}).stream().await.unwrap().try_collect().await.unwrap();
    assert_eq!(listed.len(), 96);
    mongo.stop().await;
}

#[actix_web::test]
async fn a_long_list_lets_others_go_on_meanwhile() {
    let mongo = OwnMongo::start().await;
    let pages = mongo.database("pages").collection::<Page>("pages");
    pages.insert_many(&(0..10_000).map(|nth| page(nth, "one of many")).collect::<Vec<_>>()).await.unwrap();
    let (at_a_time, most) = (Cell::new(0_usize), Cell::new(0_usize));
    let others = async {
        loop {
            at_a_time.set(0);
            tokio::task::yield_now().await;
        }
    };
    let listed = pages.find(doc! {}).stream().await.unwrap().try_for_each(|_| {
        at_a_time.update(|rows| rows + 1);
        most.set(most.get().max(at_a_time.get()));
        ready(Ok(()))
    });
    tokio::select! {
        biased;
        listed = listed => listed.unwrap(),
        _ = others => {}
    }
    assert!(most.get() <= 200, "{} rows were read while nobody else had a turn", most.get());
    mongo.stop().await;
}
