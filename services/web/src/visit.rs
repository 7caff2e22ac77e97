//! One request of a browser: who makes it, and the APIs as that person may use them. The pages have no rights of their
//! own: cookies and what the browser says of a request's origin are passed on, and the APIs decide.
//!
//! An access token that is refused is replaced with the refresh token, which is good once. So a call that may bring new tokens
//! is never dropped: what a page asks side by side goes through `join!`, which waits for all, and never through `try_join!`.
//! If the visitor hangs up, the call for new tokens goes on (`refreshes`). All calls of a visit together have one limit.

mod tokens;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header as incoming;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, web};
use common::http::auth::{ACCESS_COOKIE, REFRESH_COOKIE};
use common::http::{UnderWay, client_address};
use common::limits::PAGE_CALLS_WITHIN;
use common::telemetry::stopwatch;
use futures::future::LocalBoxFuture;
use reqwest::header::{COOKIE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use tokens::{is_token, set_cookies};

use crate::Web;
use crate::failure::{ApiProblem, Failure, NOT_CONFIRMED};
use crate::format::Words;
use crate::live::Viewer;
use crate::model::{Account, CurrentUser};
use crate::reader::{Asks, Reader};
use crate::shell::Shell;
use crate::upstream::Answer;

/// On whose behalf a browser sends what changes things: the APIs refuse what comes from another site's page. A page that is only
/// looked at may be linked from anywhere, so there these are kept back.
const ORIGINS: [&str; 2] = ["origin", "sec-fetch-site"];

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// What a request is known by already, whoever of its handlers has learnt it.
#[derive(Clone)]
pub(crate) struct Known {
    jar: Rc<RefCell<Vec<(String, String)>>>,
    /// Cookies to be set by the answer.
    new: Rc<RefCell<Vec<String>>>,
    /// Who is signed in, once that was asked.
    user: Rc<RefCell<Option<Option<Account>>>>,
    /// When the visitor must have an answer.
    until: Instant,
}

impl Known {
    fn of(request: &HttpRequest) -> Self {
        let cookies = request.cookies().map(|cookies| {
            let ours = cookies.iter().filter(|cookie| is_token(cookie.name(), cookie.value()));
            ours.map(|cookie| (cookie.name().to_owned(), cookie.value().to_owned())).collect()
        });
        Self {
            jar: Rc::new(RefCell::new(cookies.unwrap_or_default())),
            new: Rc::default(),
            user: Rc::default(),
            until: stopwatch() + PAGE_CALLS_WITHIN,
        }
    }

    /// Takes the cookies that the answer is to set.
    pub(crate) fn take_cookies(&self) -> Vec<String> {
        self.new.take()
    }
}

/// One request of a browser.
pub(crate) struct Visit {
    web: web::Data<Web>,
    path: String,
    words: Words,
    partial: bool,
    passed_on: HeaderMap,
    address: String,
    known: Known,
    /// Counts what goes on when the visitor has hung up.
    under_way: Option<UnderWay>,
}

impl FromRequest for Visit {
    type Error = actix_web::Error;
    type Future = LocalBoxFuture<'static, Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let visit = Self::of(request);
        Box::pin(async move { Ok(visit?.begun().await?) })
    }
}

impl Visit {
    /// What stands around the page that says what went wrong, if it can be learnt in the time that is left.
    pub(crate) async fn shell_of(request: &HttpRequest, ask: bool) -> Shell {
        let nobody = Shell::new(None, "/");
        let Ok(visit) = Self::of(request) else { return nobody };
        let known = visit.known.user.borrow().clone();
        if let Some(user) = known {
            return Shell::new(user, "/");
        }
        if !ask || visit.time_left().is_zero() {
            return nobody;
        }
        let asked = async { visit.begun().await?.shell().await };
        asked.await.map_or(nobody, |shell| Shell::new(shell.user, "/"))
    }

    /// The visit with tokens that are good.
    async fn begun(self) -> Result<Self, Failure> {
        if let Some(token) = self.cookie(REFRESH_COOKIE) {
            self.web.refreshes.seen(&token, self.web.clock.now());
        }
        if self.has(REFRESH_COOKIE) && !self.has(ACCESS_COOKIE) {
            self.refresh(None).await?;
        }
        Ok(self)
    }

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
        let before = request.extensions().get::<Known>().cloned();
        let known = before.unwrap_or_else(|| Known::of(request));
        request.extensions_mut().insert(known.clone());
        Ok(Self {
            web,
            path: request.uri().path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string),
            words: Words::for_languages(header(incoming::ACCEPT_LANGUAGE.as_str()).unwrap_or_default()),
            partial: request.headers().contains_key("hx-request"),
            passed_on: passed_on.chain(from).collect(),
            address: client_address(request),
            known,
            under_way: request.app_data::<UnderWay>().cloned(),
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
        let token = self.cookie(ACCESS_COOKIE);
        let mut user = self.current_user().await?;
        if user.is_none() && token.is_some() && self.has(REFRESH_COOKIE) {
            // To this question a token that is refused is as good as none, as after a change of the role.
            self.refresh(token).await?;
            user = self.current_user().await?;
        }
        self.known.user.replace(Some(user.clone()));
        Ok(Shell::new(user, &self.path))
    }

    async fn current_user(&self) -> Result<Option<Account>, Failure> {
        if !self.has_session() {
            return Ok(None);
        }
        Ok(self.get::<CurrentUser>("/api/users/currentuser").await?.current_user)
    }

