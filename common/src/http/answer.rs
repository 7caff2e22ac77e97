//! What goes with an answer beside its status and body: cookies, and whether anybody may keep it.

use actix_web::body::BoxBody;
use actix_web::cookie::Cookie;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, Responder, ResponseError as _};

use super::idempotency::MadeAgain;
use super::openapi::{About, Documented};
use super::problem::Problem;

/// An answer with cookies, or one that is not kept.
#[derive(Debug)]
pub struct Answer<R> {
    answer: R,
    cookies: Vec<Cookie<'static>>,
    no_store: bool,
    made_again: bool,
}

impl<R> Answer<R> {
    /// The answer alone.
    pub fn of(answer: R) -> Self {
        Self { answer, cookies: Vec::new(), no_store: false, made_again: false }
    }

    /// Sets these cookies too.
    #[must_use]
    pub fn with_cookies(mut self, cookies: impl IntoIterator<Item = Cookie<'static>>) -> Self {
        self.cookies.extend(cookies);
        self
    }

    /// No cache may keep it, not even the browser's: it holds a secret, or is true for this moment only.
    #[must_use]
    pub fn no_store(self) -> Self {
        Self { no_store: true, ..self }
    }

    /// Whether a request that is sent again under its `Idempotency-Key` is handled again, instead of being answered from the record
    /// of the first: for what no record may keep, or what may be true no more by then.
    #[must_use]
    pub fn made_again(self, made_again: bool) -> Self {
        Self { made_again, ..self }
    }
}

impl<R: Responder> Responder for Answer<R>
where
    R::Body: 'static,
{
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        let mut response = self.answer.respond_to(request).map_into_boxed_body();
        for cookie in &self.cookies {
            if let Err(error) = response.add_cookie(cookie) {
                return Problem::internal(error.to_string()).error_response();
            }
        }
        if self.no_store {
            response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        if self.made_again {
            response.extensions_mut().insert(MadeAgain);
        }
        response
    }
}

impl<R: Documented> Documented for Answer<R> {
    fn tell(about: &mut About<'_>) {
        R::tell(about);
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::StatusCode;
    use actix_web::test::TestRequest;

    use super::*;
    use crate::http::Created;

    fn created() -> Created<&'static str> {
        Created { location: "/api/things/1".to_owned(), version: 1, body: "x" }
    }

    fn headers(response: &HttpResponse, name: header::HeaderName) -> Vec<&str> {
        response.headers().get_all(name).map(|value| value.to_str().unwrap()).collect()
    }

    #[test]
    fn an_answer_keeps_its_own_headers() {
        let cookies = [Cookie::new("a", "1"), Cookie::new("b", "2")];
        let answer = Answer::of(created()).with_cookies(cookies).no_store().made_again(true);
        let response = answer.respond_to(&TestRequest::default().to_http_request());
        assert_eq!(response.status(), StatusCode::CREATED);
        assert_eq!(headers(&response, header::LOCATION), ["/api/things/1"]);
        assert_eq!(headers(&response, header::ETAG).len(), 1);
        assert_eq!(headers(&response, header::CACHE_CONTROL), ["no-store"]);
        assert_eq!(response.cookies().map(|cookie| cookie.to_string()).collect::<Vec<_>>(), ["a=1", "b=2"]);
        assert!(response.extensions().get::<MadeAgain>().is_some());
    }

    #[test]
    fn nothing_is_added_unasked() {
        let response = Answer::of(created()).respond_to(&TestRequest::default().to_http_request());
        assert_eq!(headers(&response, header::CACHE_CONTROL), ["private, no-cache"]);
        assert!(response.cookies().next().is_none() && response.extensions().get::<MadeAgain>().is_none());
    }
}
