//! Strict readers of what a client sends: JSON body, query and path.

use actix_web::dev::Payload;
use actix_web::http::{StatusCode, header};
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use bytes::Bytes;
use futures::StreamExt as _;
use futures::future::{LocalBoxFuture, Ready, ready};
use serde::de::DeserializeOwned;

use super::openapi::{About, Documented, of_body};
use super::problem::{FieldError, Problem};

/// How many bytes a [`Body`] may have if nothing else is said.
pub const BODY_LIMIT: usize = 64 * 1024;

/// A JSON body, read strictly. Derive `Deserialize` with `deny_unknown_fields` on `T`.
///
/// Refused with 415 unless it says it is JSON, with 413 over `LIMIT` bytes, and with 400 naming the field
/// if it is not what `T` asks for.
#[derive(Clone, Debug)]
pub struct Body<T, const LIMIT: usize = BODY_LIMIT>(pub T);

impl<T: DeserializeOwned + 'static, const LIMIT: usize> FromRequest for Body<T, LIMIT> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let json = says_json(request);
        let announced = announced_length(request);
        let payload = payload.take();
        Box::pin(async move {
            if !json {
                return Err(Problem::unsupported_media_type("application/json"));
            }
            let bytes = read_all(payload, announced, LIMIT).await?;
            from_json(&bytes).map(Self)
        })
    }
}

impl<T, const LIMIT: usize> Documented for Body<T, LIMIT> {
    fn tell(about: &mut About<'_>) {
        of_body(about, LIMIT);
        about.answer(StatusCode::UNSUPPORTED_MEDIA_TYPE, "`unsupported_media_type`: it does not say that it is JSON");
    }
}

fn says_json(request: &HttpRequest) -> bool {
    let media_type = request.content_type();
    media_type.eq_ignore_ascii_case("application/json") || media_type.to_ascii_lowercase().ends_with("+json")
}

pub(crate) fn announced_length(request: &HttpRequest) -> usize {
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    length.and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Reads the payload to its end, or to `limit`. The server has read it already, in bounded time: it comes at once.
pub(crate) async fn read_all(mut payload: Payload, announced: usize, limit: usize) -> Result<Bytes, Problem> {
    if announced > limit {
        return Err(Problem::too_large(limit));
    }
    let mut whole = Bytes::new();
    while let Some(piece) = payload.next().await {
        let piece = piece.map_err(|error| {
            Problem::bad_request("incomplete_body", "The body broke off.").caused_by(error.to_string())
        })?;
        if whole.len() + piece.len() > limit {
            return Err(Problem::too_large(limit));
        }
        whole = if whole.is_empty() { piece } else { Bytes::from([whole, piece].concat()) };
    }
    Ok(whole)
}

fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // Only an error needs to know its path.
    if let Ok(value) = serde_json::from_slice(bytes) {
        return Ok(value);
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| unreadable(&error))?;
    json.end().map_err(|error| malformed(&error))?;
    Ok(value)
}

fn unreadable(error: &serde_path_to_error::Error<serde_json::Error>) -> Problem {
    if !error.inner().is_data() {
        return malformed(error.inner());
    }
    let path = error.path().to_string();
    invalid_at(if path == "." { String::new() } else { path }, &error.inner().to_string())
}

fn malformed(error: &serde_json::Error) -> Problem {
    let detail = format!("The body is not valid JSON (line {}, column {}).", error.line(), error.column());
    Problem::bad_request("malformed_json", detail)
}

/// Serde tells only in words which field is missing or too much.
fn invalid_at(path: String, told: &str) -> Problem {
    let message = told.split(" at line ").next().unwrap_or(told);
    if let Some(missing) = message.strip_prefix("missing field ") {
        return Problem::invalid(joined(&path, missing.trim_matches('`')), "is missing");
    }
    if message.starts_with("unknown field ") {
        return Problem::invalid(path, "is not a known field");
    }
    let field = Some(path).filter(|path| !path.is_empty());
    Problem::invalid_fields(vec![FieldError { message: message.to_owned(), field }])
}

