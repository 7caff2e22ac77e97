//! Publishing again: the events that the owners have kept, should a stream be damaged or have lost some, or the present state of
//! their aggregates, for whoever missed events that nobody has any more.

use std::collections::{BTreeSet, HashMap};
use std::ops::RangeInclusive;
use std::time::Duration;

use super::StartError;
use super::frame::{connect_bus, connect_database};
use crate::bus::Bus;
use crate::clock::Time;
use crate::service::Service;
use crate::settings::Settings;
use crate::store::{Client, Database, EventArchive, Owned, Run};
use crate::telemetry::stopwatch;

/// A broker that has lost power has forgotten nothing that it acknowledged longer than this before.
const REMEMBERED_AFTER: Duration = Duration::from_secs(60);
/// How many events may wait for somebody who listens when more is told.
const AHEAD: u64 = 500;
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How many events are published again in one go.
const AT_A_TIME: usize = 256;
/// Who listens and takes nothing for so long is stuck.
const STALLED_AFTER: Duration = Duration::from_secs(30);
const MIB: u64 = 1024 * 1024;

/// Publishes the events that the services have published from `since` until now once more. Answers how many.
///
/// # Errors
/// [`StartError`] if a server does not answer, or the broker did not take all events.
pub async fn republish(services: &[Service], settings: &Settings, since: Time) -> Result<usize, StartError> {
    let bus = connect_bus(settings).await?;
    let (mut count, mut pace) = (0, Pace::of(&bus, services));
    for archive in archives(services, settings, &bus).await? {
        // What is published from now on was missed by nobody, and comes as fast as this goes on.
        if let Some(newest) = archive.newest().await? {
            count += publish(&bus, &archive, since..=newest, Some(&mut pace)).await?;
        }
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
            if bus.mend_lost_place(domain, service.name()).await? {
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
            count += publish(&bus, &archive, newest - REMEMBERED_AFTER..=newest, None).await?;
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

/// A stream would drop snapshots, or has, before all were told.
#[derive(Debug, thiserror::Error)]
#[error(
    "the present state of all {domain} does not fit into its stream: set DOCKET_STREAM_MIB to {mib} or more, start the \
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
    let telling = Telling { client, bus, services, now: settings.clock().now() };
    let owned: BTreeSet<&str> = services.iter().flat_map(Service::owned).map(|owned| owned.domain).collect();
    let domains: Vec<&str> = owned.into_iter().filter(|owned| domain.is_none_or(|domain| domain == *owned)).collect();
    for domain in &domains {
        telling.check_room(domain).await?;
    }
    let mut told = Told::default();
    for domain in domains {
        let of_these = telling.tell(domain).await?;
        told.snapshots += of_these.snapshots;
        told.unreadable += of_these.unreadable;
    }
    Ok(told)
}

/// Tells the present state of aggregates.
pub(super) struct Telling<'s> {
    pub(super) client: Client,
    pub(super) bus: Bus,
    /// The owners, and those who may listen.
    pub(super) services: &'s [Service],
    pub(super) now: Time,
}

impl Telling<'_> {
    /// Whether the stream of a domain has room for the present state of all its aggregates, and for as much again that comes
    /// meanwhile.
    ///
    /// # Errors
    /// [`StartError`] if it has not, or a server does not answer.
    pub(super) async fn check_room(&self, domain: &str) -> Result<(), StartError> {
        let Some(limit) = self.bus.fill(domain).await?.limit else { return Ok(()) };
        for (database, owned) in self.owners(domain) {
            let wanted = owned.bytes(&database, self.run()).await?.saturating_mul(2);
            if wanted > limit {
                return Err(StartError::other(TooSmall { domain: owned.domain, mib: wanted.div_ceil(MIB) }));
            }
        }
        Ok(())
    }

    /// Tells the present state of all aggregates of a domain.
    ///
    /// # Errors
    /// As [`tell_snapshots`].
    pub(super) async fn tell(&self, domain: &str) -> Result<Told, StartError> {
        let (_, before) = self.bus.range(domain).await?;
        let (mut told, mut pace) = (Told::default(), Pace::of(&self.bus, self.services));
        for (database, owned) in self.owners(domain) {
            let mut next = Some(String::new());
            while let Some(after) = next {
                let page = owned.page(&database, &after, self.run()).await?;
                let published = self.bus.publish_all(&page.snapshots.iter().collect::<Vec<_>>()).await;
                published.into_iter().collect::<Result<(), _>>()?;
                told.snapshots += page.snapshots.len();
                told.unreadable += page.unreadable;
                self.check_kept(owned, before).await?;
                pace.until_taken(owned.domain).await?;
                next = page.next;
            }
        }
        Ok(told)
    }

    fn owners(&self, domain: &str) -> impl Iterator<Item = (Database, &Owned)> {
        self.services.iter().flat_map(move |service| {
            let database = self.client.database(&self.bus.namespace().database(service.name()));
            let owned = service.owned().iter().filter(move |owned| owned.domain == domain);
            owned.map(move |owned| (database.clone(), owned))
        })
    }

    fn run(&self) -> Run {
        Run { id: crate::id::uuid_at(self.now), at: self.now }
    }

    /// The stream must not have dropped the first snapshot, which came after the message `before`, when the last one is told:
    /// nobody may have heard it.
    async fn check_kept(&self, owned: &Owned, before: u64) -> Result<(), StartError> {
        let (first, _) = self.bus.range(owned.domain).await?;
        if first <= before + 1 {
            return Ok(());
        }
        let bytes = self.bus.fill(owned.domain).await?.bytes;
        Err(StartError::other(TooSmall { domain: owned.domain, mib: bytes.saturating_mul(2).div_ceil(MIB) }))
    }
}

