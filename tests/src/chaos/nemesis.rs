//! What goes wrong, done to a world as planned, and undone. Of each fault it says how much of it was felt.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use bson::doc;
use docket_local::Server as Running;
use serde_json::json;

use super::disorder::Paused;
use super::faults::{Asker, Fault, Planned, Server};
use super::member::Member;
use super::plan::{NODES, Plan, Webhooks};
use super::server_faults;
use super::slow_peers::pester;
use super::world::World;
use crate::fault_proxy::Way;
use crate::wait::pause;

/// The beginning of a command that writes: its name is the first field.
const WRITES: [&[u8]; 4] = [b"\x02update\0", b"\x02insert\0", b"\x02delete\0", b"\x02findAndModify\0"];

/// The beginning of a message that is published with headers, as every event is.
const PUBLISHES: [&[u8]; 1] = [b"HPUB "];

/// How long turning around may take; a broker that is harmed too may never do it.
const TURNED_WITHIN: Duration = Duration::from_secs(5);

/// How often each kind of fault was planned, and how much of it was felt: in processes, servers, connections, messages, answers
/// or calls, whatever it harms.
#[derive(Clone, Debug, Default)]
pub struct Felt(BTreeMap<String, Times>);

#[derive(Clone, Copy, Debug, Default)]
struct Times {
    planned: usize,
    felt: usize,
    harm: usize,
}

impl Felt {
    fn note(&mut self, kind: String, harm: usize) {
        let times = self.0.entry(kind).or_default();
        times.planned += 1;
        times.felt += usize::from(harm > 0);
        times.harm += harm;
    }

    /// Adds what was felt in another run.
    pub fn add(&mut self, other: &Self) {
        for (kind, more) in &other.0 {
            let times = self.0.entry(kind.clone()).or_default();
            times.planned += more.planned;
            times.felt += more.felt;
            times.harm += more.harm;
        }
    }

    /// The kinds that were planned at least so often and never felt: they are no faults.
    pub fn never_felt(&self, planned: usize) -> Vec<&str> {
        let never = self.0.iter().filter(|(_, times)| times.planned >= planned && times.felt == 0);
        never.map(|(kind, _)| kind.as_str()).collect()
    }
}

impl fmt::Display for Felt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, (kind, times)) in self.0.iter().enumerate() {
            let space = if nth == 0 { "" } else { " " };
            write!(f, "{space}{kind} {}/{}:{}", times.felt, times.planned, times.harm)?;
        }
        Ok(())
    }
}

/// Does all that is planned, and says what of it was felt. Comes back when all of it is over; what is broken then stays so until
/// it is healed.
pub(crate) async fn harm(world: &World, plan: &Plan) -> Felt {
    webhooks(world, plan.webhooks).await;
    let done = plan.faults.iter().map(|planned| async move {
        pause(planned.at).await;
        (planned.kind(), one(world, planned).await)
    });
    let mut felt = Felt::default();
    futures::future::join_all(done).await.into_iter().for_each(|(kind, harm)| felt.note(kind, harm));
    felt
}

async fn webhooks(world: &World, how: Webhooks) {
    let retry = json!([200, 1_000, 3_000, 10_000]);
    let mode = match how {
        Webhooks::Prompt => json!({ "retry_ms": retry }),
        Webhooks::Late(delay) => json!({ "retry_ms": retry, "delay_ms": delay.as_millis() }),
        Webhooks::Repeated => json!({ "retry_ms": retry, "duplicate": 2, "shuffle": true }),
        Webhooks::Lost => json!({ "retry_ms": retry, "hold": true }),
    };
    world.bank_lever("/test/webhooks/mode", mode).await;
}

/// One fault; how much of it was felt.
async fn one(world: &World, Planned { length, fault, .. }: &Planned) -> usize {
    match fault {
        Fault::Link { of, to, way } => link(world, of, *to, *way, *length).await,
        Fault::Kill(name) => {
            let ran = world.member(name).kill().await;
            pause(*length).await;
            world.member(name).start(0).await;
            usize::from(ran)
        }
        Fault::Skew(name, offset) => {
            let ran = world.member(name).kill().await;
            world.member(name).start(*offset).await;
            usize::from(ran)
        }
        Fault::Freeze(name) => {
            let ran = world.member(name).freeze().await;
            pause(*length).await;
            world.member(name).thaw().await;
            usize::from(ran)
        }
        Fault::KillServer(server, nth) => kill_server(world.server(*server, *nth), *length).await,
        Fault::FreezeServer(server, nth) => freeze_server(world.server(*server, *nth), *length).await,
        Fault::LockDatabase(nth) => lock_database(world, *nth, *length).await,
        Fault::StepDown => server_faults::step_down(world).await,
        Fault::KillPrimary => server_faults::kill_primary(world, *length).await,
        Fault::FillDisk => server_faults::fill_disk(world, *length).await,
        Fault::Redeliver => heard(world.redeliver().await),
        Fault::Disorder(domain) => heard(disorder(world, domain, *length).await),
        Fault::LoseAnswers(asker, count) => lose_answers(world, *asker, *count, *length).await,
        Fault::Impatience(patience) => {
            let before = world.doors.hung_up();
            world.doors.set_patience(Some(*patience));
            pause(*length).await;
            world.doors.set_patience(None);
            world.doors.hung_up() - before
        }
        Fault::SlowPeers(name, peers) => pester(world.member(name).port(), *peers, *length).await,
        Fault::BankSilent { calls } => {
            let fault = json!({ "count": calls, "method": "POST", "kind": "disconnect", "when": "after" });
            bank(world, "", fault, *length).await
        }
        Fault::BankFails { at, calls, when } => {
            let fault = json!({ "count": calls, "method": "POST", "path": at, "kind": "error", "when": when });
            bank(world, at, fault, *length).await
        }
        Fault::Exchange(name) => {
            let Some(builds) = &world.builds else { return 0 };
            world.member(name).exchange(builds).await;
            1
        }
    }
}