fn joined(parent: &str, field: &str) -> String {
    if parent.is_empty() { field.to_owned() } else { format!("{parent}.{field}") }
}

/// The query, read into `T`; 400 naming the parameter if it is not what `T` asks for.
///
/// Do not deny unknown fields on `T` if the handler takes [`Paging`](super::Paging) too.
#[derive(Clone, Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned> FromRequest for Query<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(from_query(request.query_string()).map(Self))
    }
}

impl<T> Documented for Query<T> {
    fn tell(about: &mut About<'_>) {
        of_query(about);
    }
}

/// What every query may be answered with.
pub(super) fn of_query(about: &mut About<'_>) {
    about.answer(StatusCode::BAD_REQUEST, "A parameter is not what is asked for; `errors` names what is wrong");
}

pub(crate) fn from_query<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    let pairs = serde_urlencoded::Deserializer::new(url::form_urlencoded::parse(query.as_bytes()));
    serde_path_to_error::deserialize(pairs).map_err(|error| {
        let path = error.path().to_string();
        invalid_at(if path == "." { String::new() } else { path }, &error.inner().to_string())
    })
}

/// What the path names; 404 if it cannot name anything, such as an id that is none.
#[derive(Clone, Debug)]
pub struct PathOf<T>(pub T);

impl<T: DeserializeOwned> FromRequest for PathOf<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let path = web::Path::<T>::from_request(request, payload).into_inner();
        ready(path.map(|path| Self(path.into_inner())).map_err(|_| Problem::not_found()))
    }
}

impl<T> Documented for PathOf<T> {
    fn tell(about: &mut About<'_>) {
        about.answer(StatusCode::NOT_FOUND, "`not_found`: there is no such thing, or not for this caller");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::TicketId;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Line {
        ticket: TicketId,
        quantity: u32,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Basket {
        lines: Vec<Line>,
    }

    fn refused(json: &str) -> (String, Option<String>) {
        let problem = from_json::<Basket>(json.as_bytes()).unwrap_err();
        let field = problem.errors().first().and_then(|error| error.field.clone());
        (problem.code().to_owned(), field)
    }

    fn invalid(field: &str) -> (String, Option<String>) {
        ("invalid_input".to_owned(), Some(field.to_owned()))
    }

    #[test]
    fn the_wrong_field_is_named() {
        assert_eq!(refused(r#"{"lines": 3}"#), invalid("lines"));
        assert_eq!(refused(r#"{}"#), invalid("lines"));
        assert_eq!(refused(r#"{"lines": [{"ticket": {"$ne": null}, "quantity": 1}]}"#), invalid("lines[0].ticket"));
        assert_eq!(refused(r#"{"lines": [{"ticket": "x", "quantity": 1}]}"#), invalid("lines[0].ticket"));
        assert_eq!(refused(r#"{"lines": [{"quantity": -1}]}"#), invalid("lines[0].quantity"));
        assert_eq!(refused(r#"{"lines": [], "isAdmin": true}"#), invalid("isAdmin"));
        assert_eq!(refused("3"), ("invalid_input".to_owned(), None));
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in ["", "{", r#"{"lines": []} x"#, "{'lines': []}"] {
            assert_eq!(refused(text).0, "malformed_json", "{text}");
        }
        let deep = "[".repeat(100_000);
        assert_eq!(refused(&format!(r#"{{"lines": {deep}"#)).0, "invalid_input");
        assert!(from_json::<serde_json::Value>(deep.as_bytes()).is_err());
    }

    #[test]
    fn a_wrong_parameter_is_named() {
        #[derive(Debug, serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Filter {
            min_price: Option<u32>,
        }
        assert_eq!(from_query::<Filter>("minPrice=5").unwrap().min_price, Some(5));
        let problem = from_query::<Filter>("minPrice=x").unwrap_err();
        assert_eq!(problem.errors()[0].field.as_deref(), Some("minPrice"));
    }
}
