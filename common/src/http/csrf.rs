//! Refuses what another site makes a browser send. Part of the guard of every route, so none can forget it.

use actix_web::HttpRequest;
use actix_web::http::{Method, header};
use url::Url;

use super::policy::reads;
use super::problem::Problem;

/// # Errors
/// 403 if a browser sends the request on behalf of another site.
pub(crate) fn check(request: &HttpRequest, public_url: &Url) -> Result<(), Problem> {
    if is_safe(request.method()) || is_machine(request) || comes_from_here(request, public_url) {
        Ok(())
    } else {
        Err(Problem::forbidden("cross_site_request", "This request came from another site."))
    }
}

fn is_safe(method: &Method) -> bool {
    reads(method) || method == Method::OPTIONS
}

/// Browsers never add a bearer token by themselves, and without cookies there is nothing to abuse.
fn is_machine(request: &HttpRequest) -> bool {
    let headers = request.headers();
    headers.contains_key(header::AUTHORIZATION) && !headers.contains_key(header::COOKIE)
}

fn comes_from_here(request: &HttpRequest, public_url: &Url) -> bool {
    let value = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap_or("?"));
    match (value("sec-fetch-site"), value("origin")) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => is_own(origin, value("host"), public_url),
        (None, None) => true,
    }
}

fn is_own(origin: &str, host: Option<&str>, public_url: &Url) -> bool {
    if origin == public_url.origin().ascii_serialization() {
        return true;
    }
    let of_origin = origin.split_once("://").map(|(_, authority)| authority);
    of_origin.is_some_and(|authority| host.is_some_and(|host| host.eq_ignore_ascii_case(authority)))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn allowed(method: Method, headers: &[(&str, &str)]) -> bool {
        let plain = TestRequest::default().method(method).insert_header(("host", "127.0.0.1:8080"));
        let request = headers.iter().fold(plain, |request, header| request.append_header(*header)).to_http_request();
        check(&request, &Url::parse("https://docket.example.org/").unwrap()).is_ok()
    }

    #[test]
    fn only_our_own_pages_may_make_a_browser_write() {
        let cookie = ("cookie", "__Host-docket_access=t");
        let bearer = ("authorization", "Bearer t");
        for (headers, expected) in [
            (vec![], true),
            (vec![cookie], true),
            (vec![cookie, ("sec-fetch-site", "same-origin")], true),
            (vec![cookie, ("sec-fetch-site", "none")], true),
            (vec![cookie, ("sec-fetch-site", "same-site")], false),
            (vec![cookie, ("sec-fetch-site", "cross-site")], false),
            (vec![cookie, ("sec-fetch-site", "cross-site"), ("origin", "https://docket.example.org")], false),
            (vec![("sec-fetch-site", "cross-site")], false),
            (vec![cookie, ("origin", "https://docket.example.org")], true),
            (vec![cookie, ("origin", "http://127.0.0.1:8080")], true),
            (vec![cookie, ("origin", "http://127.0.0.1:80801")], false),
            (vec![cookie, ("origin", "https://docket.example.org.evil.example")], false),
            (vec![cookie, ("origin", "null")], false),
            (vec![bearer, ("origin", "https://evil.example")], true),
            (vec![bearer, cookie, ("origin", "https://evil.example")], false),
        ] {
            assert_eq!(allowed(Method::POST, &headers), expected, "{headers:?}");
            assert!(allowed(Method::GET, &headers), "{headers:?}");
        }
        assert!(!allowed(Method::DELETE, &[cookie, ("origin", "https://evil.example")]));
    }
}
