//! A visitor's tokens: the access token, which says who asks, and the refresh token, which brings new ones and is good once.

use actix_web::cookie::Cookie;
use common::http::UnderWay;
use common::http::auth::{ACCESS_COOKIE, BROWSER_COOKIE, REFRESH_COOKIE};
use common::limits::PAGE_CALLS_WITHIN;
use reqwest::header::{COOKIE, HeaderMap, HeaderValue, SET_COOKIE};
use reqwest::{Method, StatusCode};

use super::{Visit, broken};
use crate::failure::Failure;

/// What the APIs are told of a browser's cookies.
const OURS: [&str; 3] = [ACCESS_COOKIE, REFRESH_COOKIE, BROWSER_COOKIE];

impl Visit {
    /// Takes new tokens for the refresh token. Requests that come at the same time share one refresh, because the token is
    /// good once; within this visit, whoever had the `refused` access token finds that another call has replaced it.
    ///
    /// # Errors
    /// If auth neither gives new tokens nor says that the session is over.
    pub(super) async fn refresh(&self, refused: Option<String>) -> Result<(), Failure> {
        let Some(token) = self.cookie(REFRESH_COOKIE).filter(|_| self.cookie(ACCESS_COOKIE) == refused) else {
            return Ok(());
        };
        let now = self.web.clock.now();
        let refreshed = self.web.refreshes.once(&token, now, self.ask_for_tokens(&token)?).await;
        let refreshed = refreshed.map_err(|failure| Failure::Broken(failure.to_string()))?;
        if self.cookie(ACCESS_COOKIE) == refused {
            self.drop_cookie(ACCESS_COOKIE);
            self.keep(refreshed.cookies(now));
        }
        Ok(())
    }

    /// Asks auth for new tokens. The asking has nothing of the visit's, so it goes on without it.
    fn ask_for_tokens(
        &self,
        refresh_token: &str,
    ) -> Result<impl Future<Output = Result<Vec<String>, Failure>> + Send + use<>, Failure> {
        let mut headers = self.passed_on.clone();
        let cookie = format!("{REFRESH_COOKIE}={refresh_token}");
        headers.insert(COOKIE, HeaderValue::from_str(&cookie).map_err(broken)?);
        let (upstream, going_on) = (self.web.upstream.clone(), self.under_way.as_ref().map(UnderWay::one));
        Ok(async move {
            let _going_on = going_on;
            let sent = upstream.send(Method::POST, "/api/users/refresh", headers, None, PAGE_CALLS_WITHIN);
            let answer = sent.await.map_err(broken)?;
            match answer.status {
                StatusCode::OK | StatusCode::UNAUTHORIZED => Ok(set_cookies(&answer.headers)),
                other => Err(Failure::Broken(format!("auth answered {other} to a refresh"))),
            }
        })
    }

    pub(super) fn has(&self, cookie: &str) -> bool {
        self.cookie(cookie).is_some()
    }

    pub(super) fn cookie(&self, name: &str) -> Option<String> {
        self.known.jar.borrow().iter().find(|(of, _)| of == name).map(|(_, value)| value.clone())
    }

    fn drop_cookie(&self, name: &str) {
        self.known.jar.borrow_mut().retain(|(of, _)| of != name);
    }

    pub(super) fn cookies(&self) -> String {
        let jar = self.known.jar.borrow();
        let ours = jar.iter().filter(|(name, _)| OURS.contains(&name.as_str()));
        ours.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    /// Keeps cookies for the next call, and for the browser.
    pub(super) fn keep(&self, set: Vec<String>) {
        for cookie in &set {
            let Ok(parsed) = Cookie::parse_encoded(cookie.as_str()) else { continue };
            self.drop_cookie(parsed.name());
            if !parsed.value().is_empty() {
                self.known.jar.borrow_mut().push((parsed.name().to_owned(), parsed.value().to_owned()));
            }
        }
        self.known.new.borrow_mut().extend(set);
    }
}

pub(super) fn set_cookies(headers: &HeaderMap) -> Vec<String> {
    headers.get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok()).map(str::to_owned).collect()
}

/// Whether it can be one of our tokens: anything else in a cookie is as good as no cookie.
pub(super) fn is_token(cookie: &str, value: &str) -> bool {
    let ours = OURS.contains(&cookie);
    ours && !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic() && !b";,\"\\".contains(&byte))
}
