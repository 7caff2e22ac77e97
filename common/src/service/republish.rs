//! Publishing again: the events that the owners have kept, should a stream be damaged or have lost some, or the present state of
//! their aggregates, for whoever missed events that nobody has any more.

use std::collections::HashMap;
use std::time::Duration;

use super::StartError;
use super::frame::{connect_bus, connect_database};
use crate::bus::Bus;
use crate::clock::Time;
use crate::service::Service;
use crate::settings::Settings;
use crate::store::{Database, EventArchive, Owned, Run};

/// A broker that has lost power has forgotten nothing that it acknowledged longer than this before.
const REMEMBERED_AFTER: Duration = Duration::from_secs(60);

/// Publishes the events that the services have published since `since` once more. Answers how many.
///
/// # Errors
/// [`StartError`] if a server does not answer, or the broker did not take all events.
pub async fn republish(services: &[Service], settings: &Settings, since: Time) -> Result<usize, StartError> {
    let bus = connect_bus(settings).await?;
    let mut count = 0;
    for archive in archives(services, settings, &bus).await? {
        count += publish(&bus, &archive, since).await?;
    }
    Ok(count)
}

/// Gives the broker what it may have forgotten in a power cut, before any service runs: the last events that were published.
/// A service that has read further than a stream goes now reads that stream from its beginning, as it would hear nothing for
/// as long as the stream is shorter (nats-server issue 5412; 2.15 winds consumers back by itself, but older ones may be on the
/// `PATH`). Answers how many events were published.
///
/// # Errors
/// [`StartError`] if a server does not answer, or the broker did not take all events.
pub async fn make_good(services: &[Service], settings: &Settings) -> Result<usize, StartError> {
    let bus = connect_bus(settings).await?;
    for service in services {
        for domain in service.domains() {
            if bus.forget_lost_place(domain, service.name()).await? {
                tracing::warn!(
                    service = service.name(),
                    domain,
                    "the stream lost its end and is read from its beginning"
                );
            }
        }
    }
    let mut count = 0;
    for archive in archives(services, settings, &bus).await? {
        if let Some(newest) = archive.newest().await? {
            count += publish(&bus, &archive, newest - REMEMBERED_AFTER).await?;
        }
    }
    Ok(count)
}

/// What was told of the present state of aggregates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// How many aggregates' state.
    pub snapshots: usize,
    /// How many documents this build could not read. Only a later build can tell their state.
    pub unreadable: usize,
}

/// The stream of a domain dropped snapshots before all were told.
#[derive(Debug, thiserror::Error)]
#[error(
    "the present state of all {domain} does not fit into its stream: set DOCKET_STREAM_MIB to more than {mib}, start the \
     service that publishes {domain}, and run this again"
)]
struct TooSmall {
    domain: &'static str,
    mib: u64,
}

/// Has the owners among `services` tell the present state of their aggregates, of one domain or of all. Whoever has heard of
/// that state takes no notice; whoever has missed events before it goes on with it.
///
/// # Errors
/// [`StartError`] if a server does not answer, the broker did not take all snapshots, or a stream has no room for them.
pub async fn tell_snapshots(
    services: &[Service],
    settings: &Settings,
    domain: Option<&str>,
) -> Result<Told, StartError> {
    let (client, bus) = (connect_database(settings).await?, connect_bus(settings).await?);
    let now = settings.clock().now();
    let run = Run { id: crate::id::uuid_at(now), at: now };
    let (mut told, mut before) = (Told::default(), HashMap::new());
    for service in services {
        let database = client.database(&bus.namespace().database(service.name()));
        for owned in service.owned().iter().filter(|owned| domain.is_none_or(|domain| domain == owned.domain)) {
            let (_, last) = bus.range(owned.domain).await?;
            let of_these = tell(&bus, &database, owned, run, *before.entry(owned.domain).or_insert(last)).await?;
            told.snapshots += of_these.snapshots;
            told.unreadable += of_these.unreadable;
        }
    }
    Ok(told)
}

/// Tells the present state of all aggregates of one kind. The stream must not have dropped the first snapshot, which came after
/// the message `before`, when the last one is told: nobody may have heard it.
async fn tell(bus: &Bus, database: &Database, owned: &Owned, run: Run, before: u64) -> Result<Told, StartError> {
    let (mut told, mut next) = (Told::default(), Some(String::new()));
    while let Some(after) = next {
        let page = owned.page(database, &after, run).await?;
        let published = bus.publish_all(&page.snapshots.iter().collect::<Vec<_>>()).await;
        published.into_iter().collect::<Result<(), _>>()?;
        told.snapshots += page.snapshots.len();
        told.unreadable += page.unreadable;
        let (first, _) = bus.range(owned.domain).await?;
        if first > before + 1 {
            let bytes = bus.fill(owned.domain).await?.bytes;
            return Err(StartError::other(TooSmall { domain: owned.domain, mib: bytes.div_ceil(1024 * 1024) }));
        }
        next = page.next;
    }
    Ok(told)
}

async fn archives(services: &[Service], settings: &Settings, bus: &Bus) -> Result<Vec<EventArchive>, StartError> {
    let client = connect_database(settings).await?;
    let keeping = services.iter().filter(|service| service.keeps_state());
    let database = |service: &Service| client.database(&bus.namespace().database(service.name()));
    Ok(keeping.map(|service| EventArchive::new(&database(service))).collect())
}

async fn publish(bus: &Bus, archive: &EventArchive, since: Time) -> Result<usize, StartError> {
    let mut events = archive.since(since).await?;
    let mut count = 0;
    while let Some(batch) = events.next_batch().await? {
        bus.publish_all(&batch.iter().collect::<Vec<_>>()).await.into_iter().collect::<Result<(), _>>()?;
        count += batch.len();
    }
    Ok(count)
}
