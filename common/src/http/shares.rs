//! What one client may have of something bounded: places among the requests in work, or waits for an event.
//!
//! A client is a person, or, of those who are not signed in, a public address. Addresses that many may share because a proxy
//! or a pod has them (loopback, private, link-local) have no share: nobody is refused for somebody else.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use crate::id::UserId;

/// Who has a share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Client {
    /// Somebody who is signed in.
    Person(UserId),
    /// Whoever is behind a public address.
    Address(IpAddr),
}

impl Client {
    /// Who has a share of their own at `peer`, if anybody.
    pub(super) fn at(peer: Option<SocketAddr>) -> Option<Self> {
        let ip = peer?.ip().to_canonical();
        match ip {
            IpAddr::V4(v4) if is_public(v4) => Some(Self::Address(ip)),
            IpAddr::V6(v6) if is_global(v6) => Some(Self::Address(IpAddr::V6(network_of(v6)))),
            _ => None,
        }
    }
}

fn is_public(ip: Ipv4Addr) -> bool {
    let carrier_grade = ip.octets()[0] == 100 && (64..128).contains(&ip.octets()[1]);
    !(ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_unspecified() || carrier_grade)
}

fn is_global(ip: Ipv6Addr) -> bool {
    !(ip.is_loopback() || ip.is_unspecified() || ip.is_unique_local() || ip.is_unicast_link_local())
}

/// A subscriber has a network of 2^64 addresses.
fn network_of(ip: Ipv6Addr) -> Ipv6Addr {
    Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX))
}

/// Counts what each client has, and lets nobody have more than so much.
#[derive(Clone, Debug)]
pub(super) struct Shares {
    most: usize,
    taken: Arc<Mutex<HashMap<Client, usize>>>,
}

/// One of what a client may have, until it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    of: Shares,
    client: Client,
}

impl Shares {
    pub(super) fn of(most: usize) -> Self {
        Self { most, taken: Arc::default() }
    }

    /// One more for `client`, if it has not got its share.
    pub(super) fn take(&self, client: Client) -> Option<Share> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let has = taken.entry(client).or_default();
        if *has >= self.most {
            return None;
        }
        *has += 1;
        Some(Share { of: self.clone(), client })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut taken = self.of.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(has) = taken.get_mut(&self.client) {
            *has -= 1;
            if *has == 0 {
                taken.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Time;

    #[test]
    fn nobody_has_more_than_their_share_and_what_is_given_back_is_free() {
        let shares = Shares::of(2);
        let [one, other] = [1, 2].map(|at| Client::Person(UserId::generate(Time::from_millis(at))));
        let first = shares.take(one);
        let second = shares.take(one);
        assert!(first.is_some() && second.is_some() && shares.take(one).is_none());
        let others = shares.take(other);
        assert!(others.is_some());
        drop(first);
        let again = shares.take(one);
        assert!(again.is_some());
        drop((again, second, others));
        assert!(shares.taken.lock().unwrap().is_empty(), "who has nothing is forgotten");
    }

    #[test]
    fn only_public_addresses_are_clients() {
        let at = |ip: &str| Client::at(Some(SocketAddr::new(ip.parse().unwrap(), 1)));
        for shared in ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.0.1", "100.64.0.1", "::1"] {
            assert_eq!(at(shared), None, "{shared}");
        }
        for shared in ["fd00::1", "fe80::1", "::ffff:10.0.0.1", "0.0.0.0"] {
            assert_eq!(at(shared), None, "{shared}");
        }
        assert_ne!(at("8.8.8.8"), at("8.8.4.4"));
        assert_eq!(at("::ffff:8.8.8.8"), at("8.8.8.8"));
        assert_eq!(at("2001:4860:1:2::1"), at("2001:4860:1:2:ffff::7"));
        assert!(at("2001:4860:1:2::1").is_some() && at("2001:4860:1:2::1") != at("2001:4860:1:3::1"));
    }
}
