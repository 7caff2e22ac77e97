//! A small disk of its own for one folder. To mount it needs the rights of a superuser.

use std::io;
use std::path::{Path, PathBuf};

use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// Enough for the streams of a world; so little that it is full at once.
const SIZE: &str = "size=64m";

/// A mounted disk in memory.
#[derive(Debug)]
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one over a folder.
    ///
    /// # Errors
    /// Why that is not permitted.
    pub(crate) async fn over(folder: &Path) -> Result<Self, String> {
        tokio::fs::create_dir_all(folder).await.map_err(|error| error.to_string())?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", SIZE, "tmpfs"]).arg(folder).kill_on_drop(true);
        let mounted = mount.output().await.map_err(|error| format!("mount: {error}"))?;
        match mounted.status.success() {
            true => Ok(Self(folder.to_owned())),
            false => Err(String::from_utf8_lossy(&mounted.stderr).trim().to_owned()),
        }
    }

    /// Unmounts what a killed run has left there.
    pub(crate) async fn clear(folder: &Path) {
        while is_mounted(folder).await && unmount(folder).await {}
    }

    /// Fills it to the last byte.
    ///
    /// # Errors
    /// If it cannot be written to at all.
    pub(crate) async fn fill(&self) -> io::Result<()> {
        fill_disk(&self.0).await
    }

    /// Makes room again.
    pub(crate) async fn empty(&self) {
        // It may not have been filled.
        let _ = make_room(&self.0).await;
    }

    /// Unmounts it; what is on it is gone.
    pub(crate) async fn remove(self) {
        unmount(&self.0).await;
    }
}

/// Fills a disk to the last byte, with one file in this folder of it.
///
/// # Errors
/// If it cannot be written to at all.
pub async fn fill_disk(folder: &Path) -> io::Result<()> {
    let mut filler = File::create(filler(folder)).await?;
    for length in [64 * 1024, 1024, 1] {
        let piece = vec![0; length];
        while filler.write_all(&piece).await.is_ok() && filler.flush().await.is_ok() {}
    }
    Ok(())
}

/// Makes room again after [`fill_disk`].
///
/// # Errors
/// If the disk was not filled.
pub async fn make_room(folder: &Path) -> io::Result<()> {
    tokio::fs::remove_file(filler(folder)).await
}

fn filler(folder: &Path) -> PathBuf {
    folder.join("filler")
}

async fn is_mounted(folder: &Path) -> bool {
    let Ok(folder) = tokio::fs::canonicalize(folder).await else { return false };
    let mounts = tokio::fs::read_to_string("/proc/self/mounts").await.unwrap_or_default();
    mounts.lines().any(|line| line.split(' ').nth(1).is_some_and(|mounted| Path::new(mounted) == folder))
}

async fn unmount(folder: &Path) -> bool {
    let unmounted = Command::new("umount").arg(folder).kill_on_drop(true).output().await;
    unmounted.is_ok_and(|done| done.status.success())
}
