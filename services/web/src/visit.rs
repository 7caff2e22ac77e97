//! One request of a browser: who makes it, and the APIs as that person may use them. The pages have no rights of their
//! own: cookies and what the browser says of a request's origin are passed on, and the APIs decide.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use actix_web::cookie::Cookie;
use actix_web::dev::Payload;
use actix_web::http::header as incoming;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, web};
use common::http::auth::{ACCESS_COOKIE, REFRESH_COOKIE};
use futures::future::{LocalBoxFuture, Ready, ready};
use reqwest::header::{COOKIE, HeaderMap, HeaderName, HeaderValue, SET_COOKIE};
use reqwest::{Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::Web;
use crate::failure::{ApiProblem, Failure};
use crate::format::Words;
use crate::model::{Account, CurrentUser};
use crate::shell::Shell;
use crate::upstream::Answer;

/// On whose behalf a browser sends what changes things: the APIs refuse what comes from another site's page. A page that is only
/// looked at may be linked from anywhere, so there these are kept back.
const ORIGINS: [&str; 2] = ["origin", "sec-fetch-site"];

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Cookies to be set by the answer.
#[derive(Clone, Default)]
pub(crate) struct NewCookies(Rc<RefCell<Vec<String>>>);

impl NewCookies {
    pub(crate) fn take(&self) -> Vec<String> {
        self.0.take()
    }
}

/// One request of a browser.
pub(crate) struct Visit {
    web: web::Data<Web>,
    path: String,
    words: Words,
    partial: bool,
    passed_on: HeaderMap,
    jar: RefCell<Vec<(String, String)>>,
    new: NewCookies,
}

impl FromRequest for Visit {
    type Error = actix_web::Error;
    type Future = LocalBoxFuture<'static, Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let visit = Self::of(request);
        Box::pin(async move {
            let visit = visit?;
            if visit.has(REFRESH_COOKIE) && !visit.has(ACCESS_COOKIE) {
                visit.refresh().await?;
            }
            Ok(visit)
        })
    }
}

