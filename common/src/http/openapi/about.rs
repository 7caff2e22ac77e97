//! What the arguments and answers of handlers say of their operations in the API document.

use actix_web::http::{Method, StatusCode};
use actix_web::web::{Bytes, Data, Json};
use actix_web::{HttpRequest, HttpResponse};
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Required, Schema};

use crate::http::policy::reads;
use crate::http::problem::Problem;

/// An argument or an answer of a handler, which says what it means for whoever sends the request. A route whose handler has one
/// that says nothing does not compile, so the document cannot forget one.
pub trait Documented {
    /// Says it. Nothing, if it means nothing to a client.
    fn tell(_: &mut About<'_>) {}
}

/// An operation of the API document that is being described.
pub struct About<'o> {
    operation: &'o mut Operation,
    method: &'o Method,
}

impl<'o> About<'o> {
    pub(super) fn new(operation: &'o mut Operation, method: &'o Method) -> Self {
        Self { operation, method }
    }

    /// Whether the request only reads.
    pub fn reads(&self) -> bool {
        reads(self.method)
    }

    /// An answer that the server may give, unless the operation says itself what it means.
    pub fn answer(&mut self, status: StatusCode, says: &str) {
        let response = self.response(status);
        if response.description.is_empty() {
            says.clone_into(&mut response.description);
        }
    }

    /// An answer that the server may give beside what the operation says of this status.
    pub fn also(&mut self, status: StatusCode, says: &str) {
        let response = self.response(status);
        let before = std::mem::take(&mut response.description);
        response.description = if before.is_empty() { says.to_owned() } else { format!("{before}; {says}") };
    }

    /// A header that the request may have.
    pub fn takes(&mut self, name: &str, schema: impl Into<RefOr<Schema>>, says: &str) {
        let header = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Header).required(Required::False);
        let header = header.schema(Some(schema)).description(Some(says)).build();
        self.operation.parameters.get_or_insert_default().push(RefOr::T(header));
    }

    /// A header that answers with these statuses have.
    pub fn gives(&mut self, of: impl Fn(u16) -> bool, name: &str, says: &str) {
        for (status, response) in &mut self.operation.responses.responses {
            let RefOr::T(response) = response else { continue };
            if status.parse().is_ok_and(&of) {
                let text = ObjectBuilder::new().schema_type(Type::String);
                let header = HeaderBuilder::new().schema(Some(text)).description(Some(says)).build();
                response.headers.entry(name.to_owned()).or_insert(RefOr::T(header));
            }
        }
    }

    fn response(&mut self, status: StatusCode) -> &mut Response {
        let status = status.as_u16().to_string();
        let empty = || RefOr::T(Response::default());
        let response = self.operation.responses.responses.entry(status).or_insert_with(empty);
        if let RefOr::Ref(_) = response {
            *response = RefOr::T(ResponseBuilder::new().build());
        }
        match response {
            RefOr::T(response) => response,
            RefOr::Ref(_) => unreachable!("it was replaced"),
        }
    }
}

impl Documented for HttpRequest {}
impl Documented for HttpResponse {}
impl Documented for String {}
impl Documented for &'static str {}
impl<T> Documented for Data<T> {}
impl<T> Documented for Json<T> {}

impl Documented for Bytes {
    fn tell(about: &mut About<'_>) {
        of_body(about, crate::http::reading::LIMIT);
    }
}

impl<T: Documented> Documented for Result<T, Problem> {
    fn tell(about: &mut About<'_>) {
        T::tell(about);
    }
}

/// What every body may be answered with.
pub(in crate::http) fn of_body(about: &mut About<'_>, limit: usize) {
    about.answer(StatusCode::BAD_REQUEST, "The body is not what is asked for; `errors` names what is wrong");
    about.answer(StatusCode::REQUEST_TIMEOUT, "`slow_body`: the body took too long to come");
    about.answer(StatusCode::PAYLOAD_TOO_LARGE, &format!("`too_large`: the body has more than {limit} bytes"));
}

macro_rules! tuples {
    () => { impl Documented for () {} };
    ($first:ident $($rest:ident)*) => {
        impl<$first: Documented $(, $rest: Documented)*> Documented for ($first, $($rest,)*) {
            fn tell(about: &mut About<'_>) {
                $first::tell(about);
                $( $rest::tell(about); )*
            }
        }
        tuples!($($rest)*);
    };
}

tuples!(A B C D E F G H);
