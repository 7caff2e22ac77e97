//! What overtakes what: the order of versions counts, not the order of arrival.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use common::bus::Received;
use common::events::ExpirationEvent;
use common::service::{Service, start};
use tokio::sync::mpsc::unbounded_channel;

use super::{Broker, aggregate, next};

const LISTINGS: usize = 60;

/// A listing's newest version that was applied, as a gate keeps it.
type Applied = Arc<Mutex<BTreeMap<String, i64>>>;

#[tokio::test(flavor = "multi_thread")]
async fn a_greater_version_overtakes_and_a_later_arrival_does_not() {
    let broker = Broker::new().await;
    let listings: Vec<String> = (0..LISTINGS).map(|_| aggregate()).collect();
    for version in [1, 3, 2] {
        let events: Vec<(&str, i64)> = listings.iter().map(|listing| (listing.as_str(), version)).collect();
        broker.publish_versions(&events).await;
    }
    let applied = Applied::default();
    let (tell, mut told) = unbounded_channel();
    let seen = applied.clone();
    let hear = move |_: Arc<()>, received: Received<ExpirationEvent>| {
        let (seen, tell) = (seen.clone(), tell.clone());
        async move {
            let record = received.record;
            let mut seen = seen.lock().unwrap();
            let newest = seen.entry(record.aggregate).or_default();
            *newest = record.version.max(*newest);
            if seen.len() == LISTINGS {
                tell.send(()).unwrap();
            }
            Ok(())
        }
    };
    let service = Service::new("orders", async |_| Ok(())).listen_passing_over(|_, _| true, hear).build();
    let running = start(vec![service], broker.settings()).await.unwrap();
    next(&mut told).await;
    // What was begun is finished before the stop.
    running.stop().await;
    let wrong = applied.lock().unwrap().values().filter(|version| **version != 3).count();
    assert_eq!(wrong, 0, "so many of {LISTINGS} listings show an older version for ever");
}
