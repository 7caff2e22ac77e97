//! A whole Docket to be harmed: real servers of its own, each service as a process, three replicas of orders, a bank, people.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use async_nats::jetstream::Context;
use common::bus::{DOMAINS, Namespace};
use docket_local::{ReplicaSet, Server as Running};
use docket_stripe::{Options as BankOptions, StripeStandIn};
use futures::future::join_all;
use serde_json::{Value, json};

use super::doors::Doors;
use super::faults::Server;
use super::member::{Member, Targets};
use super::plan::{BUYERS, CAST};
use super::servers::{Equipment, Servers};
use super::small_disk::SmallDisk;
use crate::binaries::Build;
use crate::person::Person;
use crate::servers::namespace;

/// How long places are held: short, so that orders expire while they are being paid.
const HOLD_SECONDS: u32 = 3;

/// How long a mongod may take to do what it is told; a frozen one never answers.
const TOLD_WITHIN: Duration = Duration::from_secs(4);

/// The processes that are of an older build in the worlds that have one.
const OLDER: [&[&str]; 4] =
    [&["orders-2", "tickets"], &["payments"], &["orders-1", "orders-3", "expiration"], &["auth", "orders-2"]];

/// The services that listen to events; their consumers are called like them.
pub(super) const LISTENING: [&str; 5] = ["auth", "tickets", "orders", "expiration", "payments"];

/// A running Docket that serves several runs, one after the other.
pub struct World {
    servers: Servers,
    equipment: Equipment,
    database: mongodb::Client,
    /// The builds between which a process changes.
    pub(crate) builds: Option<[Build; 2]>,
    pub(crate) members: Vec<Member>,
    pub(crate) bank: StripeStandIn,
    pub(crate) doors: Doors,
    pub(crate) seller: Person,
    pub(crate) buyers: Vec<Person>,
    namespace: String,
    /// The orders of the runs so far.
    earlier: Mutex<BTreeSet<String>>,
}

impl World {
    /// Starts everything, with its data and logs in `folder`.
    ///
    /// # Errors
    /// What did not start.
    pub async fn start(folder: &Path, equipment: impl Into<Equipment>) -> Result<Self, String> {
        Self::of(folder, equipment, &CAST, &Build::this()).await
    }

    /// The same with some processes of an older build, which ones depends on `nth`; in each run one process changes its build and
    /// comes back.
    ///
    /// # Errors
    /// What did not start, or does not change.
    pub async fn mixed(
        folder: &Path,
        equipment: impl Into<Equipment>,
        older: &Build,
        nth: usize,
    ) -> Result<Self, String> {
        let mut world = Self::start(folder, equipment).await?;
        let builds = [Build::this(), older.clone()];
        for name in OLDER[nth % OLDER.len()] {
            world.member(name).exchange(&builds).await;
            world.member(name).heal().await?;
        }
        world.builds = Some(builds);
        Ok(world)
    }

    /// Whether two builds run side by side in it.
    pub(crate) fn is_mixed(&self) -> bool {
        self.builds.is_some()
    }

    /// The same with these processes, all of them of one build.
    pub(crate) async fn of(
        folder: &Path,
        equipment: impl Into<Equipment>,
        cast: &[&'static str],
        build: &Build,
    ) -> Result<Self, String> {
        let equipment = equipment.into();
        let servers = Servers::start(folder, equipment).await?;
        let bank = StripeStandIn::start(BankOptions::default()).await.map_err(|error| error.to_string())?;
        let namespace = namespace();
        let targets = servers.targets();
        let mut shared = shared(&namespace, &bank);
        // Mails are read that are not sent, and worlds beside each other have people of the same addresses.
        shared.push(("DOCKET_DATA_DIR", folder.join(format!("data-{namespace}")).display().to_string()));
        shared.push(("NATS_REPLICAS", targets.nats.len().to_string()));
        let members = members(cast, &targets, &mut shared, folder, build).await;
        // One after the other: each makes streams and indexes that the next one finds.
        for member in &members {
            member.heal().await?;
        }
        let doors = doors(&members);
        bank.set_webhook_url(Some(format!("{}/api/payments/webhook", doors.payments[0])));
        let seller = Person::sign_up(&doors.auth, "seller@example.com").await;
        seller.confirm().await;
        let emails = (0..BUYERS).map(|nth| format!("buyer{nth}@example.com"));
        let buyers = join_all(emails.map(|email| async { Person::sign_up(&doors.auth, &{ email }).await })).await;
        let database = mongodb::Client::with_uri_str(servers.mongodb_uri()).await.map_err(|error| error.to_string())?;
        let (builds, earlier) = (None, Mutex::default());
        Ok(Self { servers, equipment, database, builds, members, bank, doors, seller, buyers, namespace, earlier })
    }

    /// Which servers it has.
    pub fn equipment(&self) -> Equipment {
        self.equipment
    }

    /// Why it has no small disk, where it should have one.
    pub fn lacks_disk(&self) -> Option<&str> {
        self.servers.no_disk.as_deref()
    }

    /// One of the servers; of several, the one that is the `nth` in a circle.
    pub(crate) fn server(&self, which: Server, nth: usize) -> &Running {
        self.servers.one(which, nth)
    }

    /// Every server.
    pub(crate) fn all_servers(&self) -> Vec<&Running> {
        self.servers.all()
    }

    /// The replica set, if it has one.
    pub(crate) fn replica_set(&self) -> Option<&ReplicaSet> {
        self.servers.set.as_ref()
    }

    /// The small disk, if it has one, and the broker whose disk that is.
    pub(crate) fn small_disk(&self) -> Option<(&SmallDisk, &Running)> {
        Some((self.servers.disk.as_ref()?, self.server(Server::Nats, 0)))
    }

    /// The database of a service, for looking behind the API.
    pub(crate) fn database(&self, service: &str) -> mongodb::Database {
        self.database.database(&format!("{}_{service}", self.namespace))
    }

    /// Has a mongod do something, whatever its state in the replica set.
    pub(crate) async fn tell_mongod(&self, nth: usize, command: bson::Document) -> Result<(), String> {
        let port = self.server(Server::Mongod, nth).port();
        let direct = format!("mongodb://127.0.0.1:{port}/?directConnection=true");
        let client = mongodb::Client::with_uri_str(direct).await.map_err(|error| error.to_string())?;
        let database = client.database("admin");
        let told = tokio::time::timeout(TOLD_WITHIN, async { database.run_command(command).await }).await;
        client.shutdown().immediate(true).await;
        told.map_err(|_| "it does not answer".to_owned())?.map(drop).map_err(|error| error.to_string())
    }

    /// A client of the broker, past all that is wrong with the ways of the processes.
    pub(crate) async fn jetstream(&self) -> Result<(Context, Namespace), async_nats::Error> {
        let client = async_nats::connect(self.servers.broker_urls()).await?;
        Ok((async_nats::jetstream::new(client), Namespace::new(&self.namespace)))
    }

    /// Notes the orders of a run that is over.
    pub(crate) fn remember<'o>(&self, orders: impl Iterator<Item = &'o String>) {
        self.earlier.lock().expect("nobody panics while noting").extend(orders.cloned());
    }

