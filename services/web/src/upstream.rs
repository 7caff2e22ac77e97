//! The services' public APIs, as the pages call them.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::http::client;
use common::service::{Finding, Health};
use common::settings::Settings;
use common::telemetry::{current_traceparent, stopwatch};
use futures::future::join_all;
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;

/// Which service answers for an area of the API.
const SERVICES: [(&str, &str); 5] =
    [("users", "auth"), ("tickets", "tickets"), ("orders", "orders"), ("passes", "orders"), ("payments", "payments")];

/// How long a new process that has reached others waits for a service: its NetworkPolicy may be programmed later than it is started. A
/// service that is away for longer is away for all. Who has reached nobody waits for as long as it takes: the setting may be wrong.
const FIRST_CALLS: Duration = Duration::from_secs(20);

/// How long the answer to a first call may take.
const FIRST_ANSWER: Duration = Duration::from_secs(3);

/// How long a read is begun again while no connection can be made, and how soon.
const READS_AGAIN: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(100);

/// The APIs.
pub(crate) struct Upstream {
    client: reqwest::Client,
    /// An address in which `{service}` may stand for the service.
    base: String,
    /// Whether any service has answered yet.
    reached: AtomicBool,
}

/// The services that are called.
pub(crate) fn services() -> BTreeSet<&'static str> {
    SERVICES.iter().map(|(_, service)| *service).collect()
}

/// Whether the services are reached where `DOCKET_API_URL` says, if it says anything.
pub async fn examine(settings: &Settings) -> Vec<Finding> {
    if settings.api_url.is_none() {
        return Vec::new();
    }
    let upstream = Upstream::new(settings);
    let asked = services().into_iter().map(|service| upstream.ask(service));
    let away: Vec<String> = join_all(asked).await.into_iter().filter_map(Result::err).collect();
    if away.is_empty() {
        return vec![Finding::new("pages", Health::Well, "all services are where DOCKET_API_URL says")];
    }
    let away = away.join("; ");
    vec![Finding::new("pages", Health::Ill, format!("DOCKET_API_URL: {away}; do they run, and is it right?"))]
}

/// What an API answered.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    body: bytes::Bytes,
}

impl Upstream {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self { client: client(), base: settings.api_url(), reached: AtomicBool::new(false) }
    }

    /// Sends a request to `path`, such as `/api/orders`, which goes on with the trace of the visitor's.
    ///
    /// # Errors
    /// If the service does not answer within the limit.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Option<Vec<u8>>,
        limit: Duration,
    ) -> Result<Answer, reqwest::Error> {
        let (begun, is_read) = (stopwatch(), method == Method::GET);
        let mut request = self.client.request(method, self.address(path)).headers(headers);
        if let Some(traceparent) = current_traceparent() {
            request = request.header("traceparent", traceparent);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        loop {
            let left = limit.saturating_sub(begun.elapsed());
            let again = request.try_clone().filter(|_| is_read && begun.elapsed() < READS_AGAIN.min(limit / 2));
            match (Answer::to(request.timeout(left)).await, again) {
                (Err(error), Some(again)) if error.is_connect() => {
                    tokio::time::sleep(PAUSE).await;
                    request = again;
                }
                (answer, _) => return answer,
            }
        }
    }

    /// Waits until a service has answered something, whatever it is, and says for whom. A service that is away while others are
    /// reached keeps no page from being shown.
    pub(crate) async fn until_reached(&self, service: &'static str) {
        let (begun, mut said) = (stopwatch(), String::new());
        while let Err(error) = self.ask(service).await {
            if begun.elapsed() >= FIRST_CALLS && self.reached.load(Ordering::Relaxed) {
                tracing::warn!(service, "the pages are shown, although a service was not reached");
                return;
            }
            if error != said {
                tracing::warn!(service, "DOCKET_API_URL: {error}; waiting for it");
                said = error;
            }
            tokio::time::sleep(PAUSE).await;
        }
        self.reached.store(true, Ordering::Relaxed);
    }

    /// Asks a service for anything.
    ///
    /// # Errors
    /// Why there was no answer, with the address.
    async fn ask(&self, service: &str) -> Result<(), String> {
        let address = self.base_of(service);
        let answer = self.client.get(&address).timeout(FIRST_ANSWER).send().await;
        answer.map(drop).map_err(|error| format!("{service} is not reached at {address} ({})", cause(&error)))
    }

    fn address(&self, path: &str) -> String {
        let area = path.trim_start_matches("/api/").split(['/', '?']).next().unwrap_or_default();
        let service = SERVICES.iter().find(|(of, _)| *of == area).map_or(area, |(_, service)| service);
        format!("{}{path}", self.base_of(service))
    }

    fn base_of(&self, service: &str) -> String {
        self.base.replace("{service}", service)
    }
}

impl Answer {
    async fn to(request: RequestBuilder) -> Result<Self, reqwest::Error> {
        let response = request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        Ok(Self { status, headers, body: response.bytes().await? })
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// If it is something else.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }

    /// The body as it came.
    pub(crate) fn body(self) -> bytes::Bytes {
        self.body
    }

    /// A header's text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// What is at the bottom of an error: that nobody listens, or that there is no such name.
fn cause(error: &reqwest::Error) -> String {
    let errors = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    errors.last().map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstream(base: &str) -> Upstream {
        let settings = Settings { api_url: Some(base.to_owned()), ..Settings::default_for_tests() };
        Upstream::new(&settings)
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_away_is_waited_for_until_others_are_reached() {
        let nobody = upstream("http://127.0.0.1:1");
        let limit = FIRST_CALLS * 3;
        let waits = tokio::time::timeout(limit, nobody.until_reached("orders")).await.is_err();
        assert!(waits, "the pages are shown although nobody is reached");
        nobody.reached.store(true, Ordering::Relaxed);
        let waits = tokio::time::timeout(limit, nobody.until_reached("orders")).await.is_err();
        assert!(!waits, "one service that is away keeps all pages from being shown");
    }

    #[tokio::test]
    async fn a_setting_that_leads_nowhere_is_named() {
        let api_url = Some("http://127.0.0.1:1".to_owned());
        let findings = examine(&Settings { api_url, ..Settings::default_for_tests() }).await;
        let said = findings[0].to_string();
        assert!(findings[0].health == Health::Ill && said.contains("DOCKET_API_URL: auth is not reached at"), "{said}");
        assert!(examine(&Settings::default_for_tests()).await.is_empty());
    }

    #[test]
    fn each_area_is_asked_of_its_service() {
        let cluster = upstream("http://{service}:8080");
        for (path, expected) in [
            ("/api/users/signin", "http://auth:8080/api/users/signin"),
            ("/api/tickets?limit=3", "http://tickets:8080/api/tickets?limit=3"),
            ("/api/passes/check-in", "http://orders:8080/api/passes/check-in"),
        ] {
            assert_eq!(cluster.address(path), expected);
        }
        assert_eq!(upstream("http://127.0.0.1:1").address("/api/orders"), "http://127.0.0.1:1/api/orders");
    }
}
