//! A listener that is stopped, at a real broker.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::bus::EventRecord;
use common::service::Running;
use futures::StreamExt as _;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::{Broker, aggregate, next, now};

/// More than a listener takes at once, and no more than it is given ahead.
const EVENTS: usize = 300;

/// Which event was heard, and how long after it was published.
type Heard = (String, Duration);

/// Runs a listener that handles no event before the gate lets it.
async fn run(broker: &Broker, gate: Arc<Semaphore>, heard: UnboundedSender<Heard>) -> Running {
    let hear = move |record: EventRecord| {
        let (gate, heard) = (gate.clone(), heard.clone());
        async move {
            gate.acquire().await.unwrap().forget();
            heard.send((record.aggregate, now().since(record.at))).unwrap();
            Ok(())
        }
    };
    broker.run(hear).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_listener_was_given_is_not_kept_from_the_others_when_it_stops() {
    let broker = Broker::new().await;
    let (heard, mut told) = unbounded_channel();
    let gate = Arc::new(Semaphore::new(1));
    let first = run(&broker, gate.clone(), heard.clone()).await;
    let mut published = BTreeSet::new();
    for _ in 0..EVENTS {
        published.insert(broker.publish().await);
    }
    let mut seen = BTreeSet::from([next(&mut told).await.0]);

    let mut stopping = Box::pin(first.stop());
    let early = tokio::time::timeout(Duration::from_secs(1), &mut stopping).await;
    assert!(early.is_err(), "what was begun is finished first");
    gate.add_permits(2 * EVENTS);
    stopping.await;

    let second = run(&broker, gate, heard).await;
    while seen != published {
        // By far less than the time after which the broker gives an event to somebody else.
        seen.insert(next(&mut told).await.0);
    }
    second.stop().await;
}

/// How often the listener is replaced.
const TIMES: usize = 20;

/// An event that comes as late as this came again, as somebody was given it and did not handle it: a listener is never that far behind.
const KEPT_BACK: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_kept_from_the_others_however_often_a_listener_is_replaced() {
    let broker = Broker::new().await;
    let (heard, mut told) = unbounded_channel();
    let gate = Arc::new(Semaphore::new(Semaphore::MAX_PERMITS));
    let mut running = run(&broker, gate.clone(), heard.clone()).await;
    let done = AtomicBool::new(false);
    let publish = async {
        let mut published = BTreeSet::new();
        while !done.load(Ordering::Relaxed) {
            published.insert(broker.publish().await);
        }
        published
    };
    let replace = async {
        for _ in 0..TIMES {
            let next = run(&broker, gate.clone(), heard.clone()).await;
            std::mem::replace(&mut running, next).stop().await;
        }
        done.store(true, Ordering::Relaxed);
    };
    let (published, ()) = tokio::join!(publish, replace);
    let mut seen = BTreeSet::new();
    while seen != published {
        let (event, late) = next(&mut told).await;
        assert!(late < KEPT_BACK, "an event was heard after {late:?}");
        seen.insert(event);
    }
    running.stop().await;
}

/// More than a listener works on at a time, and no more than it takes ahead.
const MORE_THAN_IN_WORK: usize = 1_500;

/// Shorter than a try may take, so that nothing is tried again meanwhile, and than the broker's patience.
const A_WORD_WITHIN: Duration = Duration::from_secs(19);

/// Who waits in this process for room, or behind a slow event of its aggregate, must not be given to another replica too.
#[tokio::test(flavor = "multi_thread")]
async fn the_broker_hears_of_every_event_that_waits_in_the_process() {
    let broker = Broker::new().await;
    let mut answers = broker.jetstream.client().subscribe("$JS.ACK.>").await.unwrap();
    let aggregates: Vec<String> = (0..MORE_THAN_IN_WORK / 2).map(|_| aggregate()).collect();
    for version in [1, 2] {
        let events: Vec<(&str, i64)> = aggregates.iter().map(|aggregate| (aggregate.as_str(), version)).collect();
        for some in events.chunks(250) {
            broker.publish_versions(some).await;
        }
    }
    let gate = Arc::new(Semaphore::new(0));
    let (heard, _told) = unbounded_channel();
    let running = run(&broker, gate.clone(), heard).await;
    let mut with_a_word = BTreeSet::new();
    let words = async {
        while with_a_word.len() < MORE_THAN_IN_WORK {
            let answer = answers.next().await.unwrap();
            if answer.payload.as_ref() == b"+WPI" && answer.subject.contains(&broker.stream) {
                with_a_word.insert(answer.subject);
            }
        }
    };
    let all = tokio::time::timeout(A_WORD_WITHIN, words).await.is_ok();
    assert!(all, "the broker has heard of {} of {MORE_THAN_IN_WORK} events", with_a_word.len());
    gate.add_permits(4 * MORE_THAN_IN_WORK);
    running.stop().await;
}
