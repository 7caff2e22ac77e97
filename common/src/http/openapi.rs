//! The API document, made from the routes that are served: it cannot say anything else than what is.

use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::path::{HttpMethod, Operation};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{Components, ContentBuilder, Info, OpenApi, Paths, Ref, RefOr};
use utoipa::{PartialSchema as _, ToSchema as _};

use super::auth::ACCESS_COOKIE;
use super::guard::area_of;
use super::problem::{FieldError, PROBLEM_JSON, ProblemBody};
use super::routes::Route;

/// The API document of `routes`.
pub fn openapi(title: &str, routes: &[Route]) -> OpenApi {
    let mut document = OpenApi::new(Info::new(title, env!("CARGO_PKG_VERSION")), paths(routes));
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
    for (status, description) in problems(route) {
        operation.responses.responses.entry(status.to_owned()).or_insert_with(|| RefOr::T(problem(description)));
    }
    operation
}

fn problems(route: &Route) -> Vec<(&'static str, &'static str)> {
    let mut problems = vec![
        ("default", "Any other problem"),
        ("503", "Too much is going on, it takes too long, or a server is away; `Retry-After` says when to come again"),
    ];
    if route.policy().needs_principal() {
        problems.extend([("401", "Nobody is signed in"), ("403", "Not allowed")]);
    }
    if !route.is_cached() {
        problems.push(("429", "Too many requests of this client; `Retry-After` says when to come again"));
    }
    if route.operation().request_body.is_some() {
        problems.push(("408", "The body took too long to come"));
    }
    if route.is_idempotent() {
        problems.push(("422", "The Idempotency-Key was used for another request"));
    }
    problems
}

fn problem(description: &str) -> Response {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    ResponseBuilder::new().description(description).content(PROBLEM_JSON, content).build()
}

fn components(routes: &[Route]) -> Components {
    let mut components = Components::new();
    components.schemas.extend(routes.iter().flat_map(Route::schemas));
    components.schemas.insert("Problem".to_owned(), ProblemBody::schema());
    components.schemas.insert(FieldError::name().into_owned(), FieldError::schema());
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
