//! The span of a request, which goes on with the trace of whoever sent it.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::{Error, HttpMessage as _};
use tracing::Span;
use tracing::field::Empty;
use tracing_actix_web::{Level, RequestId, RootSpanBuilder, root_span};

use crate::telemetry::{makes_traces, remote_parent};

const TRACEPARENT: &str = "traceparent";

pub(super) struct RootSpan;

impl RootSpanBuilder for RootSpan {
    fn on_request_start(request: &ServiceRequest) -> Span {
        if makes_traces() { root_span!(level = Level::INFO, request, user.id = Empty) } else { for_the_log(request) }
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

/// Only what helps to read a line of the log: each field costs as much as a lookup in a cache.
fn for_the_log(request: &ServiceRequest) -> Span {
    let id = request.extensions().get::<RequestId>().copied();
    let span = tracing::info_span!(
        "HTTP request",
        http.method = request.method().as_str(),
        http.target = request.uri().path_and_query().map_or("", |target| target.as_str()),
        request_id = id.map(tracing::field::display),
        trace_id = Empty,
        user.id = Empty,
    );
    if let Some(sent) = request.headers().get(TRACEPARENT).and_then(|value| value.to_str().ok()) {
        remote_parent(&span, sent);
        if let Some(trace_id) = sent.split('-').nth(1) {
            span.record("trace_id", trace_id);
        }
    }
    span
}
