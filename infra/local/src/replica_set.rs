//! Several `mongod` on loopback that are one replica set, as in production.
//!
//! The members elect a new primary within a few seconds after they have lost it. Which one it is, and how often there was an
//! election, the members themselves say. The set is always made anew: the members' addresses stand in what they store.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use mongodb::bson::{Document, doc};
use mongodb::error::Error;
use tokio::time::timeout;

use crate::data_dir::Lock;
use crate::error::LocalError;
use crate::find::install;
use crate::log;
use crate::mongod::{SET, admin, host};
use crate::options::Options;
use crate::program::{Among, Kind, Program};
use crate::server::{Server, launch_all};
use crate::servers::prepare;
use crate::wait::until;

const READY_LIMIT: Duration = Duration::from_mins(1);
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// How long the members wait for a silent primary before they elect another.
const ELECTION_TIMEOUT_MS: i32 = 2_000;
const HEARTBEAT_MS: i32 = 500;

/// For how long a primary that stepped down may not be elected again, and how long it waits for another to catch up with it.
const STEPPED_DOWN_SECONDS: i32 = 5;
const CATCH_UP_SECONDS: i32 = 2;

/// Two of a member's states, by MongoDB's numbers.
const PRIMARY: i32 = 1;
const SECONDARY: i32 = 2;

/// A running replica set. Each member is a [`Server`] of its own, to be killed, frozen and started again.
#[derive(Debug)]
pub struct ReplicaSet {
    members: Vec<Server>,
    logs: Vec<PathBuf>,
}

/// The primary at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Primary<'s> {
    /// Which member it is.
    pub member: &'s Server,
    /// The number of its election: each one has a greater number.
    pub term: i64,
}

impl ReplicaSet {
    /// Starts so many members, and waits until one is primary and all others follow it. The folder may not be that of other
    /// servers, and what is in it is thrown away; of the options, those about `nats-server` do not matter.
    ///
    /// # Errors
    /// [`LocalError`], as for a single server.
    pub async fn start(options: Options, members: usize) -> Result<ReplicaSet, LocalError> {
        let options = Options { mongod: true, nats: false, fresh: true, ..options };
        let lock = Arc::new(Lock::own(&options.data_dir)?);
        let Some(binary) = install(&options).await?.mongod else {
            return Err(LocalError::NotRunning(Kind::Mongod.name()));
        };
        let mut programs = Vec::with_capacity(members);
        for nth in 1..=members {
            let home = options.data_dir.join(format!("mongo-{nth}"));
            prepare(Kind::Mongod, &home, &options).await?;
            programs.push(Program::new(Kind::Mongod, binary.clone(), &home, &options, Among::ReplicaSet)?);
        }
        let logs = programs.iter().map(Program::log).collect();
        let set = ReplicaSet { members: launch_all(programs, &lock).await?, logs };
        if let Err(reason) = set.initiate().await {
            let log = set.tails();
            set.stop().await;
            return Err(LocalError::NotReady { server: Kind::Mongod.name(), reason, log });
        }
        Ok(set)
    }

    /// Where clients connect: all members.
    pub fn url(&self) -> String {
        format!("mongodb://{}/?replicaSet={SET}", self.hosts().join(","))
    }

    /// The members.
    pub fn members(&self) -> &[Server] {
        &self.members
    }

    /// The primary, if a member says that it is the one. Of two that say so, the one that was elected last is right.
    pub async fn primary(&self) -> Option<Primary<'_>> {
        let asked = self.members.iter().map(|member| async move {
            let status = timeout(ANSWER_LIMIT, ask(member, doc! { "replSetGetStatus": 1 })).await.ok()?.ok()?;
            let term = status.get_i64("term").ok()?;
            status.get_i32("myState").is_ok_and(|state| state == PRIMARY).then_some(Primary { member, term })
        });
        join_all(asked).await.into_iter().flatten().max_by_key(|primary| primary.term)
    }

    /// Waits for a primary that was elected after the `term`.
    ///
    /// # Errors
    /// [`LocalError::NotReady`] if there is none within a minute.
    pub async fn primary_after(&self, term: i64) -> Result<Primary<'_>, LocalError> {
        let newer = until(READY_LIMIT, || async { self.primary().await.filter(|primary| primary.term > term) });
        newer.await.ok_or_else(|| LocalError::NotReady {
            server: Kind::Mongod.name(),
            reason: format!("did not elect a primary after term {term} within {READY_LIMIT:?}"),
            log: self.tails(),
        })
    }

    /// Has the primary step down (`replSetStepDown`): it becomes a follower, and the others elect one of them.
    ///
    /// # Errors
    /// [`LocalError::NotRunning`] if there is no primary, or it does not do so.
    pub async fn step_down(&self) -> Result<(), LocalError> {
        let unwilling = || LocalError::NotRunning(Kind::Mongod.name());
        let primary = self.primary().await.ok_or_else(unwilling)?;
        let order = doc! {
            "replSetStepDown": STEPPED_DOWN_SECONDS, "secondaryCatchUpPeriodSecs": CATCH_UP_SECONDS, "force": true,
        };
        ask(primary.member, order).await.map(drop).map_err(|error| {
            tracing::warn!(%error, "a primary does not step down");
            unwilling()
        })
    }

    /// Stops all members, and waits for their end.
    pub async fn stop(self) {
        join_all(self.members.into_iter().map(Server::shut_down)).await;
    }

    /// The end of each member's log.
    fn tails(&self) -> String {
        self.logs.iter().map(|log| log::tail(log)).collect::<Vec<_>>().join("\n")
    }

    fn hosts(&self) -> Vec<String> {
        self.members.iter().map(|member| host(member.port())).collect()
    }

    /// Makes the set of the members, which are not in one yet.
    async fn initiate(&self) -> Result<(), String> {
        let first = self.members.first().ok_or("has no members")?;
        let members: Vec<Document> =
            (0..).zip(self.hosts()).map(|(id, host)| doc! { "_id": id, "host": host }).collect();
        let settings = doc! {
            "electionTimeoutMillis": ELECTION_TIMEOUT_MS, "heartbeatIntervalMillis": HEARTBEAT_MS,
            "heartbeatTimeoutSecs": CATCH_UP_SECONDS, "catchUpTimeoutMillis": ELECTION_TIMEOUT_MS,
        };
        let config = doc! { "_id": SET, "members": members, "settings": settings };
        ask(first, doc! { "replSetInitiate": config }).await.map_err(|error| error.to_string())?;
        let whole = until(READY_LIMIT, || self.is_whole()).await;
        whole.ok_or_else(|| format!("did not become a replica set within {READY_LIMIT:?}"))
    }

    async fn is_whole(&self) -> Option<()> {
        let primary = self.primary().await?;
        let status = ask(primary.member, doc! { "replSetGetStatus": 1 }).await.ok()?;
        let members = status.get_array("members").ok()?.iter().filter_map(|member| member.as_document());
        let following = members.filter(|member| matches!(member.get_i32("state"), Ok(PRIMARY | SECONDARY))).count();
        (following == self.members.len()).then_some(())
    }
}

/// Asks one member, whatever its state.
async fn ask(member: &Server, question: Document) -> Result<Document, Error> {
    let admin = admin(member.port())?;
    let answer = admin.run_command(question).await;
    admin.client().clone().shutdown().immediate(true).await;
    answer
}
