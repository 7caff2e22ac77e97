//! The servers of a world: one of each kind, or three that do one kind's work together. The disk of NATS may be a small one.

use std::fmt;
use std::path::{Path, PathBuf};

use docket_local::{LocalServers, NatsCluster, Options, ReplicaSet, Server as Running};

use super::faults::Server;
use super::member::Targets;
use super::plan::NODES;
use super::small_disk::SmallDisk;

/// What carries the events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broker {
    /// One server.
    Single,
    /// Three servers, each with a copy of every stream.
    Cluster,
}

/// Which servers a world has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Equipment {
    /// What carries the events.
    pub broker: Broker,
    /// Whether MongoDB is a replica set of three. The processes then go to its members without a proxy in between, as they are
    /// told where they are by the members themselves.
    pub replica_set: bool,
    /// Whether a broker that is alone has a small disk, which can be filled.
    pub small_disk: bool,
}

impl From<Broker> for Equipment {
    fn from(broker: Broker) -> Self {
        Self { broker, replica_set: false, small_disk: false }
    }
}

impl fmt::Display for Equipment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.broker)?;
        f.write_str(if self.replica_set { ", replica set" } else { "" })?;
        f.write_str(if self.small_disk { ", small disk" } else { "" })
    }
}

/// The running servers.
pub(crate) struct Servers {
    single: LocalServers,
    cluster: Option<NatsCluster>,
    pub(crate) set: Option<ReplicaSet>,
    pub(crate) disk: Option<SmallDisk>,
    /// Why there is no small disk where there should be one.
    pub(crate) no_disk: Option<String>,
}

impl Servers {
    /// Starts them with their data in `folder`.
    pub(crate) async fn start(folder: &Path, equipment: Equipment) -> Result<Self, String> {
        let options = |folder: &Path| Options { durable: true, ..Options::for_tests(folder) };
        let told = |error: docket_local::LocalError| error.to_string();
        let data = nats_data(folder);
        SmallDisk::clear(&data).await;
        let is_cluster = equipment.broker == Broker::Cluster;
        let single = Options { nats: !is_cluster, mongod: !equipment.replica_set, ..options(folder) };
        let single = LocalServers::start(single).await.map_err(told)?;
        let cluster = match is_cluster {
            true => Some(NatsCluster::start(options(&folder.join("cluster")), NODES).await.map_err(told)?),
            false => None,
        };
        let set = match equipment.replica_set {
            true => Some(ReplicaSet::start(options(&folder.join("set")), NODES).await.map_err(told)?),
            false => None,
        };
        let mut servers = Self { single, cluster, set, disk: None, no_disk: None };
        if equipment.small_disk {
            match servers.give_small_disk(&data).await {
                Ok(disk) => servers.disk = Some(disk),
                Err(why) => servers.no_disk = Some(why),
            }
        }
        Ok(servers)
    }

    /// The broker's streams are to be on the small disk, so it is down while that takes the place of its folder.
    async fn give_small_disk(&self, data: &Path) -> Result<SmallDisk, String> {
        let nats = self.single.nats().ok_or("a cluster has no small disk")?;
        nats.stop().await.map_err(|error| error.to_string())?;
        let disk = SmallDisk::over(data).await;
        nats.start().await.map_err(|error| error.to_string())?;
        disk
    }

    /// One of the servers; of several, the one that is the `nth` in a circle.
    pub(crate) fn one(&self, which: Server, nth: usize) -> &Running {
        let server = match which {
            Server::Mongod => match &self.set {
                None => self.single.mongod(),
                Some(set) => set.members().get(nth % NODES),
            },
            Server::Nats => match &self.cluster {
                None => self.single.nats(),
                Some(cluster) => cluster.nodes().get(nth % NODES),
            },
        };
        server.expect("a world has both servers")
    }

    /// Every server.
    pub(crate) fn all(&self) -> Vec<&Running> {
        self.mongods().into_iter().chain(self.brokers()).collect()
    }

    fn mongods(&self) -> Vec<&Running> {
        let set = self.set.iter().flat_map(ReplicaSet::members);
        self.single.mongod().into_iter().chain(set).collect()
    }

    fn brokers(&self) -> Vec<&Running> {
        let cluster = self.cluster.iter().flat_map(NatsCluster::nodes);
        self.single.nats().into_iter().chain(cluster).collect()
    }

    /// Where processes find them.
    pub(crate) fn targets(&self) -> Targets {
        let set = self.set.as_ref().map(ReplicaSet::url);
        let nats = self.brokers().into_iter().map(Running::port).collect();
        Targets { mongod: self.one(Server::Mongod, 0).port(), set, nats }
    }

    /// The brokers' addresses.
    pub(crate) fn broker_urls(&self) -> Vec<String> {
        self.brokers().into_iter().map(|server| server.url().to_owned()).collect()
    }

    /// The address of the database.
    pub(crate) fn mongodb_uri(&self) -> String {
        match &self.set {
            None => self.one(Server::Mongod, 0).url().to_owned(),
            Some(set) => set.url(),
        }
    }

    /// Stops them all.
    pub(crate) async fn stop(self) {
        if let Some(cluster) = self.cluster {
            cluster.stop().await;
        }
        if let Some(set) = self.set {
            set.stop().await;
        }
        self.single.stop().await;
        if let Some(disk) = self.disk {
            disk.remove().await;
        }
    }
}

/// Where a broker that is alone keeps its streams.
fn nats_data(folder: &Path) -> PathBuf {
    folder.join("nats").join("data")
}
