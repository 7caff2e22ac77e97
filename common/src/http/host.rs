//! The host that a client asked for.

use actix_web::HttpRequest;
use actix_web::http::{Uri, header};

use crate::settings::is_this_machine;

/// Whether the host that a client asked for is one that no stranger can have given it: a name or an address of the machine
/// itself, or a name without a dot, as services of a cluster have for each other.
///
/// A page from elsewhere may have its own name lead to this machine (DNS rebinding), and then reads what this machine shows; its
/// requests name a host of the public DNS. What a proxy says of the host does not count, because such a page may say it too.
pub fn asks_this_machine(request: &HttpRequest) -> bool {
    let said = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let host = request.uri().authority().map(|authority| authority.as_str()).or(said).unwrap_or_default();
    let uri = Some(host).filter(|host| !host.contains('@')).and_then(|host| host.parse::<Uri>().ok());
    uri.and_then(|uri| uri.host().map(|host| is_this_machine(host) || is_bare(host))).unwrap_or(false)
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
}
