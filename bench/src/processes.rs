//! What the system tells about processes, in `/proc`.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::Serialize;

use crate::Result;

/// CPU time and memory of a process.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Usage {
    /// User and system time since the process began, in seconds.
    pub(crate) cpu_seconds: f64,
    /// The most memory it ever had resident, in MiB.
    pub(crate) peak_rss_mib: f64,
}

impl Usage {
    /// Of a process that runs.
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let ticks = cpu_ticks(&stat).ok_or("/proc/<pid>/stat is not as expected")?;
        let kib = peak_kib(&status).ok_or("/proc/<pid>/status is not as expected")?;
        let cpu = Duration::from_secs(ticks) / u32::try_from(rustix::param::clock_ticks_per_second())?;
        Ok(Self { cpu_seconds: cpu.as_secs_f64(), peak_rss_mib: kib as f64 / 1024.0 })
    }

    /// The CPU time since `before`, with the memory of now.
    pub(crate) fn since(self, before: Self) -> Self {
        Self { cpu_seconds: self.cpu_seconds - before.cpu_seconds, ..self }
    }
}

/// The command's name is in parentheses and may itself hold spaces and parentheses.
fn after_name(stat: &str) -> Option<std::str::SplitWhitespace<'_>> {
    Some(stat.rsplit_once(')')?.1.split_whitespace())
}

fn cpu_ticks(stat: &str) -> Option<u64> {
    let mut fields = after_name(stat)?.skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(user + system)
}

fn peak_kib(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Lets this process, and those it starts, have as many files and connections open as the system allows.
pub(crate) fn raise_open_files() -> Result {
    let limit = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?)
}

/// The processes that `parent` started, by their names.
pub(crate) fn children(parent: u32) -> BTreeMap<String, u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| parent_of(*pid) == Some(parent)).filter_map(|pid| Some((name_of(pid)?, pid))).collect()
}

fn parent_of(pid: u32) -> Option<u32> {
    after_name(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?.nth(1)?.parse().ok()
}

fn name_of(pid: u32) -> Option<String> {
    Some(fs::read_to_string(format!("/proc/{pid}/comm")).ok()?.trim().to_owned())
}

/// The TCP ports that a process listens on, of IPv4.
pub(crate) fn listening_ports(pid: u32) -> Vec<u16> {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let targets = descriptors.filter_map(|entry| fs::read_link(entry.path()).ok());
    let sockets: HashSet<String> = targets.filter_map(|target| inode(target.to_str()?)).collect();
    let table = fs::read_to_string(format!("/proc/{pid}/net/tcp")).unwrap_or_default();
    table.lines().filter_map(listener).filter(|(_, inode)| sockets.contains(inode)).map(|(port, _)| port).collect()
}

fn inode(target: &str) -> Option<String> {
    Some(target.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())
}

/// Port and inode of a line of `/proc/net/tcp` about a socket that listens (state 0A).
fn listener(line: &str) -> Option<(u16, String)> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
    let port = u16::from_str_radix(local.rsplit_once(':')?.1, 16).ok()?;
    (*state == "0A").then(|| (port, (*inode).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_user_and_system_time() {
        let stat = "42 (a (b) c) S 1 42 42 0 -1 4194560 1 2 3 4 70 8 9 10 20 0 9 0 123456 1 2 3";
        assert_eq!(cpu_ticks(stat), Some(78));
        assert_eq!(peak_kib("Name:\tx\nVmHWM:\t   2048 kB\n"), Some(2048));
    }

    #[test]
    fn only_listening_sockets_count() {
        let listens = "0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4711 1";
        assert_eq!(listener(listens), Some((8080, "4711".to_owned())));
        assert_eq!(listener(&listens.replace(" 0A ", " 01 ")), None);
    }

    #[test]
    fn this_process_uses_memory_and_listens_where_it_listens() {
        let socket = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let pid = std::process::id();
        assert!(Usage::of(pid).unwrap().peak_rss_mib > 0.0);
        assert!(listening_ports(pid).contains(&socket.local_addr().unwrap().port()));
    }
}
