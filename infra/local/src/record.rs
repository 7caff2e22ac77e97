//! Which process serves a folder, so that the next run finds what a killed one left behind: a server bears its folder in its
//! environment from its first moment, and is noted on disk a moment later.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use crate::error::{AboutFile, LocalError};
use crate::wait::until;

const STOP_LIMIT: Duration = Duration::from_secs(10);

/// What a server's folder is called in its environment.
const SERVES: &str = "DOCKET_SERVES";

/// One process, told apart from a later one with the same id by when it was started.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pid: i32,
    started: u64,
    boot: String,
}

impl Record {
    /// Notes that `pid` serves `home`. Where there is no `/proc` nothing is noted, and leftovers are not looked for.
    pub(crate) fn save(home: &Path, pid: Pid) -> Result<(), LocalError> {
        let Some(record) = Record::of(pid.as_raw_nonzero().get()) else { return Ok(()) };
        let path = path(home);
        write_through(&path, &serde_json::json!(record).to_string()).about(path)
    }

    /// Forgets the process, as it has ended.
    pub(crate) fn remove(home: &Path) {
        let _ = fs::remove_file(path(home));
    }

    /// Whether the process that served `home` last was running when its machine went down.
    pub(crate) fn outlasted_its_machine(home: &Path) -> bool {
        let booted = boot();
        Record::load(home).is_some_and(|record| booted.is_some_and(|booted| record.boot != booted))
    }

    fn load(home: &Path) -> Option<Record> {
        serde_json::from_str(&fs::read_to_string(path(home)).ok()?).ok()
    }

    fn of(pid: i32) -> Option<Record> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        Some(Record { pid, started: start_of_living(&stat)?, boot: boot()? })
    }

    fn is_alive(&self) -> bool {
        Record::of(self.pid).as_ref() == Some(self)
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.pid).filter(|_| self.is_alive()) {
            let _ = kill_process(pid, signal);
        }
    }

    async fn is_gone(&self) -> bool {
        let gone = || async { (!self.is_alive()).then_some(()) };
        until(STOP_LIMIT, gone).await.is_some()
    }
}

/// On the disk before it comes back: a power cut must find it there.
fn write_through(path: &Path, text: &str) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// What tells one run of the machine from the next.
fn boot() -> Option<String> {
    Some(fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned())
}

/// Has the server that `command` starts bear its folder, whoever is killed before it is noted.
pub(crate) fn mark(command: &mut Command, home: &Path) -> Result<(), LocalError> {
    command.env(SERVES, fs::canonicalize(home).about(home)?);
    Ok(())
}

/// Stops the servers that a killed Docket left running in `home`.
pub(crate) async fn stop_leftovers(server: &'static str, home: &Path) -> Result<(), LocalError> {
    let mut leftovers = serving(home);
    // One of a build that marked none.
    leftovers.extend(Record::load(home).filter(|noted| noted.is_alive() && !leftovers.contains(noted)));
    for leftover in leftovers {
        tracing::warn!(server, pid = leftover.pid, "stopping a server which an earlier run left behind");
        leftover.signal(Signal::CONT);
        leftover.signal(Signal::TERM);
        if !leftover.is_gone().await {
            leftover.signal(Signal::KILL);
        }
        if !leftover.is_gone().await {
            return Err(still_there(server));
        }
    }
    Ok(())
}

/// The processes that bear `home`. Where there is no `/proc` none are found.
fn serving(home: &Path) -> Vec<Record> {
    let (Ok(home), Ok(processes)) = (fs::canonicalize(home), fs::read_dir("/proc")) else { return Vec::new() };
    let mark = [OsStr::new(SERVES), home.as_os_str()].map(OsStr::as_encoded_bytes).join(&b'=');
    let bears = |pid: &i32| {
        // Nobody's business are those that are another user's, or have ended.
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == mark)
    };
    let ids = processes.filter_map(|process| process.ok()?.file_name().to_str()?.parse().ok());
    ids.filter(bears).filter_map(Record::of).collect()
}

fn still_there(server: &'static str) -> LocalError {
    let source = io::Error::new(io::ErrorKind::TimedOut, "an earlier run's process does not end");
    LocalError::Signal { server, source }
}

fn path(home: &Path) -> PathBuf {
    home.join("process.json")
}

/// When a process was started, from its `/proc/<pid>/stat`; `None` for one that has ended and waits to be reaped.
fn start_of_living(stat: &str) -> Option<u64> {
    // The command's name is in parentheses and may itself hold spaces and parentheses.
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace();
    let state = fields.next()?;
    let started = fields.nth(18)?.parse().ok()?;
    (state != "Z" && state != "X").then_some(started)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "42 (a (b) c) S 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 9 0 123456 1 2 3";

    #[test]
    fn the_start_is_read_behind_a_name_with_parentheses() {
        assert_eq!(start_of_living(STAT), Some(123_456));
    }

    #[test]
    fn a_zombie_is_not_alive() {
        assert_eq!(start_of_living(&STAT.replace(") S", ") Z")), None);
    }

    #[test]
    fn another_process_with_the_same_id_is_not_ours() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let ours = Record::of(pid).unwrap();
        assert!(ours.is_alive());
        assert!(!Record { started: ours.started + 1, ..ours }.is_alive());
    }
}
