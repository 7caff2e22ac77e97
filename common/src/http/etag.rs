//! Versions as entity tags: what a client saw, and whether it is still so. A tag is `"<version>.<hash of the body>"`: what is shown of one
//! version depends on who asks, and who signs in after somebody else must not get what that one saw.

use actix_web::body::BoxBody;
use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{FromRequest, HttpRequest, HttpResponse, HttpResponseBuilder, Responder, ResponseError as _};
use futures::future::{Ready, ready};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use utoipa::PartialSchema as _;

use super::openapi::schema::text_like;
use super::openapi::{About, Documented};
use super::policy::reads;
use super::problem::Problem;

/// A thing and its version, which goes into `ETag`. A `GET` by a client that has it already is answered 304.
#[derive(Clone, Debug)]
pub struct Tagged<T> {
    /// The version of the thing.
    pub version: i64,
    /// The thing as JSON shows it.
    pub body: T,
}

impl<T: Serialize> Responder for Tagged<T> {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        tagged(self.version, &self.body, |response, tag| {
            response.status(if is_known(request, tag.as_bytes()) { StatusCode::NOT_MODIFIED } else { StatusCode::OK });
        })
    }
}

/// A thing that was just made: 201 with its `Location` and `ETag`.
#[derive(Clone, Debug)]
pub struct Created<T> {
    /// Where it can be had.
    pub location: String,
    /// The version of the thing.
    pub version: i64,
    /// The thing as JSON shows it.
    pub body: T,
}

impl<T: Serialize> Responder for Created<T> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        tagged(self.version, &self.body, |response, _| {
            response.status(StatusCode::CREATED).insert_header((header::LOCATION, self.location));
        })
    }
}

/// What tells bodies of one version apart.
pub(super) fn hash_of(body: &[u8]) -> String {
    hex::encode(&Sha256::digest(body)[..8])
}

fn tagged(version: i64, body: &impl Serialize, finish: impl FnOnce(&mut HttpResponseBuilder, &str)) -> HttpResponse {
    let body = match serde_json::to_vec(body) {
        Ok(body) => body,
        Err(error) => return Problem::internal(error).error_response(),
    };
    let tag = format!("\"{version}.{}\"", hash_of(&body));
    let mut response = HttpResponse::Ok();
    // A shared cache must not keep it, and a browser must ask again: it may look different for somebody else.
    response.insert_header((header::CACHE_CONTROL, "private, no-cache"));
    finish(&mut response, &tag);
    response.insert_header((header::ETAG, tag));
    let mut response = response.content_type(header::ContentType::json()).body(body);
    if response.status() == StatusCode::NOT_MODIFIED {
        response.headers_mut().remove(header::CONTENT_TYPE);
        return response.set_body(BoxBody::new(()));
    }
    response
}

/// Whether the client of a request that reads has what `tag`, a whole entity tag, names. The comparison is the weak one: a
/// proxy that compresses makes a tag weak.
pub(super) fn is_known(request: &HttpRequest, tag: &[u8]) -> bool {
    let named = |item: &str| item == "*" || item.strip_prefix("W/").unwrap_or(item).as_bytes() == tag;
    reads(request.method())
        && text(request.headers(), header::IF_NONE_MATCH).is_some_and(|tags| tags.split(',').map(str::trim).any(named))
}

/// The version the client means to change, from `If-Match`. Without the header, or with `*`, any will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IfMatch(pub Option<i64>);

impl IfMatch {
    /// Whether the thing is still what the client saw.
    ///
    /// # Errors
    /// 412 if it is not.
    pub fn check(self, current: i64) -> Result<(), Problem> {
        if self.0.is_none_or(|expected| expected == current) { Ok(()) } else { Err(Problem::version_mismatch()) }
    }

    fn read(headers: &HeaderMap) -> Result<Self, Problem> {
        let wrong = || Problem::invalid("If-Match", "must be a version as it was in ETag, such as \"3\"");
        match text(headers, header::IF_MATCH) {
            None | Some("*") => Ok(Self(None)),
            Some(tag) => version_of(tag).map(|version| Self(Some(version))).ok_or_else(wrong),
        }
    }
}

impl FromRequest for IfMatch {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::read(request.headers()))
    }
}