impl Visit {
    fn of(request: &HttpRequest) -> Result<Self, actix_web::Error> {
        let web = request.app_data::<web::Data<Web>>().cloned();
        let web = web.ok_or_else(|| Failure::Broken("the pages are mounted without their state".to_owned()))?;
        let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
        let origins = if request.method().is_safe() { &[][..] } else { &ORIGINS[..] };
        let passed_on = origins.iter().chain(["user-agent"].iter()).filter_map(|name| {
            let value = HeaderValue::from_str(header(name)?).ok()?;
            Some((HeaderName::from_static(name), value))
        });
        let from = HeaderValue::from_str(&came_by(request)).ok().map(|value| (FORWARDED_FOR, value));
        let cookies = request.cookies().map(|cookies| {
            cookies.iter().map(|cookie| (cookie.name().to_owned(), cookie.value().to_owned())).collect()
        });
        let new = NewCookies::default();
        request.extensions_mut().insert(new.clone());
        Ok(Self {
            web,
            path: request.uri().path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string),
            words: Words::for_languages(header(incoming::ACCEPT_LANGUAGE.as_str()).unwrap_or_default()),
            partial: request.headers().contains_key("hx-request"),
            passed_on: passed_on.chain(from).collect(),
            jar: RefCell::new(cookies.unwrap_or_default()),
            new,
        })
    }

    /// What all pages share.
    pub(crate) fn web(&self) -> &web::Data<Web> {
        &self.web
    }

    /// How the visitor writes numbers, money and dates.
    pub(crate) fn words(&self) -> &Words {
        &self.words
    }

    /// Whether a part of a page is asked for, which a script puts in its place.
    pub(crate) fn is_partial(&self) -> bool {
        self.partial
    }

    /// Whether somebody seems to be signed in.
    pub(crate) fn has_session(&self) -> bool {
        self.has(ACCESS_COOKIE)
    }

    /// What stands around the page; asks who is signed in.
    pub(crate) async fn shell(&self) -> Result<Shell, Failure> {
        let user = if self.has_session() {
            self.get::<CurrentUser>("/api/users/currentuser").await?.current_user
        } else {
            None
        };
        Ok(Shell::new(user, &self.path))
    }

    /// This visit as a stream goes on with it: it cannot set cookies any more, so it must not spend the refresh token. When
    /// the access token ends, the stream does, and the browser comes back.
    pub(crate) fn without_refresh(self) -> Self {
        self.drop_cookie(REFRESH_COOKIE);
        self
    }

    /// What stands around the page, and who is signed in: for pages of one's own.
    pub(crate) async fn own_shell(&self) -> Result<(Shell, Account), Failure> {
        let shell = self.shell().await?;
        let user = shell.user.clone().ok_or_else(|| self.sign_in_first())?;
        Ok((shell, user))
    }

    /// Reads something.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        decoded(&self.call(Method::GET, path, &[], None::<&()>).await?)
    }

    /// Makes something; `key` lets it be repeated safely.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        key: Option<&str>,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        let key = key.map(|key| ("idempotency-key", key));
        decoded(&self.call(Method::POST, path, key.as_slice(), Some(body)).await?)
    }

    /// Sends anything; answers that are no success are failures.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, &str)],
        body: Option<&impl Serialize>,
    ) -> Result<Answer, Failure> {
        let body = body.map(serde_json::to_vec).transpose().map_err(broken)?;
        // Pages ask several things at once; on the stack their calls would be large.
        let mut answer = Box::pin(self.ask(method.clone(), path, headers, body.clone())).await?;
        if answer.status == StatusCode::UNAUTHORIZED && self.has(REFRESH_COOKIE) && !path.ends_with("/signin") {
            Box::pin(self.refresh()).await?;
            answer = Box::pin(self.ask(method, path, headers, body)).await?;
        }
        if answer.status.is_success() || answer.status == StatusCode::NOT_MODIFIED {
            return Ok(answer);
        }
        Err(self.refused(&answer))
    }

    fn refused(&self, answer: &Answer) -> Failure {
        match answer.json::<ApiProblem>() {
            Ok(problem) if problem.code == "unauthenticated" => self.sign_in_first(),
            Ok(problem) => problem.into(),
            Err(_) => Failure::Broken(format!("an API answered {}", answer.status)),
        }
    }

    fn sign_in_first(&self) -> Failure {
        Failure::SignIn { next: self.path.clone() }
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, &str)],
        body: Option<Vec<u8>>,
    ) -> Result<Answer, Failure> {
        let mut all = self.passed_on.clone();
        for (name, value) in headers {
            all.insert(HeaderName::from_static(name), HeaderValue::from_str(value).map_err(broken)?);
        }
        let cookies = self.cookies();
        if !cookies.is_empty() {
            all.insert(COOKIE, HeaderValue::from_str(&cookies).map_err(broken)?);
        }
        let answer = self.web.upstream.send(method, path, all, body).await.map_err(broken)?;
        self.keep(set_cookies(&answer.headers));
        Ok(answer)
    }

    /// Takes new tokens for the refresh token. Requests that come at the same time share one refresh, because the token is
    /// good once.
    async fn refresh(&self) -> Result<(), Failure> {
        let Some(token) = self.cookie(REFRESH_COOKIE) else { return Ok(()) };
        let ask = async {
            let cookies = HeaderValue::from_str(&format!("{REFRESH_COOKIE}={token}")).map_err(broken)?;
            let headers = self.passed_on.clone().into_iter().chain([(Some(COOKIE), cookies)]);
            let headers = headers.filter_map(|(name, value)| Some((name?, value))).collect();
            let answer = self.web.upstream.send(Method::POST, "/api/users/refresh", headers, None).await;
            Ok::<_, Failure>(Arc::new(set_cookies(&answer.map_err(broken)?.headers)))
        };
        let cookies = self.web.refreshes.once(&token, ask).await;
        let cookies = cookies.map_err(|failure| Failure::Broken(failure.to_string()))?;
        self.drop_cookie(ACCESS_COOKIE);
        self.keep(cookies.to_vec());
        Ok(())
    }

    fn has(&self, cookie: &str) -> bool {
        self.cookie(cookie).is_some()
    }

    fn cookie(&self, name: &str) -> Option<String> {
        self.jar.borrow().iter().find(|(of, _)| of == name).map(|(_, value)| value.clone())
    }

    fn drop_cookie(&self, name: &str) {
        self.jar.borrow_mut().retain(|(of, _)| of != name);
    }

    fn cookies(&self) -> String {
        let jar = self.jar.borrow();
        let ours = jar.iter().filter(|(name, _)| [ACCESS_COOKIE, REFRESH_COOKIE].contains(&name.as_str()));
        ours.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    /// Keeps cookies for the next call, and for the browser.
    fn keep(&self, set: Vec<String>) {
        for cookie in &set {
            let Ok(parsed) = Cookie::parse_encoded(cookie.as_str()) else { continue };
            self.drop_cookie(parsed.name());
            if !parsed.value().is_empty() {
                self.jar.borrow_mut().push((parsed.name().to_owned(), parsed.value().to_owned()));
            }
        }
        self.new.0.borrow_mut().extend(set);
    }
}

/// From where the browser came, over which proxies: these pages are one more of them.
fn came_by(request: &HttpRequest) -> String {
    let known = request.headers().get_all(FORWARDED_FOR.as_str()).filter_map(|value| value.to_str().ok());
    let peer = request.peer_addr().map(|peer| peer.ip().to_string());
    known.map(str::to_owned).chain(peer).collect::<Vec<_>>().join(", ")
}

fn set_cookies(headers: &HeaderMap) -> Vec<String> {
    headers.get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok()).map(str::to_owned).collect()
}

fn decoded<T: DeserializeOwned>(answer: &Answer) -> Result<T, Failure> {
    answer.json().map_err(broken)
}

/// What is no fault of the visitor's.
pub(crate) fn broken(error: impl std::fmt::Display) -> Failure {
    Failure::Broken(error.to_string())
}

/// A form's fields; what cannot be read is an empty form, whose fields the API then asks for.
pub(crate) struct Form<T>(pub(crate) T);

impl<T: DeserializeOwned + Default + 'static> FromRequest for Form<T> {
    type Error = actix_web::Error;
    type Future = LocalBoxFuture<'static, Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let form = web::Form::<T>::from_request(request, payload);
        Box::pin(async move { Ok(Self(form.await.map_or_else(|_| T::default(), web::Form::into_inner))) })
    }
}

/// An id in an address. Whatever is none of ours is a page that does not exist.
pub(crate) struct Id(Uuid);

impl FromRequest for Id {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let id = request.match_info().get("id").and_then(|id| id.parse().ok());
        ready(id.map(Self).ok_or(Failure::NotFound))
    }
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
