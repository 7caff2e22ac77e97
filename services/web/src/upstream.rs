//! The services' public APIs, as the pages call them.

use std::collections::BTreeSet;
use std::time::Duration;

use common::http::client;
use common::settings::Settings;
use common::telemetry::{current_traceparent, stopwatch};
use futures::future::join_all;
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;

/// Which service answers for an area of the API.
const SERVICES: [(&str, &str); 5] =
    [("users", "auth"), ("tickets", "tickets"), ("orders", "orders"), ("passes", "orders"), ("payments", "payments")];

/// How long a new process waits until it has reached every service once: its NetworkPolicy may be programmed later than it is
/// started. A service that is away for longer is away for all.
const FIRST_CALLS: Duration = Duration::from_secs(20);

/// How long a read is begun again while no connection can be made, and how soon.
const READS_AGAIN: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(100);

/// The APIs.
pub(crate) struct Upstream {
    client: reqwest::Client,
    /// An address in which `{service}` may stand for the service.
    base: String,
}

/// What an API answered.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    body: bytes::Bytes,
}

impl Upstream {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self { client: client(), base: settings.api_url() }
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

    /// Waits until every service has answered something, whatever it is.
    pub(crate) async fn until_reached(&self) {
        let services: BTreeSet<&str> = SERVICES.iter().map(|(_, service)| *service).collect();
        let reached = join_all(services.into_iter().map(|service| self.until_answered(service)));
        if tokio::time::timeout(FIRST_CALLS, reached).await.is_err() {
            tracing::warn!("not every service was reached; the pages are shown all the same");
        }
    }

    async fn until_answered(&self, service: &str) {
        let address = self.base.replace("{service}", service);
        while let Err(error) = self.client.get(&address).timeout(Duration::from_secs(3)).send().await {
            tracing::info!(service, %error, "a service is not reached yet");
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn address(&self, path: &str) -> String {
        let area = path.trim_start_matches("/api/").split(['/', '?']).next().unwrap_or_default();
        let service = SERVICES.iter().find(|(of, _)| *of == area).map_or(area, |(_, service)| service);
        format!("{}{path}", self.base.replace("{service}", service))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn upstream(base: &str) -> Upstream {
        Upstream { client: client(), base: base.to_owned() }
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
