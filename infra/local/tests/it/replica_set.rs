//! A replica set of MongoDB servers, started for real.

use std::time::Duration;

use docket_local::ReplicaSet;
use mongodb::bson::{Document, doc};
use mongodb::options::{ClientOptions, ReadConcern, WriteConcern};
use mongodb::{Client, Collection};
use tokio::time::timeout;

use crate::options;

const MEMBERS: usize = 3;
const WRITES: i32 = 40;
/// A member that had just begun to read from the frozen one gives that up after 60 s (`oplogInitialFindMaxSeconds`) and 5 more
/// (`oplogNetworkTimeoutBufferSeconds`), and is needed for the majority.
const ELECTION: Duration = Duration::from_secs(90);
const TRY: Duration = Duration::from_secs(5);

async fn numbers(set: &ReplicaSet) -> Collection<Document> {
    let mut options = ClientOptions::parse(set.url()).await.unwrap();
    options.write_concern = Some(WriteConcern::majority());
    options.read_concern = Some(ReadConcern::majority());
    Client::with_options(options).unwrap().database("docket").collection("numbers")
}

/// Stores each number by a majority. What an election broke off, or a frozen member does not answer, is tried again, so each
/// is there once.
async fn store(numbers: &Collection<Document>, range: std::ops::Range<i32>) {
    for number in range {
        let stored = async {
            loop {
                match timeout(TRY, numbers.insert_one(doc! { "_id": number }).into_future()).await {
                    Ok(Ok(_)) => return,
                    Ok(Err(error)) if error.to_string().contains("E11000") => return,
                    Ok(Err(_)) | Err(_) => {}
                }
            }
        };
        timeout(ELECTION, stored).await.unwrap_or_else(|_| panic!("{number} is not stored"));
    }
}

#[tokio::test]
async fn a_write_by_a_majority_survives_the_kill_of_the_primary() {
    let folder = tempfile::tempdir().unwrap();
    let set = ReplicaSet::start(options(folder.path()), MEMBERS).await.unwrap();
    let numbers = numbers(&set).await;
    store(&numbers, 0..WRITES).await;
    let first = set.primary().await.unwrap();
    first.member.kill().await.unwrap();
    assert_eq!(numbers.count_documents(doc! {}).await.unwrap(), WRITES as u64, "the next primary has all of them");
    let second = set.primary_after(first.term).await.unwrap();
    assert_ne!(second.member.port(), first.member.port());
    store(&numbers, WRITES..2 * WRITES).await;

    first.member.start().await.unwrap();
    second.member.kill().await.unwrap();
    let third = set.primary_after(second.term).await.unwrap();
    assert_ne!(third.member.port(), second.member.port());
    assert_eq!(numbers.count_documents(doc! {}).await.unwrap(), 2 * WRITES as u64);
    set.stop().await;
}

#[tokio::test]
async fn a_primary_that_steps_down_or_freezes_is_followed_by_another() {
    let folder = tempfile::tempdir().unwrap();
    let set = ReplicaSet::start(options(folder.path()), MEMBERS).await.unwrap();
    let numbers = numbers(&set).await;
    store(&numbers, 0..1).await;
    let first = set.primary().await.unwrap();
    set.step_down().await.unwrap();
    let second = set.primary_after(first.term).await.unwrap();
    assert_ne!(second.member.port(), first.member.port());
    store(&numbers, 1..2).await;

    second.member.pause().await.unwrap();
    let third = set.primary_after(second.term).await.unwrap();
    assert_ne!(third.member.port(), second.member.port());
    store(&numbers, 2..3).await;
    second.member.resume().await.unwrap();
    assert_eq!(numbers.count_documents(doc! {}).await.unwrap(), 3);
    set.stop().await;
}
