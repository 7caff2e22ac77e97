//! The worker of parked events: replicas share the work, order holds, and what a killed process had claimed is handled.

use std::collections::{BTreeMap, BTreeSet};
use std::future::{Ready, ready};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bson::doc;
use common::bus::{DeadLetter, DeadLetters, EventRecord, ListenError, ParkedEvents, Replayed};
use common::clock::SystemClock;
use tokio::sync::mpsc::unbounded_channel;

use super::{BOUND, Broker, aggregate, next, now, until};

const AGGREGATES: usize = 200;

/// Who handles what at the moment, and what was handled, in its order.
#[derive(Default)]
struct Watch {
    at_work: BTreeSet<String>,
    overlaps: usize,
    handled: BTreeMap<String, Vec<i64>>,
    by: BTreeSet<&'static str>,
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_share_parked_events_and_keep_the_order_of_each_aggregate() {
    let broker = Broker::new().await;
    let over = Arc::new(AtomicBool::new(false));
    let watch = Arc::new(Mutex::new(Watch::default()));
    let hear = |replica: &'static str| {
        let (over, watch) = (over.clone(), watch.clone());
        move |record: EventRecord| {
            let (over, watch) = (over.clone(), watch.clone());
            async move {
                if !over.load(Ordering::SeqCst) {
                    return Err(ListenError::transient("not yet"));
                }
                let EventRecord { aggregate, version, .. } = record;
                let free = watch.lock().unwrap().at_work.insert(aggregate.clone());
                // Whoever else had it would take it in this time.
                tokio::time::sleep(Duration::from_millis(20)).await;
                let mut watch = watch.lock().unwrap();
                watch.overlaps += usize::from(!free);
                watch.at_work.remove(&aggregate);
                watch.handled.entry(aggregate).or_default().push(version);
                watch.by.insert(replica);
                Ok(())
            }
        }
    };
    let aggregates: Vec<String> = (0..AGGREGATES).map(|_| aggregate()).collect();
    for version in [2, 1, 3] {
        let events: Vec<(&str, i64)> = aggregates.iter().map(|id| (id.as_str(), version)).collect();
        broker.publish_versions(&events).await;
    }
    let first = broker.run(hear("first")).await;
    until("all are parked", BOUND, async || broker.parked().await.len() == 3 * AGGREGATES).await;
    first.stop().await;
    // They are due at one time, as after a restart.
    let (first, second) = (broker.run(hear("first")).await, broker.run(hear("second")).await);
    over.store(true, Ordering::SeqCst);
    until("nothing is parked", 4 * BOUND, async || broker.parked().await.is_empty()).await;
    first.stop().await;
    second.stop().await;
    let watch = watch.lock().unwrap();
    assert_eq!(watch.overlaps, 0, "an aggregate was in two hands");
    assert_eq!(watch.handled.values().map(Vec::len).sum::<usize>(), 3 * AGGREGATES, "each is handled once");
    assert_eq!(watch.by.len(), 2, "both have worked");
}

/// What a handler answers whose cause to fail may be over.
fn unless_failing(over: &AtomicBool) -> Result<(), ListenError> {
    if over.load(Ordering::SeqCst) { Ok(()) } else { Err(ListenError::transient("not yet")) }
}