impl Documented for IfMatch {
    fn tell(about: &mut About<'_>) {
        let says = "The `ETag` of what the client saw, or `*`: nothing is changed if it is another version by now";
        about.takes("If-Match", text_like(r#"^(\*|(W/)?"[0-9]{1,18}(\.[0-9a-z.-]*)?")$"#), says);
        about.answer(StatusCode::BAD_REQUEST, "`If-Match` is no version");
        about.answer(StatusCode::PRECONDITION_FAILED, "`version_mismatch`: it was changed since; load it again");
    }
}

impl<T> Documented for Tagged<T> {
    fn tell(about: &mut About<'_>) {
        known_by_tag(about);
    }
}

/// What an entity tag says, as the API document has it.
const TAG: &str = "The version, for `If-Match`, and what tells answers of one version apart";

/// What is answered with an entity tag; who reads need not get again what they have.
pub(super) fn known_by_tag(about: &mut About<'_>) {
    if about.reads() {
        about.takes("If-None-Match", String::schema(), "The `ETag` of what the client has already");
        about.answer(StatusCode::NOT_MODIFIED, "The client has it already, as `If-None-Match` says");
    }
    about.gives(|status| status < 400, "ETag", TAG);
}

impl<T> Documented for Created<T> {
    fn tell(about: &mut About<'_>) {
        let is_made = |status| status == 201;
        about.gives(is_made, "ETag", TAG);
        about.gives(is_made, "Location", "Where it can be had");
    }
}

/// A header's text; "?" if it is none.
pub(super) fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("?").trim())
}

/// A proxy that compresses makes a tag weak; the version in it is none the worse.
fn opaque(tag: &str) -> Option<&str> {
    tag.strip_prefix("W/").unwrap_or(tag).strip_prefix('"')?.strip_suffix('"')
}

/// The version that a tag names: what stands before the dot.
fn version_of(tag: &str) -> Option<i64> {
    opaque(tag)?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn if_match(value: &str) -> Result<IfMatch, Problem> {
        IfMatch::read(TestRequest::default().insert_header((header::IF_MATCH, value)).to_http_request().headers())
    }

    #[test]
    fn if_match_names_one_version_or_any() {
        assert_eq!(if_match("\"3\"").unwrap(), IfMatch(Some(3)));
        assert_eq!(if_match("W/\"3\"").unwrap(), IfMatch(Some(3)));
        assert_eq!(if_match("\"3.0a1b-br\"").unwrap(), IfMatch(Some(3)), "of a cached representation");
        assert_eq!(if_match("*").unwrap(), IfMatch(None));
        for garbage in ["3", "\"x\"", "", "\"1\", \"2\""] {
            assert_eq!(if_match(garbage).unwrap_err().status(), StatusCode::BAD_REQUEST, "{garbage}");
        }
    }

    #[test]
    fn another_version_is_a_mismatch() {
        assert!(IfMatch(Some(3)).check(3).is_ok() && IfMatch(None).check(9).is_ok());
        assert_eq!(IfMatch(Some(3)).check(4).unwrap_err().code(), "version_mismatch");
    }

    fn answer(known: &str, body: &str) -> HttpResponse {
        let request = TestRequest::default().insert_header((header::IF_NONE_MATCH, known)).to_http_request();
        Tagged { version: 7, body }.respond_to(&request)
    }

    #[test]
    fn who_has_it_already_gets_no_body() {
        let first = answer("", "x");
        let tag = first.headers().get(header::ETAG).unwrap().to_str().unwrap().to_owned();
        assert!(first.status() == StatusCode::OK && tag.starts_with("\"7."), "{tag}");
        for known in [&format!("\"6\", W/{tag}"), "*"] {
            let again = answer(known, "x");
            assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{known}");
            assert!(again.headers().contains_key(header::ETAG) && !again.headers().contains_key(header::CONTENT_TYPE));
        }
        for other in ["\"6\"", "\"7\"", "\"7.0a1b\""] {
            assert_eq!(answer(other, "x").status(), StatusCode::OK, "{other}");
        }
        assert_eq!(answer(&tag, "y").status(), StatusCode::OK, "somebody else sees something else of it");
    }
}
