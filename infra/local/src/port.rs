//! Free ports.

use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use crate::error::{AboutFile, LocalError};

/// Below the range from which systems take the ports of outgoing connections. A client that keeps reconnecting to a
/// stopped server inside that range ends up connected to itself, and then occupies the server's port.
const FIRST: u16 = 20_000;
const COUNT: u16 = 10_000;

/// The port used last time if it is still free, else any free one.
pub(crate) fn choose(home: &Path) -> u16 {
    remembered(home).filter(|port| is_free(*port)).unwrap_or_else(any_free)
}

/// Notes the port for the next run: a replica set's stored configuration names it.
pub(crate) fn remember(home: &Path, port: u16) -> Result<(), LocalError> {
    let path = home.join("port");
    fs::write(&path, port.to_string()).about(path)
}

/// Can the port be listened on now?
pub(crate) fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// The port of last time.
pub(crate) fn remembered(home: &Path) -> Option<u16> {
    fs::read_to_string(home.join("port")).ok()?.trim().parse().ok()
}

/// A port of 127.0.0.1 that can be listened on now. Another caller may be given the same before one of them listens.
pub fn any_free() -> u16 {
    let start = RandomState::new().build_hasher().finish();
    let offset = u16::try_from(start % u64::from(COUNT)).unwrap_or(0);
    let mut candidates = (0..COUNT).map(|step| FIRST + (offset + step) % COUNT);
    candidates.find(|port| is_free(*port)).unwrap_or(FIRST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_of_last_time_is_kept_while_it_is_free() {
        let home = tempfile::tempdir().unwrap();
        let port = choose(home.path());
        remember(home.path(), port).unwrap();
        assert_eq!(choose(home.path()), port);
        let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        assert_ne!(choose(home.path()), port);
    }
}