    /// What a stream goes on with when this visit is over.
    pub(crate) fn reader(&self) -> Result<Reader, Failure> {
        let mut headers = self.passed_on.clone();
        let token = self.cookie(ACCESS_COOKIE);
        if let Some(token) = &token {
            headers.insert(COOKIE, HeaderValue::from_str(&format!("{ACCESS_COOKIE}={token}")).map_err(broken)?);
        }
        Ok(Reader::new(self.web.upstream.clone(), headers, token.as_deref(), &self.path))
    }

    /// Who looks at the page.
    pub(crate) fn viewer(&self, shell: &Shell) -> Viewer {
        let person = shell.user.as_ref().map(|user| Viewer::Person(user.id.clone()));
        person.unwrap_or_else(|| Viewer::Address(self.address.clone()))
    }

    /// How much of the visit's time is left.
    pub(crate) fn time_left(&self) -> Duration {
        self.known.until.saturating_duration_since(stopwatch())
    }

    /// The same visit with more time, for what is no page and may be long.
    pub(crate) fn with_time(self, time: Duration) -> Self {
        Self { known: Known { until: stopwatch() + time, ..self.known }, ..self }
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

    /// Does something that may be done twice.
    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Failure> {
        decoded(&self.call(Method::POST, path, &[], Some(body)).await?)
    }

    /// Sends anything; answers that are no success are failures.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, &str)],
        body: Option<&impl Serialize>,
    ) -> Result<Answer, Failure> {
        self.call_sparing(Duration::ZERO, method, path, headers, body).await
    }

    /// The same, but so much of the visit's time is left afterwards.
    pub(crate) async fn call_sparing(
        &self,
        spared: Duration,
        method: Method,
        path: &str,
        headers: &[(&'static str, &str)],
        body: Option<&impl Serialize>,
    ) -> Result<Answer, Failure> {
        let body = body.map(serde_json::to_vec).transpose().map_err(broken)?;
        let token = self.cookie(ACCESS_COOKIE);
        // Pages ask several things at once; on the stack their calls would be large.
        let mut answer = Box::pin(self.ask(spared, method.clone(), path, headers, body.clone())).await?;
        if is_of_an_old_token(&answer) && self.has(REFRESH_COOKIE) && !path.ends_with("/signin") {
            Box::pin(self.refresh(token)).await?;
            answer = Box::pin(self.ask(spared, method, path, headers, body)).await?;
        }
        successful(answer, &self.path)
    }

    fn sign_in_first(&self) -> Failure {
        Failure::SignIn { next: self.path.clone() }
    }

    async fn ask(
        &self,
        spared: Duration,
        method: Method,
        path: &str,
        headers: &[(&'static str, &str)],
        body: Option<Vec<u8>>,
    ) -> Result<Answer, Failure> {
        let mut all = self.passed_on.clone();
        for (name, value) in headers {
            let value = HeaderValue::from_str(value).map_err(|_| ApiProblem::damaged(name))?;
            all.insert(HeaderName::from_static(name), value);
        }
        let cookies = self.cookies();
        if !cookies.is_empty() {
            all.insert(COOKIE, HeaderValue::from_str(&cookies).map_err(broken)?);
        }
        let time = self.time_left().saturating_sub(spared);
        let answer = self.web.upstream.send(method, path, all, body, time).await.map_err(broken)?;
        self.keep(set_cookies(&answer.headers));
        Ok(answer)
    }
}

impl Asks for Visit {
    async fn read<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.get(path).await
    }

    async fn tell<T: DeserializeOwned>(&self, path: &str, body: &serde_json::Value) -> Result<T, Failure> {
        self.post(path, body).await
    }
}

/// From where the browser came, over which proxies: these pages are one more of them.
fn came_by(request: &HttpRequest) -> String {
    let known = request.headers().get_all(FORWARDED_FOR.as_str()).filter_map(|value| value.to_str().ok());
    let peer = request.peer_addr().map(|peer| peer.ip().to_string());
    known.map(str::to_owned).chain(peer).collect::<Vec<_>>().join(", ")
}

/// Whether a new access token may bring another answer: this one is refused, or was made before the address was confirmed.
fn is_of_an_old_token(answer: &Answer) -> bool {
    let not_confirmed = || answer.json::<ApiProblem>().is_ok_and(|problem| problem.code == NOT_CONFIRMED);
    answer.status == StatusCode::UNAUTHORIZED || (answer.status == StatusCode::FORBIDDEN && not_confirmed())
}

/// The answer if it is a success, else what it says.
pub(crate) fn successful(answer: Answer, asked_for: &str) -> Result<Answer, Failure> {
    if answer.status.is_success() || answer.status == StatusCode::NOT_MODIFIED {
        return Ok(answer);
    }
    Err(match answer.json::<ApiProblem>() {
        Ok(problem) if problem.code == "unauthenticated" => Failure::SignIn { next: asked_for.to_owned() },
        Ok(problem) => problem.into(),
        Err(_) => Failure::Broken(format!("an API answered {}", answer.status)),
    })
}

/// What the answer says.
pub(crate) fn decoded<T: DeserializeOwned>(answer: &Answer) -> Result<T, Failure> {
    answer.json().map_err(broken)
}

/// What is no fault of the visitor's.
pub(crate) fn broken(error: impl std::fmt::Display) -> Failure {
    Failure::Broken(error.to_string())
}
