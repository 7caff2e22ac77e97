//! Stripe's API over this house's HTTP client, which keeps connections: the one that comes with the library opens a new one for
//! each call, and a buyer would wait for two of them, each with its TLS handshake.

use std::time::Duration;

use actix_web::web::Bytes;
use common::http::{client, client_to_the_outside};
use common::settings::Settings;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use reqwest::{Method, Response};
use stripe::{CustomizedStripeRequest, RequestStrategy, StripeError};
use stripe_client_core::{StripeClient, StripeMethod, VERSION};

/// How long one try of a call may take.
const TRY_TIMEOUT: Duration = Duration::from_secs(10);

/// Where Stripe is.
const STRIPE: &str = "https://api.stripe.com";

/// Repeats of a call have the same key.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// A way to Stripe, or to what has Stripe's API, in the name of one account.
#[derive(Clone, Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    base: String,
    headers: HeaderMap,
}

impl Client {
    /// The way that the settings describe, with an account's secret key.
    ///
    /// # Errors
    /// If the key cannot be sent.
    pub(super) fn new(settings: &Settings, key: &str) -> Result<Self, StripeError> {
        let mut secret = HeaderValue::try_from(format!("Bearer {key}"))
            .map_err(|_| StripeError::ConfigError("STRIPE_SECRET_KEY has characters that no key has".to_owned()))?;
        secret.set_sensitive(true);
        let headers = HeaderMap::from_iter([
            (AUTHORIZATION, secret),
            (USER_AGENT, HeaderValue::from_static(concat!("docket/", env!("CARGO_PKG_VERSION")))),
            (HeaderName::from_static("stripe-version"), HeaderValue::from_static(VERSION.as_str())),
        ]);
        let (http, base) = match &settings.stripe_api_base {
            Some(stand_in) => (client(), stand_in.as_str()),
            None => (client_to_the_outside(), STRIPE),
        };
        Ok(Self { http, base: base.trim_end_matches('/').to_owned(), headers })
    }

    async fn answer(&self, request: CustomizedStripeRequest) -> Result<Response, reqwest::Error> {
        let (request, custom) = request.into_pieces();
        let method = match request.method {
            StripeMethod::Get => Method::GET,
            StripeMethod::Post => Method::POST,
            StripeMethod::Delete => Method::DELETE,
        };
        let query = request.query.map(|query| format!("?{query}")).unwrap_or_default();
        let url = format!("{}/v1{}{query}", self.base, request.path);
        let mut call = self.http.request(method, url).headers(self.headers.clone()).timeout(TRY_TIMEOUT);
        if let Some(key) = custom.request_strategy.as_ref().and_then(RequestStrategy::get_key) {
            call = call.header(IDEMPOTENCY_KEY, key.as_str());
        }
        if let Some(form) = request.body {
            call = call.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form);
        }
        call.send().await
    }
}

impl StripeClient for Client {
    type Err = StripeError;

    async fn execute(&self, request: CustomizedStripeRequest) -> Result<Bytes, StripeError> {
        let answer = self.answer(request).await.map_err(unanswered)?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(unanswered)?;
        if status.is_success() {
            return Ok(body);
        }
        let error = std::str::from_utf8(&body).ok().and_then(|body| miniserde::json::from_str(body).ok());
        Err(match error {
            Some(stripe_shared::Error { error }) => StripeError::Stripe(error, status.as_u16()),
            None => StripeError::JSONDeserialize(format!("the answer {status} says nothing that Stripe would say")),
        })
    }
}

fn unanswered(error: reqwest::Error) -> StripeError {
    if error.is_timeout() { StripeError::Timeout } else { StripeError::ClientError(error.to_string()) }
}
