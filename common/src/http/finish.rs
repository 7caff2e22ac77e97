//! The last word on every answer: faults are logged once, here, and clients learn no more than they should. A request that
//! was read is answered within [`ANSWER_WITHIN`], streams excepted: of them it is the head. What is said to programs as a problem
//! is told to people by a [`FaultPage`].

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::http::{ConnectionType, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _, HttpResponse};
use futures::FutureExt as _;
use tracing_actix_web::RequestId;
use uuid::Uuid;

use super::health::Readiness;
use super::meter::Metered;
use super::problem::{self, Problem};
use super::reading::Reading;
use crate::limits::ANSWER_WITHIN;
use crate::telemetry::{Seldom, stopwatch};

/// When a client comes again whose answer took too long. What an Idempotency-Key names goes on, for its repetition to find; other
/// work is given up, as when the client hangs up.
const COME_AGAIN: Duration = Duration::from_secs(2);

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const SAFE_HEADERS: [(HeaderName, HeaderValue); 3] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
];

/// How people are told what has no answer of its own: that it took too long, or failed. Data of the app; of the path, the fault
/// and the id of the request it makes a page, or none where programs ask.
#[derive(Clone, Copy, Debug)]
pub struct FaultPage(pub fn(&str, &Problem, &str) -> Option<HttpResponse>);

pub(super) async fn finish(
    readiness: Readiness,
    reading: Reading,
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse, Error> {
    let started = stopwatch();
    let (method, metered) = (request.method().clone(), Metered::default());
    request.extensions_mut().insert(metered.clone());
    let page = request.app_data::<FaultPage>().map(|page| (*page, request.uri().clone()));
    let uuid = request.extensions().get::<RequestId>().map_or_else(Uuid::nil, |id| (*id).into());
    let mut text = Uuid::encode_buffer();
    let id: &str = uuid.hyphenated().encode_lower(&mut text);
    let outcome = match AssertUnwindSafe(in_time(reading, request, next)).catch_unwind().await {
        Ok(Ok(Ok(response))) => Ok(dressed(told_as_problem(response, id), id, readiness.is_draining())),
        Ok(Err(late)) => Err(logged(late).with("requestId", id)),
        Ok(Ok(Err(error))) => Err(logged(fault(&error)).with("requestId", id)),
        Err(panic) => Err(logged(Problem::internal(panic_text(&*panic))).with("requestId", id)),
    };
    let status = outcome.as_ref().map_or_else(Problem::status, ServiceResponse::status);
    let answered = outcome.as_ref().ok().map(ServiceResponse::request);
    metered.count(answered, &method, status, started.elapsed());
    outcome.map_err(|problem| match page.and_then(|(page, uri)| (page.0)(uri.path(), &problem, id)) {
        Some(page) => InternalError::from_response(problem, page).into(),
        None => problem.into(),
    })
}

/// Reads the request and has it answered, each in its time.
///
/// # Errors
/// 503 if the answer would come too late.
async fn in_time(
    reading: Reading,
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<Result<ServiceResponse, Error>, Problem> {
    if let Err(problem) = reading.read(&mut request).await {
        return Ok(Ok(request.error_response(problem)));
    }
    tokio::time::timeout(ANSWER_WITHIN, next.call(request)).await.map_err(|_| too_late())
}

/// The answer to a request whose work takes too long.
pub(super) fn too_late() -> Problem {
    let detail = "This takes longer than it should. Try again in a moment.";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "timeout", detail).retry_after(COME_AGAIN)
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
fn told(error: &Error, status: StatusCode, id: &str) -> Option<HttpResponse> {
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

/// Within the request's span, so the line has the request id. Of requests that are turned away there may be a flood.
fn log(problem: &Problem) {
    static TURNED_AWAY: Seldom = Seldom::new();
    let (status, code, cause) = (problem.status().as_u16(), problem.code(), problem.chain());
    if problem.status() != StatusCode::SERVICE_UNAVAILABLE {
        tracing::error!(status, code, cause, "request failed");
    } else if let Some(others) = TURNED_AWAY.write(code) {
        tracing::warn!(status, code, cause, others, "request turned away");
    } else {
        tracing::debug!(status, code, cause, "request turned away");
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panic: {}", text.unwrap_or("of an unknown kind"))
}
