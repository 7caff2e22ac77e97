//! The API document, made from the routes that are served: it cannot say anything else than what is.
//!
//! What an operation does stands at its handler. What its arguments and its answer mean for a client these say themselves
//! ([`Documented`]), and what holds for a policy, a method or a mark of the table is said here. No answer stands for all others, so
//! one that is not in the document is a fault of the document or of the service.

mod about;
pub mod schema;

use std::collections::BTreeSet;

use actix_web::http::{Method, StatusCode};
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::path::{HttpMethod, Operation};
use utoipa::openapi::response::Response;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{Components, ContentBuilder, InfoBuilder, OpenApi, Paths, Ref, RefOr};
use utoipa::{PartialSchema as _, ToSchema as _};

pub(super) use about::of_body;
pub use about::{About, Documented};

use super::auth::ACCESS_COOKIE;
use super::guard::area_of;
use super::idempotency::{self, IdempotencyKey};
use super::policy::Policy;
use super::problem::{FieldError, PROBLEM_JSON, ProblemBody};
use super::routes::Route;

const OF_ALL: &str = "What goes wrong is told as `application/problem+json` (RFC 9457), and `code` names it. Before any \
    operation is asked, a path that there is not is answered 404, a method that a path has not 405 with `Allow`, a body of more \
    than 512 KiB 413, and what is no HTTP 400, 408 or 431 without a body. A fault of ours is a 500, whose `requestId` its operator \
    finds in the log. Fields that may be `null` are always there in an answer; a reader shall pass over those it does not know.";

/// The API document of `routes`.
pub fn openapi(title: &str, routes: &[Route]) -> OpenApi {
    let info = InfoBuilder::new().title(title).version(env!("CARGO_PKG_VERSION")).description(Some(OF_ALL)).build();
    let mut document = OpenApi::new(info, paths(routes));
    document.components = Some(components(routes));
    document
}

fn paths(routes: &[Route]) -> Paths {
    let mut paths = Paths::new();
    for route in routes {
        paths.add_path_operation(route.path(), vec![method_of(route)], described(route));
    }
    paths
}

fn described(route: &Route) -> Operation {
    let mut operation = route.operation();
    operation.tags = Some(vec![area_of(route.path()).to_owned()]);
    operation.operation_id = Some(route.name().replace('.', "_"));
    let extensions = ExtensionsBuilder::new()
        .add("x-policy", route.policy().to_string())
        .add("x-idempotent", route.is_idempotent())
        .build();
    operation.extensions.get_or_insert_default().merge(extensions);
    if route.policy().needs_principal() {
        let none: [&str; 0] = [];
        operation.security =
            Some(vec![SecurityRequirement::new("bearer", none), SecurityRequirement::new("cookie", none)]);
    }
    let mut about = About::new(&mut operation, route.method());
    route.tell(&mut about);
    tell_policy(route.policy(), &mut about);
    tell_marks(route, &mut about);
    about.gives(|status| matches!(status, 429 | 503), "Retry-After", "In how many seconds to come again");
    about.gives(|status| status == 401, "WWW-Authenticate", "`Bearer`");
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response
            && status.parse().is_ok_and(|status: u16| status >= 400)
        {
            tell_problem(response);
        }
    }
    operation
}

fn tell_policy(policy: Policy, about: &mut About<'_>) {
    if policy.needs_principal() {
        about.answer(
            StatusCode::UNAUTHORIZED,
            "`unauthenticated`: nobody is signed in, or the token is not good any more",
        );
        let says = match policy {
            Policy::Confirmed => "`address_not_confirmed`; `insufficient_scope` of an API key",
            Policy::Roles(_) => "`role_required`; `insufficient_scope` of an API key",
            _ => "`insufficient_scope` of an API key",
        };
        about.also(StatusCode::FORBIDDEN, says);
    }
    if policy != Policy::Webhook && !about.reads() {
        about.also(StatusCode::FORBIDDEN, "`cross_site_request`: a browser sends it on behalf of another site");
    }
}

fn tell_marks(route: &Route, about: &mut About<'_>) {
    about.answer(
        StatusCode::SERVICE_UNAVAILABLE,
        "Too much is going on, it takes too long, or a server is away; `Retry-After` says when to come again",
    );
    if !route.is_cached() || *route.method() == Method::POST {
        let says = "Too many requests of this client; `Retry-After` says when to come again";
        about.answer(StatusCode::TOO_MANY_REQUESTS, says);
    }
    if route.is_idempotent() {
        IdempotencyKey::tell(about);
        about.gives(|status| status < 300, idempotency::REPLAYED, "`true`, if an earlier request was answered so");
    }
}

/// What goes wrong is told one way.
fn tell_problem(response: &mut Response) {
    if response.content.is_empty() {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        response.content.insert(PROBLEM_JSON.to_owned(), RefOr::T(content));
    }
}

fn components(routes: &[Route]) -> Components {
    let mut components = Components::new();
    components.schemas.extend(routes.iter().flat_map(Route::schemas));
    components.schemas.insert("Problem".to_owned(), ProblemBody::schema());
    components.schemas.insert(FieldError::name().into_owned(), FieldError::schema());
    let operations: Vec<_> = routes.iter().map(Route::operation).collect();
    let requests: BTreeSet<_> = operations
        .iter()
        .flat_map(|operation| schema::names_in(&(&operation.request_body, &operation.parameters)))
        .collect();
    let mut answers: BTreeSet<_> =
        operations.iter().flat_map(|operation| schema::names_in(&operation.responses)).collect();
    answers.insert("Problem".to_owned());
    schema::put_right(&mut components, &requests, &answers);
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
    components.security_schemes.insert("bearer".to_owned(), RefOr::T(SecurityScheme::Http(bearer)));
    let cookie = ApiKey::Cookie(ApiKeyValue::new(ACCESS_COOKIE));
    components.security_schemes.insert("cookie".to_owned(), RefOr::T(SecurityScheme::ApiKey(cookie)));
    components
}

fn method_of(route: &Route) -> HttpMethod {
    match route.method().as_str() {
        "PUT" => HttpMethod::Put,
        "POST" => HttpMethod::Post,
        "DELETE" => HttpMethod::Delete,
        "OPTIONS" => HttpMethod::Options,
        "HEAD" => HttpMethod::Head,
        "PATCH" => HttpMethod::Patch,
        "TRACE" => HttpMethod::Trace,
        _ => HttpMethod::Get,
    }
}
