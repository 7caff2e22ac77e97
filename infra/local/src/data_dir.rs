//! The right to use a folder, which one process holds at a time.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{AboutFile, LocalError};
use crate::wait::until;

/// What the servers have in a data folder.
pub const IN_DATA_DIR: [&str; 4] = ["lock", "mongo", "nats", "servers"];

const INSTALL_LIMIT: Duration = Duration::from_mins(15);

/// A held lock on a file. The system releases it when the holder ends, however it ends.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the data folder, or says who has it.
    pub(crate) fn own(data_dir: &Path) -> Result<Lock, LocalError> {
        fs::create_dir_all(data_dir).about(data_dir)?;
        let path = data_dir.join("lock");
        match try_lock(&path)? {
            Some(file) => sign(file, &path),
            None => Err(in_use(data_dir, &path)),
        }
    }

    /// Whether somebody has the data folder at this moment.
    pub(crate) fn is_owned(data_dir: &Path) -> Result<bool, LocalError> {
        let path = data_dir.join("lock");
        Ok(path.exists() && try_lock(&path)?.is_none())
    }

    /// Takes the lock at `path`, waiting while another process installs the same thing.
    pub(crate) async fn wait(path: PathBuf) -> Result<Lock, LocalError> {
        let taken = until(INSTALL_LIMIT, || async { try_lock(&path).transpose() }).await;
        let file = taken.unwrap_or_else(|| Err(in_use(&path, &path)))?;
        sign(file, &path)
    }
}

/// Whether this process may use a data folder, which is made if it is not there: it may write into it, and nobody else has it.
///
/// # Errors
/// What keeps it from that.
pub fn check_data_dir(data_dir: &Path) -> Result<(), LocalError> {
    Lock::own(data_dir).map(drop)
}

fn try_lock(path: &Path) -> Result<Option<File>, LocalError> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path).about(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(source)) => Err(source).about(path),
    }
}

fn sign(mut file: File, path: &Path) -> Result<Lock, LocalError> {
    file.set_len(0).about(path)?;
    write!(file, "{}", std::process::id()).about(path)?;
    Ok(Lock { _file: file })
}

fn in_use(folder: &Path, lock: &Path) -> LocalError {
    let owner = fs::read_to_string(lock).unwrap_or_default();
    let owner = if owner.is_empty() { "unknown".to_owned() } else { owner };
    LocalError::InUse { path: folder.to_owned(), owner }
}
