//! What has to wait takes no room from what can be handled, at real servers.

use std::collections::BTreeSet;
use std::future::{Ready, ready};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, pull};
use common::bus::{Cause, EventRecord, ListenError, Namespace, Received};
use common::events::{DecodeError, DomainEvent, EventKind, EventSpec, ExpirationEvent};
use common::service::{Service, start};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::{BOUND, Broker, aggregate, next, until};

/// Far more than a listener is given at a time.
const WAITING: usize = 10_000;

/// How late an event may be heard on a machine that is busy with other tests.
const SOON: Duration = Duration::from_secs(3);

/// How long a test waits for what takes its time on a busy machine.
const LONG: Duration = Duration::from_secs(600);

/// The aggregates whose first events were handled.
type Seen = Arc<Mutex<BTreeSet<String>>>;

/// Handles an event by telling of it.
fn heard_by(tell: &UnboundedSender<String>, record: EventRecord) -> Ready<Result<(), ListenError>> {
    tell.send(record.aggregate).unwrap();
    ready(Ok(()))
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_events_that_must_wait_do_not_delay_the_others() {
    let broker = Broker::new().await;
    let waiting: Vec<String> = (0..WAITING).map(|_| aggregate()).collect();
    // Half of them come before their predecessors, the others fail by another server's fault.
    let versions = waiting.iter().enumerate().map(|(nth, id)| (id.as_str(), if nth % 2 == 0 { 2 } else { 7 }));
    broker.publish_versions(&versions.collect::<Vec<_>>()).await;

    let (tell, mut told) = unbounded_channel();
    let (over, seen, done) = (Arc::new(AtomicBool::new(false)), Seen::default(), Arc::new(AtomicUsize::new(0)));
    let (is_over, count) = (over.clone(), done.clone());
    let running = broker
        .run(move |record: EventRecord| {
            let EventRecord { aggregate, version, .. } = record;
            let answer = match version {
                1 => {
                    seen.lock().unwrap().insert(aggregate.clone());
                    tell.send(aggregate).unwrap();
                    Ok(())
                }
                2 if !seen.lock().unwrap().contains(&aggregate) => Err(ListenError::Early { seen: 0, found: 2 }),
                7 if !is_over.load(Ordering::SeqCst) => Err(ListenError::transient("Stripe does not answer")),
                _ => {
                    count.fetch_add(1, Ordering::SeqCst);
                    Ok(())
                }
            };
            async { answer }
        })
        .await;
    until("all that must wait are parked", LONG, async || broker.parked_count().await == WAITING as u64).await;
    for _ in 0..20 {
        let event = broker.publish().await;
        let heard = tokio::time::timeout(SOON, told.recv()).await;
        assert_eq!(heard.expect("others' events wait too"), Some(event));
    }
    over.store(true, Ordering::SeqCst);
    let predecessors: Vec<(&str, i64)> = waiting.iter().step_by(2).map(|id| (id.as_str(), 1)).collect();
    broker.publish_versions(&predecessors).await;
    until("all are handled once the cause is over", LONG, async || done.load(Ordering::SeqCst) >= WAITING).await;
    assert_eq!(broker.dead_letters().await.len(), 0);
    until("nothing is parked", LONG, async || broker.parked_count().await == 0).await;
    running.stop().await;
}

/// How long another server is away, with so many events waiting, and how soon all are handled after that.
const AWAY: Duration = Duration::from_secs(40);
const MEANWHILE: usize = 1_100;
const AFTERWARDS: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_for_a_while_is_handled_soon_after_the_cause_is_over() {
    let broker = Broker::new().await;
    let (over, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (is_over, count) = (over.clone(), done.clone());
    let running = broker
        .run(move |_| {
            let answer = if is_over.load(Ordering::SeqCst) { Ok(()) } else { Err(ListenError::transient("away")) };
            count.fetch_add(usize::from(answer.is_ok()), Ordering::SeqCst);
            async { answer }
        })
        .await;
    let ids: Vec<String> = (0..MEANWHILE).map(|_| aggregate()).collect();
    broker.publish_versions(&ids.iter().map(|id| (id.as_str(), 1)).collect::<Vec<_>>()).await;
    tokio::time::sleep(AWAY).await;
    over.store(true, Ordering::SeqCst);
    until("all are handled", AFTERWARDS, async || done.load(Ordering::SeqCst) >= MEANWHILE).await;
    assert_eq!(broker.dead_letters().await.len(), 0);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_ends_one_try_and_nothing_else() {
    let broker = Broker::new().await;
    let fragile = aggregate();
    let (tell, mut told) = unbounded_channel();
    let (tries, breaks) = (Arc::new(AtomicUsize::new(0)), fragile.clone());
    let running = broker
        .run(move |record: EventRecord| {
            let (tell, tries, breaks) = (tell.clone(), tries.clone(), breaks.clone());
            async move {
                let broken = record.aggregate == breaks && tries.fetch_add(1, Ordering::SeqCst) < 2;
                assert!(!broken, "breaks on purpose");
                tell.send(record.aggregate).unwrap();
                Ok(())
            }
        })
        .await;
    broker.publish_versions(&[(&fragile, 1)]).await;
    let others = [broker.publish().await, broker.publish().await, broker.publish().await];
    let mut heard = BTreeSet::new();
    while heard.len() < 4 {
        heard.insert(next(&mut told).await);
    }
    assert!(others.iter().chain([&fragile]).all(|event| heard.contains(event)));
    running.stop().await;
}

/// The domain as the next build knows it.
#[derive(Clone)]
struct NewerEvent;

impl DomainEvent for NewerEvent {
    const DOMAIN: &'static str = ExpirationEvent::DOMAIN;
    const NAMES: &'static [&'static str] = &["expiration.due", "expiration.moved"];

    fn kind(&self) -> EventKind {
        EventKind { name: "expiration.moved", version: 1 }
    }

    fn encode(&self) -> Result<String, serde_json::Error> {
        Ok("{}".to_owned())
    }

    fn decode(_: &str, _: u16, _: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self)
    }

    fn catalogue() -> Vec<EventSpec> {
        Vec::new()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_newer_build_published_waits_for_it_and_what_is_broken_does_not() {
    let broker = Broker::new().await;
    let (moved, later, broken) = (aggregate(), aggregate(), aggregate());
    broker.publish_foreign(&moved, "expiration.moved", 1, "{}").await;
    broker.publish_foreign(&later, "expiration.due", 99, "{}").await;
    broker.publish_foreign(&broken, "expiration.due", 1, "{\"orderIds\": 7}").await;
    let (tell, mut told) = unbounded_channel();
    let heard = tell.clone();
    let running = broker.run(move |record| heard_by(&heard, record)).await;
    let next_one = broker.publish().await;
    assert_eq!(next(&mut told).await, next_one);
    until("the broken one is a dead letter", BOUND, async || !broker.dead_letters().await.is_empty()).await;
    until("two are parked", BOUND, async || broker.parked().await.len() == 2).await;
    running.stop().await;
    let dead: Vec<String> = broker.dead_letters().await.into_iter().map(|letter| letter.subject).collect();
    assert_eq!(dead.len(), 1, "{dead:?}");
    assert!(dead[0].ends_with(&broken));
    assert!(broker.parked().await.iter().all(|event| event.cause == Cause::NewerEvent));

    let hear = move |_: Arc<()>, received: Received<NewerEvent>| heard_by(&tell, received.record);
    let newer = Service::new("orders", async |_| Ok(())).listen(hear).build();
    let running = start(vec![newer], broker.settings()).await.unwrap();
    let handled = BTreeSet::from([next(&mut told).await, next(&mut told).await]);
    assert_eq!(handled, BTreeSet::from([moved, later]));
    until("nothing is parked", BOUND, async || broker.parked().await.is_empty()).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_early_event_waits_for_days_and_is_handled_when_its_predecessor_comes() {
    let broker = Broker::new().await;
    let late = aggregate();
    let seen = Seen::default();
    let (tell, mut told) = unbounded_channel();
    let hear = move |record: EventRecord| {
        let EventRecord { aggregate, version, .. } = record;
        let known = !seen.lock().unwrap().insert(aggregate.clone());
        let early = version > 1 && !known;
        if early {
            seen.lock().unwrap().remove(&aggregate);
        } else {
            tell.send((aggregate, version)).unwrap();
        }
        async move { if early { Err(ListenError::Early { seen: 0, found: version }) } else { Ok(()) } }
    };
    broker.publish_versions(&[(&late, 2)]).await;
    let running = broker.run(hear.clone()).await;
    until("it is parked", BOUND, async || broker.parked().await.len() == 1).await;
    running.stop().await;

    let (days, before) = (6 * 24 * 3600 * 1000, broker.parked().await.remove(0));
    let running = broker.run_at(days, hear).await;
    let tried = async || broker.parked().await.iter().any(|event| event.attempts > before.attempts);
    until("it is tried again", BOUND, tried).await;
    broker.publish_versions(&[(&late, 1)]).await;
    assert_eq!([next(&mut told).await, next(&mut told).await], [(late.clone(), 1), (late, 2)]);
    assert_eq!(broker.dead_letters().await.len(), 0);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_with_other_settings_gets_those_of_this_build() {
    let broker = Broker::new().await;
    let stream = broker.jetstream.get_stream(&broker.stream).await.unwrap();
    let old = pull::Config {
        durable_name: Some("orders".to_owned()),
        ack_policy: AckPolicy::Explicit,
        max_ack_pending: 1024,
        filter_subject: Namespace::new(&broker.namespace).subject(ExpirationEvent::DOMAIN, ">"),
        ..pull::Config::default()
    };
    stream.create_consumer(old).await.unwrap();
    let (tell, mut told) = unbounded_channel();
    let running = broker.run(move |record| heard_by(&tell, record)).await;
    let event = broker.publish().await;
    assert_eq!(next(&mut told).await, event);
    assert_eq!(stream.consumer_info("orders").await.unwrap().config.max_ack_pending, 65_536);
    running.stop().await;
}