async fn link(world: &World, of: &[&'static str], to: Server, way: Way, length: Duration) -> usize {
    let members: Vec<&Member> = of.iter().map(|name| world.member(name)).collect();
    let felt = || members.iter().map(|member| member.felt(to)).sum::<usize>();
    let before = felt();
    members.iter().for_each(|member| member.set_way(to, way));
    pause(length).await;
    members.iter().for_each(|member| member.set_way(to, Way::Open));
    felt() - before
}

/// What the broker was asked to do, if it could: it may be harmed at the same time.
fn heard(done: Result<usize, async_nats::Error>) -> usize {
    done.unwrap_or_else(|error| {
        tracing::debug!(%error, "the broker is harmed too");
        0
    })
}

/// Pauses all who listen to a domain, and has what they did not hear come in the opposite order.
async fn disorder(world: &World, domain: &str, length: Duration) -> Result<usize, async_nats::Error> {
    let paused = Paused::begin(world, domain, length).await?;
    pause(length).await;
    let turned = tokio::time::timeout(TURNED_WITHIN, paused.turn_around()).await;
    paused.end().await?;
    turned?
}

async fn lose_answers(world: &World, asker: Asker, count: usize, length: Duration) -> usize {
    let (name, server, parts): (_, _, &[&[u8]]) = match asker {
        Asker::Writer(name) => (name, Server::Mongod, &WRITES),
        Asker::Publisher(name) => (name, Server::Nats, &PUBLISHES),
        Asker::Buyers => {
            let before = world.doors.lost();
            world.doors.lose_answers(count);
            pause(length).await;
            return world.doors.lost() - before;
        }
    };
    let member = world.member(name);
    let before = member.lost(server);
    member.lose_answers(server, parts, count);
    pause(length).await;
    member.lose_answers(server, &[], 0);
    member.lost(server) - before
}

async fn bank(world: &World, path: &str, fault: serde_json::Value, length: Duration) -> usize {
    let before = world.bank_failed(path).await;
    world.bank_lever("/test/faults", fault).await;
    pause(length).await;
    usize::try_from(world.bank_failed(path).await - before).unwrap_or(usize::MAX)
}

/// Two faults may meet at one server; then the second finds it down, which is harm enough.
async fn kill_server(server: &Running, length: Duration) -> usize {
    let killed = server.kill().await;
    pause(length).await;
    harmed(&[killed, server.start().await])
}

async fn freeze_server(server: &Running, length: Duration) -> usize {
    let frozen = server.pause().await;
    pause(length).await;
    harmed(&[frozen, server.resume().await])
}

fn harmed(done: &[Result<(), docket_local::LocalError>]) -> usize {
    done.iter().filter_map(|done| done.as_ref().err()).for_each(|error| {
        tracing::debug!(%error, "a server is harmed twice");
    });
    usize::from(done.first().is_some_and(Result::is_ok))
}

/// A database that is frozen or killed meanwhile forgets its lock when it is started again, or is told to.
async fn lock_database(world: &World, nth: usize, length: Duration) -> usize {
    let locked = world.tell_mongod(nth, doc! { "fsync": 1, "lock": true }).await;
    pause(length).await;
    if let Err(why) = world.tell_mongod(nth, doc! { "fsyncUnlock": 1 }).await {
        tracing::debug!(why, "a database is harmed twice");
    }
    usize::from(locked.is_ok())
}

/// Takes all harm away: servers and processes run and are ready, the bank answers.
///
/// # Errors
/// What does not get well again.
pub(crate) async fn heal(world: &World) -> Result<(), String> {
    world.bank_well().await;
    world.doors.heal();
    if let Some((disk, _)) = world.small_disk() {
        disk.empty().await;
    }
    for server in world.all_servers() {
        // Frozen or not: one that is down says so, and is started.
        let _ = server.resume().await;
        server.start().await.map_err(|error| error.to_string())?;
    }
    for nth in 0..NODES {
        // Locks are counted, and one whose command was given up may have been taken all the same.
        while world.tell_mongod(nth, doc! { "fsyncUnlock": 1 }).await.is_ok() {}
    }
    if let Some(set) = world.replica_set() {
        set.primary_after(0).await.map_err(|error| error.to_string())?;
    }
    let healed = futures::future::join_all(world.members.iter().map(Member::heal)).await;
    healed.into_iter().collect()
}
