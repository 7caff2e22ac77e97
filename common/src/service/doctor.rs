//! What an installation looks like from outside: its servers are asked, and nothing is changed.

use std::fmt;
use std::time::Duration;

use bson::doc;
use futures::future::{join_all, try_join_all};
use serde::Deserialize;

use super::frame::{connect_database, reach_bus};
use super::rebuilding::Marks;
use super::{Service, StartError};
use crate::bus::{Bus, DOMAINS, DeadLetters};
use crate::clock::Time;
use crate::settings::Settings;
use crate::store::{Backlog, Client, StoreError, from_document};

/// A hold ends by the clock of a service, a document by that of MongoDB.
const CLOCKS_APART: Duration = Duration::from_secs(2);

/// The relay publishes within a second, and its sweep looks every few seconds for what it has missed.
const OUTBOX_AGE: Duration = Duration::from_secs(60);

/// Behind by more than this, people notice.
const EVENTS_BEHIND: u64 = 10_000;

/// The first nats-server that keeps messages for later.
const NATS: (u64, u64) = (2, 12);

/// A stream that is so full drops its oldest events because of its size.
const NEARLY_FULL: f64 = 0.9;

const PATIENCE: Duration = Duration::from_secs(10);

/// How well something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// As it should be.
    Well,
    /// It works, but somebody should look.
    Doubtful,
    /// It does not work.
    Ill,
}

/// What was found about one thing.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The thing: a server or a service.
    pub about: String,
    /// How well it is.
    pub health: Health,
    /// What was seen; if something is wrong, what may be done.
    pub says: String,
}

impl Finding {
    /// A finding.
    pub fn new(about: &str, health: Health, says: impl Into<String>) -> Self {
        Self { about: about.to_owned(), health, says: says.into() }
    }

    fn ill(about: &str, error: impl fmt::Display) -> Self {
        Self::new(about, Health::Ill, error.to_string())
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let health = match self.health {
            Health::Well => "ok",
            Health::Doubtful => "look",
            Health::Ill => "ILL",
        };
        write!(f, "{health:<5} {:<11} {}", self.about, self.says)
    }
}

/// Looks at the settings, at both servers, at what each service has there, and at the address people type.
pub async fn examine(services: &[Service], settings: &Settings) -> Vec<Finding> {
    let mut findings = look(services, settings, Services::Run).await;
    findings.push(of_entry(settings).await);
    findings
}

/// The same where no service runs: nobody listens, and nobody answers.
pub async fn examine_stopped(services: &[Service], settings: &Settings) -> Vec<Finding> {
    look(services, settings, Services::Stand).await
}

/// Whether the services should be running.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Services {
    Run,
    Stand,
}

async fn look(services: &[Service], settings: &Settings, they: Services) -> Vec<Finding> {
    let mut findings = of_settings(settings);
    let (database, bus) = tokio::join!(connect_database(settings), reach_bus(settings));
    let now = settings.clock().now();
    match &database {
        Ok(client) => findings.push(of_database(client, now).await.unwrap_or_else(|ill| Finding::ill("mongodb", ill))),
        Err(error) => findings.push(Finding::ill("mongodb", error)),
    }
    match &bus {
        Ok(bus) => findings.push(of_bus(bus, usize::from(settings.nats_replicas)).await),
        Err(error) => findings.push(Finding::ill("nats", error)),
    }
    if let (Ok(client), Ok(bus)) = (&database, &bus) {
        let keeping = services.iter().filter(|service| service.keeps_state());
        findings.extend(join_all(keeping.map(|service| of_service(service, client, bus, settings, they))).await);
    }
    findings
}

