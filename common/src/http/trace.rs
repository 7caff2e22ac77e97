//! The span of a request, which goes on with the trace of whoever sent it.
//!
//! Of the address only the path stands in it: behind the question mark are the tokens of mails' links, what lets a browser pay, and
//! what people search for. Whoever reads logs and traces must not get in by them.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header;
use actix_web::{Error, HttpMessage as _};
use tracing::Span;
use tracing::field::Empty;
use tracing_actix_web::{RequestId, RootSpanBuilder};

use super::client_address::ClientAddress;
use crate::telemetry::{makes_traces, remote_parent, trace_id};

const TRACEPARENT: &str = "traceparent";

pub(super) struct RootSpan;

impl RootSpanBuilder for RootSpan {
    fn on_request_start(request: &ServiceRequest) -> Span {
        if makes_traces() { for_a_collector(request) } else { for_the_log(request) }
    }

    fn on_request_end<B: MessageBody>(span: Span, outcome: &Result<ServiceResponse<B>, Error>) {
        if !makes_traces() {
            return;
        }
        let status = match outcome {
            Ok(response) => response.status(),
            Err(error) => error.as_response_error().status_code(),
        };
        span.record("http.status_code", status.as_u16());
        span.record("otel.status_code", if status.is_server_error() { "ERROR" } else { "OK" });
    }
}

/// The fields that OpenTelemetry has names for.
fn for_a_collector(request: &ServiceRequest) -> Span {
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (method, route) = (request.method().as_str(), request.match_pattern());
    let route = route.as_deref().unwrap_or("default");
    let span = tracing::info_span!(
        "HTTP request",
        http.method = method,
        http.route = route,
        http.host = header(header::HOST),
        http.client_ip = display(ClientAddress::of(request.request())),
        http.user_agent = header(header::USER_AGENT),
        http.target = request.path(),
        http.status_code = Empty,
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        otel.status_code = Empty,
        trace_id = Empty,
        request_id = request_id(request).map(display),
        user.id = Empty,
    );
    if let Some(sent) = traceparent(request) {
        remote_parent(&span, sent);
    }
    if let Some(trace_id) = trace_id(&span) {
        span.record("trace_id", trace_id);
    }
    span
}

/// Only what helps to read a line of the log: each field costs as much as a lookup in a cache.
fn for_the_log(request: &ServiceRequest) -> Span {
    let span = tracing::info_span!(
        "HTTP request",
        http.method = request.method().as_str(),
        http.target = request.path(),
        request_id = request_id(request).map(display),
        trace_id = Empty,
        user.id = Empty,
    );
    if let Some(sent) = traceparent(request) {
        remote_parent(&span, sent);
        if let Some(trace_id) = sent.split('-').nth(1) {
            span.record("trace_id", trace_id);
        }
    }
    span
}

fn request_id(request: &ServiceRequest) -> Option<RequestId> {
    request.extensions().get::<RequestId>().copied()
}

fn traceparent(request: &ServiceRequest) -> Option<&str> {
    request.headers().get(TRACEPARENT).and_then(|value| value.to_str().ok())
}
