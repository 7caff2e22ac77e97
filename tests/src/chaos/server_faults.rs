//! What goes wrong with the servers of a world that has more than the usual ones: the primary of a replica set steps down or is
//! killed, the disk of the broker is full. Each fault says how much of it was felt: in elections, in refused publishes.

use std::time::Duration;

use docket_local::ReplicaSet;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::faults::{Fault, Planned};
use super::plan::{Length, millis};
use super::servers::Equipment;
use super::world::World;
use crate::binaries::ops_of;
use crate::wait::pause;

/// How long an election may take: a member that is down or frozen, too, delays it.
const ELECTED_WITHIN: Duration = Duration::from_secs(20);

/// How long a process may take to tell its metrics; a frozen one never does.
const TOLD_WITHIN: Duration = Duration::from_secs(3);

/// Makes these faults differ from the others of a seed.
const OTHERS: u64 = 0x5e7;

/// What goes wrong with such servers in the run of a seed.
pub(super) fn planned(seed: u64, length: Length, equipment: Equipment) -> Vec<Planned> {
    let mut rng = StdRng::seed_from_u64(seed ^ OTHERS);
    let times = if length == Length::Short { 1 } else { 3 };
    let mut planned = Vec::new();
    if equipment.replica_set {
        for nth in 0..times {
            let at = Duration::from_secs(8 * nth);
            planned.push(Planned {
                at: at + millis(&mut rng, 200..900),
                length: Duration::ZERO,
                fault: Fault::StepDown,
            });
            let killed = Fault::KillPrimary;
            planned.push(Planned {
                at: at + millis(&mut rng, 2_000..3_500),
                length: millis(&mut rng, 500..3_000),
                fault: killed,
            });
        }
    }
    if equipment.small_disk {
        planned.push(Planned {
            at: millis(&mut rng, 200..1_500),
            length: millis(&mut rng, 12_000..25_000),
            fault: Fault::FillDisk,
        });
    }
    planned
}

/// The primary of a replica set steps down. Answers how many elections there were.
pub(super) async fn step_down(world: &World) -> usize {
    let Some(set) = world.replica_set() else { return 0 };
    elections(set, async {
        if let Err(error) = set.step_down().await {
            tracing::debug!(%error, "a replica set is harmed twice");
        }
    })
    .await
}

/// The primary of a replica set is killed, and started again later. Answers how many elections there were.
pub(super) async fn kill_primary(world: &World, length: Duration) -> usize {
    let Some(set) = world.replica_set() else { return 0 };
    elections(set, async {
        let Some(primary) = set.primary().await else { return };
        let killed = primary.member.kill().await;
        pause(length).await;
        if let Err(error) = killed.and(primary.member.start().await) {
            tracing::debug!(%error, "a replica set is harmed twice");
        }
    })
    .await
}

/// How many elections there were until the first after `harm`.
async fn elections(set: &ReplicaSet, harm: impl Future<Output = ()>) -> usize {
    let Some(before) = elected_after(set, 0).await else { return 0 };
    harm.await;
    let elected = elected_after(set, before).await.map_or(0, |term| term - before);
    usize::try_from(elected).unwrap_or_default()
}

/// The term of the primary that was elected after another term, if one is in time.
async fn elected_after(set: &ReplicaSet, term: i64) -> Option<i64> {
    let elected = tokio::time::timeout(ELECTED_WITHIN, set.primary_after(term)).await;
    elected.ok()?.ok().map(|primary| primary.term)
}

/// The broker's disk is full for a while. Then there is room, and the broker is started again, as whoever makes room is told to
/// do. Answers how many events it refused.
pub(super) async fn fill_disk(world: &World, length: Duration) -> usize {
    let Some((disk, broker)) = world.small_disk() else { return 0 };
    let before = refused(world).await;
    if let Err(error) = disk.fill().await {
        tracing::debug!(%error, "a disk is not filled");
    }
    pause(length).await;
    let after = refused(world).await;
    disk.empty().await;
    if let Err(error) = broker.restart().await {
        tracing::debug!(%error, "a broker is harmed twice");
    }
    after.iter().zip(before).map(|(after, before)| after.saturating_sub(before)).sum()
}

/// How many events each process could not publish so far; a process that was started again begins anew.
async fn refused(world: &World) -> Vec<usize> {
    let counts = world.members.iter().map(|member| async move {
        let answer = tokio::time::timeout(TOLD_WITHIN, ops_of(&member.ops(), "/metrics")).await.ok().flatten();
        let (_, metrics) = answer.unwrap_or_default();
        let failed = metrics.lines().filter(|line| line.starts_with("publishing_failed_total{"));
        let counts = failed.filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok());
        counts.sum()
    });
    futures::future::join_all(counts).await
}