fn of_settings(settings: &Settings) -> Vec<Finding> {
    if let Err(error) = settings.validate() {
        return vec![Finding::ill("settings", error)];
    }
    let warnings = settings.warnings();
    if warnings.is_empty() {
        return vec![Finding::new("settings", Health::Well, "nothing contradicts, nothing is risky")];
    }
    warnings.into_iter().map(|warning| Finding::new("settings", Health::Doubtful, warning)).collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Hello {
    set_name: Option<String>,
    #[serde(default)]
    hosts: Vec<String>,
    primary: Option<String>,
    local_time: Time,
}

async fn of_database(client: &Client, now: Time) -> Result<Finding, StartError> {
    let admin = client.database("admin");
    let ask = |command| async { admin.run_command(command).await.map_err(StartError::other) };
    let (build, hello) = tokio::try_join!(ask(doc! { "buildInfo": 1 }), ask(doc! { "hello": 1 }))?;
    let hello: Hello = from_document(&hello).map_err(StoreError::from)?;
    let version = build.get_str("version").unwrap_or("of an unknown version");
    let Some(set) = hello.set_name else {
        return Ok(Finding::new("mongodb", Health::Ill, format!("{version}, but no replica set: start it as one")));
    };
    let apart = Duration::from_millis(now.millis().abs_diff(hello.local_time.millis()));
    let (members, primary) = (hello.hosts.len(), hello.primary.unwrap_or_else(|| "nobody".to_owned()));
    let says =
        format!("{version}, replica set {set} of {members}, led by {primary}, its clock {apart:.1?} from this one");
    Ok(if apart > CLOCKS_APART {
        Finding::new("mongodb", Health::Ill, format!("{says}: holds end early or late; set both clocks by NTP"))
    } else {
        Finding::new("mongodb", Health::Well, says)
    })
}

async fn of_bus(bus: &Bus, replicas: usize) -> Finding {
    let version = bus.server_version();
    if !is_at_least(&version, NATS) {
        let (major, minor) = NATS;
        return Finding::new(
            "nats",
            Health::Ill,
            format!("{version}: holds would not end; take {major}.{minor} or newer"),
        );
    }
    let (mut messages, mut full) = (0, Vec::new());
    for stream in DOMAINS {
        match bus.check_stream(stream, replicas).await {
            Ok(fill) => {
                messages += fill.messages;
                full.extend((fill.ratio() >= NEARLY_FULL).then_some(stream.domain));
            }
            Err(error) => return Finding::ill("nats", error),
        }
    }
    let says = format!("{version}, {} streams as declared, {messages} messages", DOMAINS.len());
    if full.is_empty() {
        return Finding::new("nats", Health::Well, says);
    }
    let full = full.join(", ");
    let says = format!("{says}; {full} drop events by size before their time: raise DOCKET_STREAM_MIB");
    Finding::new("nats", Health::Doubtful, says)
}

fn is_at_least(version: &str, wanted: (u64, u64)) -> bool {
    let mut numbers = version.split('.').map(|number| number.parse::<u64>().ok());
    matches!((numbers.next().flatten(), numbers.next().flatten()), (Some(major), Some(minor)) if (major, minor) >= wanted)
}

async fn of_service(service: &Service, client: &Client, bus: &Bus, settings: &Settings, they: Services) -> Finding {
    let seen = seen_of(service, client, bus, settings, they).await;
    seen.map_or_else(
        |error| Finding::ill(service.name(), error),
        |seen| seen.finding(service.name(), settings.clock().now()),
    )
}

/// What the servers know of a service.
#[derive(Default)]
struct Seen {
    backlog: Backlog,
    letters: u64,
    /// Domains that it has never listened to, or does not listen to now.
    deaf: Vec<&'static str>,
    behind: u64,
    /// Domains of which the stream has dropped what the service has not heard.
    missed: Vec<&'static str>,
    /// Domains of which it was left without projections.
    broken_off: Vec<String>,
}

async fn seen_of(
    service: &Service,
    client: &Client,
    bus: &Bus,
    settings: &Settings,
    they: Services,
) -> Result<Seen, StartError> {
    let database = client.database(&bus.namespace().database(service.name()));
    let outboxes = service.indexes().iter().filter(|indexes| indexes.have_outbox());
    let mut backlog = Backlog::of(outboxes.map(|indexes| database.collection(indexes.collection))).await?;
    if they == Services::Stand {
        // What waits while nobody publishes goes out at the next start.
        backlog.oldest = None;
    }
    let letters = DeadLetters::new(&database, settings.clock()).count().await?;
    let mut seen = Seen { backlog, letters, ..Seen::default() };
    for domain in service.domains() {
        let consumer = bus.consumer(domain, service.name()).await?;
        if bus.missed(domain, consumer.as_ref()).await? > 0 {
            seen.missed.push(domain);
        }
        seen.behind += consumer.as_ref().map_or(0, |info| info.num_pending);
    }
    if they == Services::Run {
        seen.deaf = deaf(service, bus).await?;
    }
    seen.broken_off = Marks::of(service.name(), &database).broken_off().await?;
    Ok(seen)
}

/// The domains to which the service should listen, and does not.
async fn deaf(service: &Service, bus: &Bus) -> Result<Vec<&'static str>, StartError> {
    // Each may take some looks, so all are asked at once.
    let heard = service.domains().iter().map(|domain| bus.is_heard(domain, service.name()));
    let heard = try_join_all(heard).await?;
    Ok(service.domains().iter().zip(heard).filter(|(_, heard)| !heard).map(|(domain, _)| *domain).collect())
}

