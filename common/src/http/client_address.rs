//! From where in the network somebody comes.

use std::net::{IpAddr, Ipv6Addr};

use actix_web::HttpRequest;

/// The address by which people are counted who are not signed in: of the peer, or of the one that a proxy of ours came for.
///
/// Only a peer at a private address is taken for a proxy of ours; anybody else could write into `X-Forwarded-For` what
/// they like. Of the addresses in it the last one that is not private was written by our outermost proxy. Of an IPv6
/// address the first half counts, as the second half is its owner's to choose.
pub fn client_address(request: &HttpRequest) -> String {
    let Some(peer) = request.peer_addr() else { return String::new() };
    let forwarded = request.headers().get_all("x-forwarded-for").filter_map(|value| value.to_str().ok());
    let named: Vec<IpAddr> =
        forwarded.flat_map(|value| value.split(',')).filter_map(|ip| ip.trim().parse().ok()).collect();
    network_of(client(peer.ip(), &named)).to_string()
}

fn client(peer: IpAddr, named: &[IpAddr]) -> IpAddr {
    if !is_private(peer) {
        return peer;
    }
    named.iter().rev().copied().find(|ip| !is_private(*ip)).or_else(|| named.first().copied()).unwrap_or(peer)
}

/// Whether an address is one of an inner network: whoever comes from there may be a proxy, and so anybody.
pub fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

fn network_of(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        ip => ip,
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn seen(peer: &str, forwarded: &str) -> String {
        let request = TestRequest::default().peer_addr(peer.parse().unwrap());
        client_address(&request.insert_header(("x-forwarded-for", forwarded)).to_http_request())
    }

    #[test]
    fn only_our_own_proxies_are_believed() {
        assert_eq!(seen("203.0.113.7:1", "198.51.100.1"), "203.0.113.7");
        assert_eq!(seen("10.0.0.2:1", "192.0.2.66, 198.51.100.1, 10.0.0.9"), "198.51.100.1");
        assert_eq!(seen("127.0.0.1:1", "what"), "127.0.0.1");
        assert_eq!(seen("127.0.0.1:1", "10.0.0.8"), "10.0.0.8");
    }

    #[test]
    fn neighbours_in_one_ipv6_network_are_one() {
        assert_eq!(seen("[2001:db8:1:2:3:4:5:6]:1", ""), "2001:db8:1:2::");
        assert_eq!(seen("[::ffff:203.0.113.7]:1", ""), "203.0.113.7");
    }
}
