//! What goes wrong is told as RFC 9457 says: `application/problem+json` with a stable `code`.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};
use serde_json::{Map, Value};

/// The media type of a [`Problem`].
pub const PROBLEM_JSON: &str = "application/problem+json";

mod document;

pub use document::{FieldError, ProblemBody};

type Source = Box<dyn StdError + Send + Sync>;

/// An answer that tells what went wrong. Make it from a domain error in one place of each service.
///
/// The cause of a 5xx stays inside: it goes to the log once, with the request id that the client gets to see.
pub struct Problem(Box<Inner>);

struct Inner {
    status: StatusCode,
    code: Cow<'static, str>,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    more: Map<String, Value>,
    retry_after: Option<Duration>,
    source: Option<Source>,
}

impl Problem {
    /// A problem of any kind; most have a constructor of their own.
    pub fn new(status: StatusCode, code: impl Into<Cow<'static, str>>, detail: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            status,
            code: code.into(),
            detail: detail.into(),
            errors: Vec::new(),
            more: Map::new(),
            retry_after: None,
            source: None,
        }))
    }

    /// 400 about one field.
    pub fn invalid(field: impl Into<String>, message: impl fmt::Display) -> Self {
        Self::invalid_fields(vec![FieldError::new(field, message)])
    }

    /// 400 about several fields.
    pub fn invalid_fields(errors: Vec<FieldError>) -> Self {
        let mut problem = Self::new(StatusCode::BAD_REQUEST, "invalid_input", "The input is not valid.");
        problem.0.errors = errors;
        problem
    }

    /// 400 about the request as a whole.
    pub fn bad_request(code: impl Into<Cow<'static, str>>, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// 401: nobody is signed in, or the token is not good any more.
    pub fn unauthenticated() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", "Sign in first.")
    }

    /// 402: the money did not come.
    pub fn payment_required(code: impl Into<Cow<'static, str>>, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::PAYMENT_REQUIRED, code, detail)
    }

    /// 403: known, but not allowed.
    pub fn forbidden(code: impl Into<Cow<'static, str>>, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, detail)
    }

    /// 404: there is no such thing, or not for this person.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "There is nothing here.")
    }

    /// 409: not in this state.
    pub fn conflict(code: impl Into<Cow<'static, str>>, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// 412: it was changed since the client last saw it.
    pub fn version_mismatch() -> Self {
        let detail = "It was changed in the meantime. Load it again.";
        Self::new(StatusCode::PRECONDITION_FAILED, "version_mismatch", detail)
    }

    /// 413: more than `limit` bytes.
    pub fn too_large(limit: usize) -> Self {
        let detail = format!("The body is larger than {limit} bytes.");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
    }

    /// 415: not the media type that is asked for.
    pub fn unsupported_media_type(expected: &str) -> Self {
        let detail = format!("Send {expected}, and say so in Content-Type.");
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail)
    }

    /// 422: understood, but it cannot be done.
    pub fn unprocessable(code: impl Into<Cow<'static, str>>, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
    }

    /// 429: too often.
    pub fn too_many_requests(retry_after: Duration) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", "Too many requests. Wait a moment.")
            .retry_after(retry_after)
    }

    /// 503: not now.
    pub fn unavailable(retry_after: Duration) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Not available right now. Try again soon.")
            .retry_after(retry_after)
    }

    /// 503: what is kept cannot be reached; the client shall come back after so long.
    pub fn database_silent(retry_after: Duration) -> Self {
        let detail = "The database does not answer. Try again in a moment.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail).retry_after(retry_after)
    }

    /// 500: a fault of ours. The client learns nothing but the request id.
    pub fn internal(source: impl Into<Source>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something went wrong on our side.").caused_by(source)
    }

    /// Adds a fact to the body, such as `available: 3`.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.more.insert(name.to_owned(), value.into());
        self
    }

    /// Tells the client when to come back.
    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.0.retry_after = Some(after);
        self
    }

    /// Keeps the cause, for the log alone.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Source>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// What programs may rely on.
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// The wrong fields.
    pub fn errors(&self) -> &[FieldError] {
        &self.0.errors
    }

    /// The causes, outermost first, in one line.
    pub fn chain(&self) -> String {
        let first: Option<&(dyn StdError + 'static)> = match &self.0.source {
            Some(source) => Some(source.as_ref()),
            None => None,
        };
        let causes = std::iter::successors(first, |&cause| cause.source()).map(ToString::to_string);
        causes.collect::<Vec<_>>().join(": ")
    }

    /// The answer, with the request's id where it is one of 500 and above.
    pub(crate) fn response(&self, request_id: Option<&str>) -> HttpResponse {
        let mut response = HttpResponse::build(self.0.status);
        if let Some(after) = self.0.retry_after {
            response.insert_header((header::RETRY_AFTER, after.as_secs().max(1).to_string()));
        }
        if self.0.status == StatusCode::UNAUTHORIZED {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
        }
        response.insert_header((header::CACHE_CONTROL, "no-store"));
        response.insert_header((header::CONTENT_TYPE, PROBLEM_JSON));
        response.body(self.document(request_id.filter(|_| self.0.status.is_server_error())))
    }

    /// The body of the answer.
    pub(super) fn document(&self, request_id: Option<&str>) -> Vec<u8> {
        serde_json::to_vec(&self.body(request_id)).unwrap_or_default()
    }

    fn body<'a>(&'a self, request_id: Option<&'a str>) -> ProblemBody<'a> {
        let inner = &self.0;
        ProblemBody {
            r#type: format!("/problems/{}", inner.code),
            title: inner.status.canonical_reason().unwrap_or("Error"),
            status: inner.status.as_u16(),
            code: &inner.code,
            detail: &inner.detail,
            errors: self.listed_errors(),
            request_id,
            more: &inner.more,
        }
    }

    /// The systems Docket replaces had nothing but `errors`; clients of theirs must always find one.
    fn listed_errors(&self) -> Cow<'_, [FieldError]> {
        if self.0.errors.is_empty() {
            Cow::Owned(vec![FieldError { message: self.0.detail.clone().into_owned(), field: None }])
        } else {
            Cow::Borrowed(&self.0.errors)
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.0.status.as_u16(), self.0.code, self.0.detail)?;
        self.0.errors.iter().try_for_each(|error| {
            let field = error.field.as_deref().unwrap_or("input");
            write!(f, " {field} {};", error.message)
        })
    }
}

impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Problem({self}, caused by: {})", self.chain())
    }
}

impl StdError for Problem {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|source| source.as_ref() as &(dyn StdError + 'static))
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.0.status
    }

    fn error_response(&self) -> HttpResponse {
        self.response(None)
    }
}

/// Gives an answer of actix's own, which has no body of ours, the code and words it should have.
pub(crate) fn from_status(status: StatusCode) -> Problem {
    match status {
        StatusCode::UNAUTHORIZED => Problem::unauthenticated(),
        StatusCode::NOT_FOUND => Problem::not_found(),
        StatusCode::METHOD_NOT_ALLOWED => {
            Problem::new(status, "method_not_allowed", "This method is not allowed here.")
        }
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(status, "too_large", "The body is too large."),
        status if status.is_client_error() => Problem::new(status, "bad_request", "The request is not valid."),
        status => Problem::new(status, "internal", "Something went wrong on our side."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(problem: &Problem) -> Value {
        serde_json::to_value(problem.body(Some("r-1"))).unwrap()
    }

    #[test]
    fn a_problem_carries_code_errors_and_facts() {
        let problem = Problem::conflict("sold_out", "Nothing is left.").with("available", 3);
        let expected = serde_json::json!({
            "type": "/problems/sold_out", "title": "Conflict", "status": 409, "code": "sold_out",
            "detail": "Nothing is left.", "errors": [{"message": "Nothing is left."}], "requestId": "r-1", "available": 3,
        });
        assert_eq!(json(&problem), expected);
    }

    #[test]
    fn wrong_fields_are_listed() {
        let problem = Problem::invalid("price", "must not be negative");
        assert_eq!(
            json(&problem)["errors"],
            serde_json::json!([{"field": "price", "message": "must not be negative"}])
        );
    }

    #[test]
    fn a_fault_of_ours_stays_with_us() {
        let problem = Problem::internal(std::io::Error::other("password is hunter2"));
        assert!(!json(&problem).to_string().contains("hunter2"));
        assert_eq!(problem.chain(), "password is hunter2");
    }
}
