//! An answer ready to be sent: body, entity tag, and the same coded for clients that take it so.

use std::sync::OnceLock;

use actix_web::body::BoxBody;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, Responder};
use bytes::Bytes;
use serde::Serialize;

use super::Weighed;
use super::coding::Coding;
use crate::http::etag::{hash_of, is_known, known_by_tag, text};
use crate::http::{About, Documented};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// Everybody sees the same, and asks each time whether it is still so.
const CACHE_CONTROL: HeaderValue = HeaderValue::from_static("public, no-cache");
const VARY: HeaderValue = HeaderValue::from_static("Accept-Encoding");
/// What a representation takes beside its bodies, in bytes.
const OVERHEAD: usize = 512;

/// A 200 with JSON for everybody who may see it: public things only.
///
/// Its entity tag is `"<version>.<hash of the body>"`, or the hash alone for what has no version, with the coding at
/// the end. So a 304 is right whatever has changed, and [`IfMatch`](crate::http::IfMatch) takes the version out of it.
#[derive(Debug)]
pub struct Representation {
    tag: String,
    identity: Variant,
    gzip: OnceLock<Option<Variant>>,
    brotli: OnceLock<Option<Variant>>,
}

#[derive(Debug)]
struct Variant {
    body: Bytes,
    tag: HeaderValue,
    coding: Option<HeaderValue>,
}

impl Representation {
    /// What `body` says as JSON, which is version `version` of something if it is of one thing.
    ///
    /// # Errors
    /// If the body cannot be written as JSON.
    pub fn json(version: Option<i64>, body: &impl Serialize) -> Result<Self, serde_json::Error> {
        let body = Bytes::from(serde_json::to_vec(body)?);
        let hash = hash_of(&body);
        let tag = version.map_or_else(|| hash.clone(), |version| format!("{version}.{hash}"));
        let identity = Variant { tag: quoted(&tag), body, coding: None };
        Ok(Self { tag, identity, gzip: OnceLock::new(), brotli: OnceLock::new() })
    }

    /// The answer to a `GET` or `HEAD`: coded as the client takes it, or 304 if the client has just that.
    pub fn answer(&self, request: &HttpRequest) -> Represented {
        Represented(self.response(request))
    }

    fn response(&self, request: &HttpRequest) -> HttpResponse {
        let variant = self.variant(Coding::chosen(text(request.headers(), header::ACCEPT_ENCODING)));
        let known = is_known(request, variant.tag.as_bytes());
        let mut response = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
        response.insert_header((header::ETAG, variant.tag.clone()));
        response.insert_header((header::VARY, VARY));
        response.insert_header((header::CACHE_CONTROL, CACHE_CONTROL));
        if known {
            return response.finish();
        }
        response.insert_header((header::CONTENT_TYPE, JSON));
        if let Some(coding) = &variant.coding {
            response.insert_header((header::CONTENT_ENCODING, coding.clone()));
        }
        response.body(variant.body.clone())
    }

    /// The body as it is.
    pub fn body(&self) -> &Bytes {
        &self.identity.body
    }

    /// Coded when the first client wishes for it; from then on it is there.
    fn variant(&self, coding: Coding) -> &Variant {
        let coded = match coding {
            Coding::Identity => return &self.identity,
            Coding::Gzip => &self.gzip,
            Coding::Brotli => &self.brotli,
        };
        coded.get_or_init(|| self.coded(coding)).as_ref().unwrap_or(&self.identity)
    }

    fn coded(&self, coding: Coding) -> Option<Variant> {
        let (body, name) = (coding.code(&self.identity.body)?, coding.name()?);
        let tag = quoted(&format!("{}-{name}", self.tag));
        Some(Variant { body, tag, coding: Some(HeaderValue::from_static(name)) })
    }
}

/// The answer that shows a [`Representation`].
#[derive(Debug)]
pub struct Represented(HttpResponse);

impl Responder for Represented {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        self.0
    }
}

impl Documented for Represented {
    fn tell(about: &mut About<'_>) {
        known_by_tag(about);
    }
}

impl Weighed for Representation {
    /// With the coded bodies, whether they are made yet or not.
    fn weight(&self) -> u32 {
        u32::try_from(self.identity.body.len() * 2 + OVERHEAD).unwrap_or(u32::MAX)
    }
}

fn quoted(tag: &str) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{tag}\"")).expect("digits, letters, dots and dashes may stand in a header")
}

#[cfg(test)]
mod tests {
    use actix_web::http::StatusCode;
    use actix_web::test::TestRequest;

    use super::*;

    fn answer(shown: &Representation, headers: &[(&str, &str)]) -> HttpResponse {
        let request = headers.iter().fold(TestRequest::get(), |request, header| request.insert_header(*header));
        shown.response(&request.to_http_request())
    }

    fn header_of<'r>(response: &'r HttpResponse, name: &str) -> Option<&'r str> {
        response.headers().get(name).map(|value| value.to_str().unwrap())
    }

    #[test]
    fn a_tag_names_version_body_and_coding() {
        let shown = Representation::json(Some(7), &"x".repeat(2000)).unwrap();
        let plain = answer(&shown, &[]);
        let tag = header_of(&plain, "etag").unwrap();
        assert!(tag.starts_with("\"7.") && tag.len() == 20, "{tag}");
        assert_eq!(header_of(&plain, "content-encoding"), None);
        for coding in ["gzip", "br"] {
            let coded = answer(&shown, &[("accept-encoding", coding)]);
            assert_eq!(header_of(&coded, "content-encoding"), Some(coding));
            let expected = format!("{}-{coding}\"", tag.trim_end_matches('"'));
            assert_eq!(header_of(&coded, "etag"), Some(expected.as_str()));
            assert_eq!(header_of(&coded, "vary"), Some("Accept-Encoding"));
        }
        let other = Representation::json(Some(7), &"y".repeat(2000)).unwrap();
        assert_ne!(header_of(&answer(&other, &[]), "etag"), Some(tag), "the same version may look different");
    }

    #[test]
    fn who_has_it_already_gets_no_body() {
        let shown = Representation::json(None, &"x".repeat(2000)).unwrap();
        let tag = header_of(&answer(&shown, &[]), "etag").unwrap().to_owned();
        for (known, coding, expected) in [
            (tag.clone(), "", StatusCode::NOT_MODIFIED),
            (format!("\"other\", W/{tag}"), "", StatusCode::NOT_MODIFIED),
            ("*".to_owned(), "", StatusCode::NOT_MODIFIED),
            ("\"other\"".to_owned(), "", StatusCode::OK),
            (tag, "gzip", StatusCode::OK),
        ] {
            let response = answer(&shown, &[("if-none-match", &known), ("accept-encoding", coding)]);
            assert_eq!(response.status(), expected, "{known} {coding}");
            assert!(response.headers().contains_key("etag"));
        }
    }

    #[test]
    fn small_bodies_are_sent_as_they_are() {
        let shown = Representation::json(Some(1), &"x").unwrap();
        assert_eq!(header_of(&answer(&shown, &[("accept-encoding", "gzip, br")]), "content-encoding"), None);
    }
}
