//! What a request names: the id in its address, the fields of its form.

use std::convert::Infallible;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use futures::future::{LocalBoxFuture, Ready, ready};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::failure::Failure;

/// A form's fields; what cannot be read is an empty form, whose fields the API then asks for.
pub(crate) struct Form<T>(pub(crate) T);

impl<T: DeserializeOwned + Default + 'static> FromRequest for Form<T> {
    type Error = actix_web::Error;
    type Future = LocalBoxFuture<'static, Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let form = web::Form::<T>::from_request(request, payload);
        Box::pin(async move { Ok(Self(form.await.map_or_else(|_| T::default(), web::Form::into_inner))) })
    }
}

/// What stands behind the question mark of an address; what cannot be read says nothing.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned + Default> FromRequest for Query<T> {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self(serde_urlencoded::from_str(request.query_string()).unwrap_or_default())))
    }
}

/// An id in an address. Whatever is none of ours is a page that does not exist.
#[derive(Debug)]
pub(crate) struct Id(Uuid);

impl Id {
    /// The id that a text is.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }

    /// The id in that place of the request's address.
    pub(crate) fn named(request: &HttpRequest, place: &str) -> Result<Self, Failure> {
        request.match_info().get(place).and_then(Self::parse).ok_or(Failure::NotFound)
    }
}

impl FromRequest for Id {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::named(request, "id"))
    }
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
