use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::http::header;

/// The cookie with the access token. `__Host-` binds it to this host, https and the path `/`.
pub const ACCESS_COOKIE: &str = "__Host-docket_access";
/// The cookie with the refresh token.
pub const REFRESH_COOKIE: &str = "__Host-docket_refresh";

/// The cookie by which a browser is known in which somebody has signed in before. It lets nobody in.
pub const BROWSER_COOKIE: &str = "__Host-docket_browser";

/// A cookie no script and no other site gets to see, for `lifetime`.
pub fn session_cookie(name: &'static str, value: impl Into<String>, lifetime: Duration) -> Cookie<'static> {
    let seconds = i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX);
    Cookie::build(name, value.into())
        .path("/")
        .secure(true)
        .http_only(true)
        .same_site(SameSite::Lax)
        .max_age(actix_web::cookie::time::Duration::seconds(seconds))
        .finish()
}

/// Takes a [`session_cookie`] away again.
pub fn expired_cookie(name: &'static str) -> Cookie<'static> {
    session_cookie(name, "", Duration::ZERO)
}

/// The access token of a request: that of the header, else that of the cookie.
pub(crate) fn token_of(request: &HttpRequest) -> Option<String> {
    bearer(request).map(str::to_owned).or_else(|| cookie(request))
}

fn cookie(request: &HttpRequest) -> Option<String> {
    // Without the header there is nothing to parse.
    request.headers().get(header::COOKIE)?;
    request.cookie(ACCESS_COOKIE).map(|cookie| cookie.value().to_owned())
}

fn bearer(request: &HttpRequest) -> Option<&str> {
    let value = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_cookies_are_locked_down() {
        let cookie = session_cookie(ACCESS_COOKIE, "t", Duration::from_secs(600)).to_string();
        assert_eq!(cookie, "__Host-docket_access=t; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=600");
        assert!(expired_cookie(REFRESH_COOKIE).to_string().contains("Max-Age=0"));
    }
}
