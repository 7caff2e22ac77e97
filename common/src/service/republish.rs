//! Publishing again what was published: the owners keep their events, should a stream be damaged or have lost some.

use std::time::Duration;

use super::StartError;
use super::frame::{connect_bus, connect_database};
use crate::bus::Bus;
use crate::clock::Time;
use crate::service::Service;
use crate::settings::Settings;
use crate::store::EventArchive;

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
