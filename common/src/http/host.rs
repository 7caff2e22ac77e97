//! The host that a client asked for.

use actix_web::HttpRequest;
use actix_web::http::{Uri, header};

use super::client_address::ClientAddress;
use crate::settings::is_this_machine;

/// Whether somebody on this machine, or in its own network, asks for something by a name that no stranger can have given them: a name or
/// an address of the machine itself, or a name without a dot, as services of a cluster have for each other.
///
/// A proxy before Docket may ask by such a name for people from anywhere: what it says of where they come from counts too.
///
/// A page from elsewhere may have its own name lead to this machine (DNS rebinding), and then reads what this machine shows; its
/// requests name a host of the public DNS. What a proxy says of the host does not count, because such a page may say it too.
pub fn asks_this_machine(request: &HttpRequest) -> bool {
    let said = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let host = request.uri().authority().map(|authority| authority.as_str()).or(said).unwrap_or_default();
    let uri = Some(host).filter(|host| !host.contains('@')).and_then(|host| host.parse::<Uri>().ok());
    let is_from_elsewhere = ClientAddress::of(request).own().is_some();
    !is_from_elsewhere
        && uri.and_then(|uri| uri.host().map(|host| is_this_machine(host) || is_bare(host))).unwrap_or(false)
}

fn is_bare(host: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    host.starts_with(|c: char| c.is_ascii_alphabetic()) && host.chars().all(fits)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn asked(host: &str) -> bool {
        asks_this_machine(&TestRequest::get().insert_header((header::HOST, host)).to_http_request())
    }

    #[test]
    fn names_that_a_stranger_can_give_are_told_apart() {
        for own in [
            "localhost",
            "localhost:8080",
            "docket.localhost:3000",
            "127.0.0.1:8080",
            "127.8.8.8",
            "[::1]:80",
            "auth:8080",
        ] {
            assert!(asked(own), "{own}");
        }
        for foreign in [
            "evil.example:8080",
            "localhost.evil.example",
            "evil.example.",
            "192.0.2.7:8080",
            "",
            "localhost@evil.example",
            ":80",
        ] {
            assert!(!asked(foreign), "{foreign}");
        }
        assert!(!asks_this_machine(&TestRequest::get().to_http_request()), "no host at all");
    }

    #[test]
    fn whom_a_proxy_asks_for_comes_from_elsewhere_by_whatever_name() {
        let by_proxy = |people: &str| {
            let request = TestRequest::get().insert_header((header::HOST, "127.0.0.1:8080"));
            let request = request.peer_addr("127.0.0.1:4711".parse().unwrap());
            asks_this_machine(&request.insert_header(("x-forwarded-for", people)).to_http_request())
        };
        for near in ["127.0.0.1", "192.168.1.7", "10.42.0.1", "fd00::7", "100.64.0.9"] {
            assert!(by_proxy(near), "{near}");
        }
        for elsewhere in ["8.8.8.8", "2001:db8::1", "127.0.0.1, 8.8.8.8"] {
            assert!(!by_proxy(elsewhere), "{elsewhere}");
        }
    }
}
