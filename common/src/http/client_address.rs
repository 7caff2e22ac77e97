//! From where in the network somebody comes, by which those are counted who are not signed in.
//!
//! It is the address of the peer, unless that is a proxy of ours: this machine itself (the pages ask the APIs), or one of the networks in
//! `DOCKET_TRUSTED_PROXIES`. What a proxy of ours writes last into `X-Forwarded-For` is whom it came for; if that is a proxy of ours
//! again, the one before it counts, and so on. What strangers have written stands further left, and is never reached.
//!
//! An IPv4 address counts as one place, and so do the 2^64 addresses of an IPv6 subscriber (/64). Its network is the /24 or /48 around
//! it. Addresses that many may share (those of proxies, private and link-local ones, those of a carrier's NAT) are nobody's own: nobody
//! is refused for somebody else who has the same.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use actix_web::HttpRequest;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

const FORWARDED_FOR: &str = "x-forwarded-for";

/// The networks of our own proxies. This machine is always one.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(Arc<[IpNet]>);

impl TrustedProxies {
    /// These, and this machine.
    pub fn new(networks: &[IpNet]) -> Self {
        Self(networks.into())
    }

    fn have(&self, ip: IpAddr) -> bool {
        ip.is_loopback() || self.0.iter().any(|network| network.contains(&ip))
    }
}

/// Where somebody comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress {
    /// `None` where a request has no peer, as in tests.
    ip: Option<IpAddr>,
    shared: bool,
}

impl ClientAddress {
    /// Where a request comes from.
    pub fn of(request: &HttpRequest) -> Self {
        let Some(peer) = request.peer_addr() else { return Self { ip: None, shared: true } };
        let none = TrustedProxies::default();
        let proxies = request.app_data::<TrustedProxies>().unwrap_or(&none);
        let said = request.headers().get_all(FORWARDED_FOR).filter_map(|value| value.to_str().ok());
        let said: Vec<&str> = said.flat_map(|value| value.split(',')).collect();
        let ip = client(peer.ip().to_canonical(), &said, proxies);
        Self { ip: Some(ip), shared: proxies.have(ip) || is_shared(ip) }
    }

    /// The address that nobody else comes from, as far as can be known; of an IPv6 address its first half.
    pub fn own(&self) -> Option<IpAddr> {
        self.ip.filter(|_| !self.shared).map(of_subscriber)
    }

    /// The network around it, unless many share the address itself.
    pub fn network(&self) -> Option<IpNet> {
        self.own().map(network_around)
    }
}

/// The network around an address: its first 24 bits, of an IPv6 address its first 48.
pub fn network_around(ip: IpAddr) -> IpNet {
    match ip {
        IpAddr::V4(ip) => Ipv4Net::new_assert(ip, 24).trunc().into(),
        IpAddr::V6(ip) => Ipv6Net::new_assert(ip, 48).trunc().into(),
    }
}

impl fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ip.map_or(Ok(()), |ip| of_subscriber(ip).fmt(f))
    }
}

/// [`ClientAddress::of`] a request as text.
pub fn client_address(request: &HttpRequest) -> String {
    ClientAddress::of(request).to_string()
}

fn client(peer: IpAddr, said: &[&str], proxies: &TrustedProxies) -> IpAddr {
    let mut nearest = peer;
    let mut before = said.iter().rev();
    while proxies.have(nearest) {
        // Who writes something else says nothing, and has nothing to say of those further left.
        let Some(ip) = before.next().and_then(|text| address(text.trim())) else { break };
        nearest = ip;
    }
    nearest
}

/// Some proxies write the port too.
fn address(text: &str) -> Option<IpAddr> {
    let ip = text.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|addr| addr.ip()));
    ip.map(|ip: IpAddr| ip.to_canonical())
}

fn is_shared(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let carrier_grade = ip.octets()[0] == 100 && (64..128).contains(&ip.octets()[1]);
            ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_unspecified() || carrier_grade
        }
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unspecified() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