/// A handler that fails until its cause is over.
fn fails_until(over: &Arc<AtomicBool>) -> impl Fn(EventRecord) -> Ready<Result<(), ListenError>> + Clone + use<> {
    let over = over.clone();
    move |_| ready(unless_failing(&over))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_process_had_claimed_is_handled_when_the_claim_is_over() {
    let broker = Broker::new().await;
    let over = Arc::new(AtomicBool::new(false));
    let (tell, mut told) = unbounded_channel();
    let is_over = over.clone();
    let hear = move |record: EventRecord| {
        let answer = unless_failing(&is_over);
        if answer.is_ok() {
            tell.send(record.aggregate).unwrap();
        }
        async { answer }
    };
    let claimed = broker.publish().await;
    let running = broker.run(hear.clone()).await;
    until("it is parked", BOUND, async || broker.parked().await.len() == 1).await;
    running.stop().await;
    let until_then = now() + Duration::from_secs(5);
    let kill = doc! { "$set": { "claimedUntil": until_then, "claim": "of a process that was killed" } };
    broker.parked_events().await.update_one(doc! { "_id": { "$gt": "" } }, kill).await.unwrap();
    over.store(true, Ordering::SeqCst);
    let running = broker.run(hear).await;
    assert_eq!(next(&mut told).await, claimed);
    assert!(now() >= until_then, "while the claim lasts, nobody else may try");
    until("nothing is parked", BOUND, async || broker.parked().await.is_empty()).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_replayed_in_bulk_and_in_the_order_of_their_aggregates() {
    let broker = Broker::new().await;
    let mended = Arc::new(AtomicBool::new(false));
    let handled = Arc::new(Mutex::new(BTreeMap::<String, Vec<i64>>::new()));
    let (is_mended, all) = (mended.clone(), handled.clone());
    let running = broker
        .run(move |record: EventRecord| {
            let mended = is_mended.load(Ordering::SeqCst);
            if mended {
                all.lock().unwrap().entry(record.aggregate).or_default().push(record.version);
            }
            async move { if mended { Ok(()) } else { Err(ListenError::permanent("a fault of this build")) } }
        })
        .await;
    let aggregates: Vec<String> = (0..AGGREGATES).map(|_| aggregate()).collect();
    for version in 1..=3 {
        let events: Vec<(&str, i64)> = aggregates.iter().map(|id| (id.as_str(), version)).collect();
        broker.publish_versions(&events).await;
    }
    let database = broker.database().await;
    let letters = DeadLetters::new(&database.clone().into(), Arc::new(SystemClock));
    let parked = ParkedEvents::new(&database.clone().into(), Arc::new(SystemClock));
    until("all are dead letters", BOUND, async || letters.count().await.unwrap() == 3 * AGGREGATES as u64).await;

    let none = letters.replay_all(Some("orders"), &parked).await.unwrap();
    assert_eq!(none, Replayed { moved: 0, more: false });
    letters.replay_all(None, &parked).await.unwrap();
    let again = async || letters.count().await.unwrap() == 3 * AGGREGATES as u64 && broker.parked().await.is_empty();
    until("what fails again is a dead letter again", 2 * BOUND, again).await;

    mended.store(true, Ordering::SeqCst);
    let replayed = letters.replay_all(Some("expiration"), &parked).await.unwrap();
    assert_eq!(replayed, Replayed { moved: 3 * AGGREGATES, more: false });
    until("nothing is parked", 2 * BOUND, async || broker.parked().await.is_empty()).await;
    assert_eq!(letters.count().await.unwrap(), 0);
    running.stop().await;
    let handled = handled.lock().unwrap();
    assert_eq!(handled.len(), AGGREGATES);
    let in_order = handled.values().filter(|versions| versions.as_slice() == [1, 2, 3]).count();
    assert_eq!(in_order, AGGREGATES);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_takes_over_what_a_worker_is_about_to_forget() {
    let broker = Broker::new().await;
    let refuse = |_: EventRecord| async { Err(ListenError::permanent("never")) };
    broker.publish().await;
    let running = broker.run(refuse).await;
    until("it is a dead letter", BOUND, async || broker.dead_letters().await.len() == 1).await;
    running.stop().await;
    let database = broker.database().await;
    let letters = DeadLetters::new(&database.clone().into(), Arc::new(SystemClock));
    let parked = ParkedEvents::new(&database.clone().into(), Arc::new(SystemClock));
    let letter = broker.dead_letters().await.remove(0);
    letters.replay_all(None, &parked).await.unwrap();
    // A worker has claimed it, has given it up and kept its letter, and has not forgotten it yet.
    let claim = doc! { "$set": { "claimedUntil": now() + BOUND, "claim": "of the worker", "attempts": 3_i64 } };
    broker.parked_events().await.update_one(doc! { "_id": &letter.id }, claim).await.unwrap();
    database.collection::<DeadLetter>(DeadLetters::COLLECTION).insert_one(&letter).await.unwrap();

    let replayed = letters.replay_all(None, &parked).await.unwrap();
    assert_eq!(replayed, Replayed { moved: 1, more: false });
    let forgotten = doc! { "_id": &letter.id, "claim": "of the worker" };
    broker.parked_events().await.delete_many(forgotten).await.unwrap();
    let left: Vec<(String, i64)> = broker.parked().await.into_iter().map(|event| (event.id, event.attempts)).collect();
    assert_eq!(left, [(letter.id, 0)], "it is parked, and counts its tries anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn parked_events_of_a_later_build_do_not_keep_the_others_waiting() {
    let broker = Broker::new().await;
    let over = Arc::new(AtomicBool::new(false));
    let hear = fails_until(&over);
    let running = broker.run(hear.clone()).await;
    let ids: Vec<String> = (0..AGGREGATES).map(|_| aggregate()).collect();
    broker.publish_versions(&ids.iter().map(|id| (id.as_str(), 1)).collect::<Vec<_>>()).await;
    until("all are parked", BOUND, async || broker.parked_count().await == AGGREGATES as u64).await;
    running.stop().await;
    // More than are claimed at a time cannot be read at all, and one waits for something that is not known here.
    let (broken, other) = (&ids[..100], &ids[100]);
    let all = broker.parked_events().await;
    let due_first = doc! { "$unset": { "subject": true }, "$set": { "dueAt": now() - Duration::from_secs(60) } };
    all.update_many(doc! { "aggregate": { "$in": broken } }, due_first).await.unwrap();
    all.update_one(doc! { "aggregate": other }, doc! { "$set": { "cause": "eclipse" } }).await.unwrap();

    over.store(true, Ordering::SeqCst);
    let running = broker.run(hear).await;
    let left = async || broker.parked_count().await == broken.len() as u64;
    until("those that can be read are handled", BOUND, left).await;
    running.stop().await;
    assert_eq!(all.count_documents(doc! { "aggregate": { "$in": broken } }).await.unwrap(), 100, "the others are kept");
}

/// More than two pieces of a replay.
const LETTERS: usize = 600;

#[tokio::test(flavor = "multi_thread")]
async fn letters_that_fail_for_ever_are_replayed_twice_at_once_and_none_is_lost() {
    let broker = Broker::new().await;
    let refuse = |_: EventRecord| async { Err(ListenError::permanent("never")) };
    let running = broker.run(refuse).await;
    let ids: Vec<String> = (0..LETTERS).map(|_| aggregate()).collect();
    broker.publish_versions(&ids.iter().map(|id| (id.as_str(), 1)).collect::<Vec<_>>()).await;
    let database = broker.database().await;
    let letters = DeadLetters::new(&database.clone().into(), Arc::new(SystemClock));
    let parked = ParkedEvents::new(&database.clone().into(), Arc::new(SystemClock));
    until("all are dead letters", BOUND, async || letters.count().await.unwrap() == LETTERS as u64).await;
    for _ in 0..3 {
        let replayed = tokio::join!(letters.replay_all(None, &parked), letters.replay_all(None, &parked));
        let moved = [replayed.0.unwrap().moved, replayed.1.unwrap().moved];
        assert!(moved.iter().all(|moved| *moved <= LETTERS), "a letter is moved once by a replay: {moved:?}");
        until("nothing is parked", 3 * BOUND, async || broker.parked().await.is_empty()).await;
        assert_eq!(letters.count().await.unwrap(), LETTERS as u64, "each is a letter again");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_was_made_anew_has_dead_letters_of_its_own() {
    let broker = Broker::new().await;
    let refuse = |_: EventRecord| async { Err(ListenError::permanent("never")) };
    for letters in 1..=2 {
        broker.publish().await;
        let running = broker.run(refuse).await;
        until("a dead letter more", BOUND, async || broker.dead_letters().await.len() == letters).await;
        running.stop().await;
        broker.jetstream.delete_stream(&broker.stream).await.unwrap();
        broker.bus.ensure_streams(1).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_process_whose_clock_was_ahead_has_parked_is_not_left_for_its_time() {
    let broker = Broker::new().await;
    let over = Arc::new(AtomicBool::new(false));
    let is_over = over.clone();
    let hear = move |record: EventRecord| {
        let early = ListenError::Early { seen: 0, found: record.version };
        let answer = if is_over.load(Ordering::SeqCst) { Ok(()) } else { Err(early) };
        async { answer }
    };
    let hour = 3_600_000;
    let ahead = broker.run_at(hour, hear.clone()).await;
    let right = broker.run(hear).await;
    broker.publish().await;
    until("it is parked", BOUND, async || broker.parked().await.len() == 1).await;
    let distant = doc! { "$set": { "dueAt": now() + Duration::from_secs(3_600) } };
    ahead.stop().await;
    broker.parked_events().await.update_one(doc! { "_id": { "$gt": "" } }, distant).await.unwrap();
    over.store(true, Ordering::SeqCst);
    until("nothing is parked", BOUND, async || broker.parked().await.is_empty()).await;
    right.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_event_waits_for_in_a_newer_build_is_kept_when_this_one_fails_too() {
    let broker = Broker::new().await;
    let over = Arc::new(AtomicBool::new(false));
    let hear = fails_until(&over);
    broker.publish().await;
    let running = broker.run(hear.clone()).await;
    until("it is parked", BOUND, async || broker.parked().await.len() == 1).await;
    running.stop().await;
    let parked = broker.parked_events().await;
    let newer = doc! { "$set": { "cause": "storm", "error": "it rains", "dueAt": now(), "attempts": 3_i64 } };
    parked.update_one(doc! { "_id": { "$gt": "" } }, newer).await.unwrap();
    let running = broker.run(hear).await;
    let tried =
        async || broker.parked().await.iter().any(|event| event.error.contains("not yet") && event.attempts > 3);
    until("it was tried", BOUND, tried).await;
    let causes: Vec<String> = broker.parked().await.iter().map(|event| event.cause.to_string()).collect();
    assert_eq!(causes, ["storm"]);
    over.store(true, Ordering::SeqCst);
    let due = doc! { "$set": { "dueAt": now() } };
    parked.update_one(doc! { "_id": { "$gt": "" } }, due).await.unwrap();
    until("it is handled", BOUND, async || broker.parked().await.is_empty()).await;
    running.stop().await;
}
