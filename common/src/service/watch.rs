//! What goes wrong unseen while all connections are well: publishing that is refused, and a disk that fills.

use std::path::{Path, PathBuf};
use std::time::Duration;

use metrics::gauge;
use serde_json::json;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::bus::{DOMAINS, Publishing};
use crate::http::Status;
use crate::telemetry::float;

const PUBLISHING_EVERY: Duration = Duration::from_secs(1);
const DISK_EVERY: Duration = Duration::from_secs(10);

/// Publishing that was refused for so long is told.
const STALLED_AFTER: Duration = Duration::from_secs(5);

/// A disk that is so full is told.
const FULL_PERCENT: u64 = 90;

/// Tells how publishing goes, until the stop.
pub(super) async fn watch_publishing(publishing: Publishing, status: Status, stop: CancellationToken) {
    let gauges: Vec<_> = DOMAINS.iter().map(|stream| (stream.domain, of_domain(stream.domain))).collect();
    let mut told = false;
    each(PUBLISHING_EVERY, stop, || {
        let stalled: Vec<_> = publishing.stalled().collect();
        for (domain, gauge) in &gauges {
            let length = stalled.iter().find(|(name, _)| name == domain).map_or(Duration::ZERO, |(_, length)| *length);
            gauge.set(length.as_secs_f64());
        }
        let stalled: serde_json::Map<_, _> = stalled
            .into_iter()
            .filter(|(_, length)| *length >= STALLED_AFTER)
            .map(|(domain, length)| (domain.to_owned(), length.as_secs().into()))
            .collect();
        let well = stalled.is_empty();
        if !well && !told {
            let streams = stalled.keys().cloned().collect::<Vec<_>>().join(", ");
            tracing::error!(
                streams,
                "NATS is connected but takes no events of these streams; if its disk was full, make room and restart it"
            );
        } else if well && told {
            tracing::info!("NATS takes events again");
        }
        told = !well;
        status.set("publishing", well, json!({ "stalledSeconds": stalled }));
    })
    .await;
}

fn of_domain(domain: &'static str) -> metrics::Gauge {
    gauge!("publishing_stalled_seconds", "domain" => domain)
}

/// Tells how full the disk of the data folder is, until the stop. A process without such a folder has nothing to tell.
pub(super) async fn watch_disk(folder: PathBuf, status: Status, stop: CancellationToken) {
    let (used, size) = (gauge!("data_disk_used_bytes"), gauge!("data_disk_size_bytes"));
    let mut told = false;
    each(DISK_EVERY, stop, || {
        let Some(disk) = Disk::of(&folder) else { return };
        used.set(float(disk.used));
        size.set(float(disk.size));
        let (percent, full) = (disk.used_percent(), disk.is_nearly_full());
        if full && !told {
            tracing::warn!(
                folder = %folder.display(),
                percent,
                "the disk of the data folder is nearly full; MongoDB ends and NATS takes no events when it is"
            );
        }
        told = full;
        status.set("disk", !full, json!({ "usedPercent": percent }));
    })
    .await;
}

async fn each(period: Duration, stop: CancellationToken, mut look: impl FnMut()) {
    let mut turns = interval(period);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(turns.tick()).await.is_some() {
        look();
    }
}

/// How full a disk is, for those who are no superuser.
#[derive(Clone, Copy, Debug)]
pub struct Disk {
    used: u64,
    size: u64,
}

impl Disk {
    /// The one that a folder is on; none if there is no such folder.
    pub fn of(folder: &Path) -> Option<Self> {
        let seen = rustix::fs::statvfs(folder).ok()?;
        let used = seen.f_blocks.saturating_sub(seen.f_bfree);
        let size = used.saturating_add(seen.f_bavail);
        Some(Self { used: used.saturating_mul(seen.f_frsize), size: size.saturating_mul(seen.f_frsize) })
    }

    /// How many bytes can still be written.
    pub fn free(&self) -> u64 {
        self.size.saturating_sub(self.used)
    }

    /// Whether somebody should make room.
    pub fn is_nearly_full(&self) -> bool {
        self.used_percent() >= FULL_PERCENT
    }

    /// How much of it is in use.
    pub fn used_percent(&self) -> u64 {
        let percent = u128::from(self.used) * 100 / u128::from(self.size.max(1));
        u64::try_from(percent).unwrap_or(100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disk_of_a_folder_is_measured() {
        let disk = Disk::of(&std::env::temp_dir()).unwrap();
        assert!(disk.size > 0 && disk.used <= disk.size && disk.used_percent() <= 100);
        assert!(Disk::of(Path::new("/made/up")).is_none());
        let full = Disk { used: 91, size: 100 };
        assert_eq!((full.used_percent(), full.free(), full.is_nearly_full()), (91, 9, true));
    }
}