/// A subscriber of IPv6 has a network of 2^64 addresses, and chooses among them.
fn of_subscriber(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).into(),
        IpAddr::V4(_) => ip,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    /// The place of a request whose last proxy is `peer`, with these networks for our own.
    pub(in crate::http) fn place(proxies: &str, peer: &str, forwarded: &str) -> ClientAddress {
        let networks: Vec<IpNet> = proxies.split_whitespace().map(|network| network.parse().unwrap()).collect();
        let request = TestRequest::default().app_data(TrustedProxies::new(&networks));
        let request = request.peer_addr(SocketAddr::new(peer.parse().unwrap(), 1));
        ClientAddress::of(&request.insert_header((FORWARDED_FOR, forwarded)).to_http_request())
    }

    fn seen(proxies: &str, peer: &str, forwarded: &str) -> String {
        place(proxies, peer, forwarded).to_string()
    }

    #[test]
    fn only_our_own_proxies_are_believed_and_from_the_right() {
        assert_eq!(seen("", "203.0.113.7", "198.51.100.1"), "203.0.113.7");
        assert_eq!(seen("", "10.0.0.2", "198.51.100.1"), "10.0.0.2", "a private peer is no proxy by itself");
        assert_eq!(seen("10.0.0.0/8", "10.0.0.2", "192.0.2.66, 198.51.100.1, 10.0.0.9"), "198.51.100.1");
        assert_eq!(seen("10.0.0.0/8", "10.0.0.2", "192.0.2.66, 192.168.1.7"), "192.168.1.7", "whoever that is");
        let cdn = "203.0.113.0/24 10.0.0.0/8";
        assert_eq!(seen(cdn, "10.0.0.2", "192.0.2.66, 198.51.100.1, 203.0.113.99"), "198.51.100.1");
        assert_eq!(seen("", "127.0.0.1", "192.0.2.66, 198.51.100.1"), "198.51.100.1", "the machine itself");
        assert_eq!(seen("", "::1", "198.51.100.1:4711"), "198.51.100.1");
    }

    #[test]
    fn what_a_proxy_does_not_say_is_not_made_up() {
        assert_eq!(seen("", "127.0.0.1", "what"), "127.0.0.1");
        assert_eq!(seen("", "127.0.0.1", "198.51.100.1, unknown"), "127.0.0.1");
        assert_eq!(seen("10.0.0.0/8", "10.0.0.2", "10.0.0.8"), "10.0.0.8");
        assert_eq!(seen("10.0.0.0/8", "10.0.0.2", ""), "10.0.0.2");
    }

    #[test]
    fn neighbours_in_one_ipv6_network_are_one() {
        assert_eq!(seen("", "2001:db8:1:2:3:4:5:6", ""), "2001:db8:1:2::");
        assert_eq!(seen("", "::ffff:203.0.113.7", ""), "203.0.113.7");
        let network = |peer| place("", peer, "").network().unwrap().to_string();
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1::/48");
        assert_eq!(network("203.0.113.7"), "203.0.113.0/24");
    }

    #[test]
    fn an_address_that_many_share_is_nobodys_own() {
        for shared in ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.0.1", "100.64.0.1", "::1"] {
            assert_eq!(place("", shared, "").own(), None, "{shared}");
        }
        for shared in ["fd00::1", "fe80::1", "::ffff:10.0.0.1", "0.0.0.0"] {
            assert_eq!((place("", shared, "").own(), place("", shared, "").network()), (None, None), "{shared}");
        }
        assert_eq!(place("203.0.113.0/24", "203.0.113.7", "").own(), None, "a proxy of ours");
        assert_eq!(place("", "8.8.8.8", "").own(), place("", "::ffff:8.8.8.8", "").own());
        assert!(place("", "8.8.8.8", "").own().is_some());
    }
}