/// Who runs and listens, so that no more is told than they have heard.
struct Pace<'s> {
    bus: &'s Bus,
    services: &'s [Service],
    /// By domain, as far as it was asked for.
    listening: HashMap<String, Vec<&'static str>>,
}

impl<'s> Pace<'s> {
    fn of(bus: &'s Bus, services: &'s [Service]) -> Self {
        Self { bus, services, listening: HashMap::new() }
    }

    /// Waits until those who listen have taken nearly all, so that what happens meanwhile does not wait long behind what is
    /// told. Who does not run, or takes nothing, is not waited for.
    async fn until_taken(&mut self, domain: &str) -> Result<(), StartError> {
        let listening = match self.listening.remove(domain) {
            Some(known) => known,
            None => self.listening(domain).await?,
        };
        let mut taking = Vec::with_capacity(listening.len());
        for service in listening {
            if self.has_taken(domain, service).await? {
                taking.push(service);
            }
        }
        self.listening.insert(domain.to_owned(), taking);
        Ok(())
    }

    /// Waits until a service has taken nearly all; false if it takes nothing.
    async fn has_taken(&self, domain: &str, service: &'static str) -> Result<bool, StartError> {
        let (mut before, mut since) = (None, stopwatch());
        while let Some(info) = self.bus.consumer(domain, service).await?.filter(|info| info.num_pending > AHEAD) {
            // What comes again and again to somebody who fails changes none of these.
            let place = (info.delivered.stream_sequence, info.ack_floor.stream_sequence, info.num_ack_pending);
            if before.replace(place) != Some(place) {
                since = stopwatch();
            }
            if since.elapsed() >= STALLED_AFTER {
                tracing::warn!(service, domain, "the service takes no events; what is told waits in front of it");
                return Ok(false);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(true)
    }

    /// The services that run and hear of the domain.
    async fn listening(&self, domain: &str) -> Result<Vec<&'static str>, StartError> {
        let mut listening = Vec::new();
        for service in self.services.iter().filter(|service| service.domains().contains(&domain)) {
            if self.bus.is_heard(domain, service.name()).await? {
                listening.push(service.name());
            }
        }
        Ok(listening)
    }
}

async fn archives(services: &[Service], settings: &Settings, bus: &Bus) -> Result<Vec<EventArchive>, StartError> {
    let client = connect_database(settings).await?;
    let keeping = services.iter().filter(|service| service.keeps_state());
    let database = |service: &Service| client.database(&bus.namespace().database(service.name()));
    Ok(keeping.map(|service| EventArchive::new(&database(service))).collect())
}

/// Publishes what an archive has of this time; in front of services that run, at their pace.
async fn publish(
    bus: &Bus,
    archive: &EventArchive,
    time: RangeInclusive<Time>,
    mut pace: Option<&mut Pace<'_>>,
) -> Result<usize, StartError> {
    let mut events = archive.within(time).await?;
    let mut count = 0;
    while let Some(batch) = events.next_batch().await? {
        for some in batch.chunks(AT_A_TIME) {
            bus.publish_all(&some.iter().collect::<Vec<_>>()).await.into_iter().collect::<Result<(), _>>()?;
            if let Some(pace) = pace.as_deref_mut() {
                for domain in some.iter().map(|event| event.domain.as_str()).collect::<BTreeSet<_>>() {
                    pace.until_taken(domain).await?;
                }
            }
        }
        count += batch.len();
    }
    Ok(count)
}