    /// Whether an order belongs to a run that is over.
    pub(crate) fn is_known(&self, order: &str) -> bool {
        self.earlier.lock().expect("nobody panics while noting").contains(order)
    }

    /// The process with this name in [`CAST`].
    pub(crate) fn member(&self, name: &str) -> &Member {
        self.members.iter().find(|member| member.name == name).expect("faults name members of the cast")
    }

    /// Has every durable consumer forget how far it has read: all events come again to everybody. Answers how many have.
    ///
    /// # Errors
    /// If the broker does not answer; some may have forgotten then.
    pub(crate) async fn redeliver(&self) -> Result<usize, async_nats::Error> {
        let (jetstream, namespace) = self.jetstream().await?;
        let mut forgotten = 0;
        for stream in DOMAINS {
            let stream = jetstream.get_stream_no_info(namespace.stream(stream.domain)).await?;
            for service in LISTENING {
                // Not every service listens to every domain.
                forgotten += usize::from(stream.delete_consumer(service).await.is_ok());
            }
        }
        Ok(forgotten)
    }

    /// Pulls a lever of the bank.
    pub(crate) async fn bank_lever(&self, path: &str, body: Value) -> Value {
        let bank = Person::visitor(&self.bank.base_url());
        let method = if body.is_null() { reqwest::Method::GET } else { reqwest::Method::POST };
        bank.send(method, path, &[], body).await.body
    }

    /// How many calls of the bank have failed so far, of those that faults of this path were to strike.
    pub(crate) async fn bank_failed(&self, path: &str) -> u64 {
        self.bank_lever("/test/faults", Value::Null).await["struck"][path].as_u64().unwrap_or_default()
    }

    /// The bank does what it is asked again, and tells of it at once.
    pub(crate) async fn bank_well(&self) {
        let bank = Person::visitor(&self.bank.base_url());
        bank.delete("/test/faults").await;
        self.bank_lever("/test/webhooks/mode", json!({ "retry_ms": [200, 1_000, 3_000, 10_000] })).await;
    }

    /// Ends everything.
    pub async fn stop(self) {
        for member in &self.members {
            member.kill().await;
        }
        self.bank.stop().await;
        self.servers.stop().await;
    }
}

/// The processes to be. Of auth there is one, and it comes first: all others ask it for its keys.
async fn members(
    cast: &[&'static str],
    targets: &Targets,
    shared: &mut Vec<(&'static str, String)>,
    folder: &Path,
    build: &Build,
) -> Vec<Member> {
    let mut members = Vec::new();
    for name in cast {
        let member = Member::new(name, targets, shared, folder, build).await;
        if *name == "auth" {
            shared.push(("DOCKET_JWKS_URL", format!("{}/.well-known/jwks.json", member.base())));
        }
        members.push(member);
    }
    members
}

fn shared(namespace: &str, bank: &StripeStandIn) -> Vec<(&'static str, String)> {
    let account = BankOptions::default();
    vec![
        ("DOCKET_NAMESPACE", namespace.to_owned()),
        ("DOCKET_DEMO", "0".to_owned()),
        ("DOCKET_HTTP_WORKERS", "1".to_owned()),
        ("HOLD_SECONDS", HOLD_SECONDS.to_string()),
        // The few people of a run let many holds run out, on purpose.
        ("HOLD_PAUSE_AFTER", "0".to_owned()),
        ("STRIPE_SECRET_KEY", account.secret_key),
        ("STRIPE_WEBHOOK_SECRET", account.webhook_secret),
        ("STRIPE_API_BASE", bank.base_url()),
        ("RUST_LOG", "info".to_owned()),
    ]
}

fn doors(members: &[Member]) -> Doors {
    let of = |service: &str| -> Vec<String> {
        members.iter().filter(|member| member.service() == service).map(Member::base).collect()
    };
    Doors::to(of("auth").concat(), [of("tickets"), of("payments"), of("orders")])
}