impl Seen {
    fn finding(&self, service: &str, now: Time) -> Finding {
        let waits = self.backlog.oldest.map(|oldest| now.since(oldest)).filter(|age| *age > OUTBOX_AGE);
        let complaints = [
            (
                Health::Ill,
                (!self.deaf.is_empty()).then(|| format!("does not listen to {}: does it run?", self.deaf.join(", "))),
            ),
            (
                Health::Ill,
                waits.map(|age| format!("{} events wait to be published, for {age:.0?} already", self.backlog.events)),
            ),
            (
                Health::Ill,
                (!self.broken_off.is_empty()).then(|| {
                    let domains = self.broken_off.join(", ");
                    format!("has lost what it keeps of {domains}, unless a rebuilding is under way: stop it, and run `docket rebuild {service}` again")
                }),
            ),
            (
                Health::Ill,
                (!self.missed.is_empty()).then(|| {
                    let missed = self.missed.join(", ");
                    format!("has missed events of {missed} that the streams dropped: `docket republish --snapshots` tells them")
                }),
            ),
            (
                Health::Doubtful,
                (self.letters > 0)
                    .then(|| format!("{} dead letters wait: GET /api/dead-letters/{service} tells why", self.letters)),
            ),
            (
                Health::Doubtful,
                (self.behind > EVENTS_BEHIND).then(|| format!("{} events behind: add replicas", self.behind)),
            ),
        ];
        let found: Vec<(Health, String)> =
            complaints.into_iter().filter_map(|(health, says)| Some((health, says?))).collect();
        match found.iter().map(|(health, _)| *health).max() {
            Some(worst) => {
                let says: Vec<String> = found.into_iter().map(|(_, says)| says).collect();
                Finding::new(service, worst, says.join("; "))
            }
            None => {
                let says =
                    format!("{} events to publish, {} to hear, no dead letters", self.backlog.events, self.behind);
                Finding::new(service, Health::Well, says)
            }
        }
    }
}

/// Whether the address people type leads to auth, whose keys everybody needs.
async fn of_entry(settings: &Settings) -> Finding {
    let Ok(keys) = settings.public_url().join("/.well-known/jwks.json") else {
        return Finding::new("entry", Health::Ill, "DOCKET_PUBLIC_URL is no base of addresses");
    };
    let answered = match crate::http::client().get(keys.clone()).timeout(PATIENCE).send().await {
        Ok(answer) => answer.json::<serde_json::Value>().await,
        Err(error) => Err(error),
    };
    match answered {
        Ok(answer) if answer["keys"].as_array().is_some_and(|keys| !keys.is_empty()) => {
            Finding::new("entry", Health::Well, format!("{keys} has the keys of tokens"))
        }
        Ok(_) => Finding::new("entry", Health::Ill, format!("{keys} has no keys: who answers there?")),
        Err(error) => {
            Finding::ill("entry", format!("{keys}: {error}; does Docket run, and is DOCKET_PUBLIC_URL right?"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_millis(1_795_000_000_000);

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(is_at_least("2.12.0", NATS) && is_at_least("2.15.1", NATS) && is_at_least("3.0.0-beta", NATS));
        assert!(!is_at_least("2.9.25", NATS) && !is_at_least("1.40.0", NATS) && !is_at_least("", NATS));
    }

    #[test]
    fn the_worst_decides_and_all_is_told() {
        let old = Backlog { events: 3, oldest: Some(Time::from_millis(NOW.millis() - 90_000)) };
        let found = Seen { backlog: old, letters: 2, ..Seen::default() }.finding("orders", NOW);
        assert_eq!(found.health, Health::Ill);
        assert_eq!(
            found.says,
            "3 events wait to be published, for 90s already; 2 dead letters wait: GET /api/dead-letters/orders tells why"
        );
    }

    #[test]
    fn work_under_way_is_no_illness() {
        let young = Backlog { events: 3, oldest: Some(NOW) };
        let found = Seen { backlog: young, behind: 40, ..Seen::default() }.finding("orders", NOW);
        assert_eq!(
            (found.health, found.says.as_str()),
            (Health::Well, "3 events to publish, 40 to hear, no dead letters")
        );
        assert_eq!(Seen { behind: 50_000, ..Seen::default() }.finding("orders", NOW).health, Health::Doubtful);
        assert_eq!(Seen { missed: vec!["tickets"], ..Seen::default() }.finding("orders", NOW).health, Health::Ill);
        assert_eq!(Seen { deaf: vec!["tickets"], ..Seen::default() }.finding("orders", NOW).health, Health::Ill);
    }
}
