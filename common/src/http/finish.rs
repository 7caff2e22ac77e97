//! The last word on every answer: faults are logged once, here, and clients learn no more than they should.

use std::panic::AssertUnwindSafe;

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::http::{ConnectionType, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _};
use futures::FutureExt as _;
use tracing_actix_web::RequestId;
use uuid::Uuid;

use super::health::Readiness;
use super::meter::Metered;
use super::problem::{self, Problem};
use crate::telemetry::stopwatch;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const SAFE_HEADERS: [(HeaderName, HeaderValue); 3] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
];

pub(super) async fn finish(
    readiness: Readiness,
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse, Error> {
    let started = stopwatch();
    let (method, metered) = (request.method().clone(), Metered::default());
    request.extensions_mut().insert(metered.clone());
    let uuid = request.extensions().get::<RequestId>().map_or_else(Uuid::nil, |id| (*id).into());
    let mut text = Uuid::encode_buffer();
    let id: &str = uuid.hyphenated().encode_lower(&mut text);
    let outcome = match AssertUnwindSafe(next.call(request)).catch_unwind().await {
        Ok(Ok(response)) => Ok(dressed(told_as_problem(response, id), id, readiness.is_draining())),
        Ok(Err(error)) => Err(logged(fault(&error)).with("requestId", id)),
        Err(panic) => Err(logged(Problem::internal(panic_text(&*panic))).with("requestId", id)),
    };
    let status = outcome.as_ref().map_or_else(Problem::status, ServiceResponse::status);
    let answered = outcome.as_ref().ok().map(ServiceResponse::request);
    metered.count(answered, &method, status, started.elapsed());
    Ok(outcome?)
}

/// With the headers that every answer has.
pub(super) fn dressed(mut response: ServiceResponse, id: &str, draining: bool) -> ServiceResponse {
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    for (name, value) in SAFE_HEADERS {
        if !headers.contains_key(&name) {
            headers.insert(name, value);
        }
    }
    if draining {
        // The next request of this client shall find a process that stays.
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    response
}

fn told_as_problem(response: ServiceResponse, id: &str) -> ServiceResponse {
    let told = match response.response().error() {
        Some(error) => told(error, response.status(), id),
        None => None,
    };
    match told {
        Some(told) => response.into_response(told),
        None => response,
    }
}

/// The answer to give instead, if the one at hand is a fault of ours or an error in actix's own words.
fn told(error: &Error, status: StatusCode, id: &str) -> Option<actix_web::HttpResponse> {
    match error.as_error::<Problem>() {
        Some(problem) if !status.is_server_error() => {
            tracing::debug!(%problem, cause = problem.chain(), "refused");
            None
        }
        Some(problem) => {
            log(problem);
            Some(problem.response(Some(id)))
        }
        None if status.is_server_error() => Some(logged(fault(error)).response(Some(id))),
        None => Some(problem::from_status(status).response(None)),
    }
}

fn fault(error: &Error) -> Problem {
    problem::from_status(error.as_response_error().status_code()).caused_by(error.to_string())
}

fn logged(problem: Problem) -> Problem {
    log(&problem);
    problem
}

/// Within the request's span, so the line has the request id.
fn log(problem: &Problem) {
    let (status, code, cause) = (problem.status().as_u16(), problem.code(), problem.chain());
    if problem.status() == StatusCode::SERVICE_UNAVAILABLE {
        tracing::warn!(status, code, cause, "request turned away");
    } else {
        tracing::error!(status, code, cause, "request failed");
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panic: {}", text.unwrap_or("of an unknown kind"))
}
