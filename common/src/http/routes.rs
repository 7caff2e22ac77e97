//! A service's routes as a table: handler, policy, and nothing said twice.

use actix_web::http::{Method, header};
use actix_web::middleware::{Next, from_fn};
use actix_web::web::ServiceConfig;
use actix_web::{FromRequest, Handler, HttpResponse, Resource, Responder, Scope, guard, web};
use utoipa::openapi::path::{HttpMethod, Operation};
use utoipa::openapi::{RefOr, Schema};

use super::guard::{Guarded, ServiceHttp, pass};
use super::meter::AnsweredBy;
use super::openapi::{About, Documented};
use super::policy::Policy;
use super::problem;

/// Lists handlers with their policies: `Vec<Route>`.
///
/// Each handler is an `async fn` with `#[utoipa::path(...)]`, which says its method and path. `idempotent` lets clients
/// send `Idempotency-Key`; `cached` is for a handler that answers from memory, as with a
/// [`ReadCache`](crate::http::cached::ReadCache), or that requests which are let in wait for.
///
/// ```ignore
/// routes! { api:
///     create => Policy::SignedIn, idempotent;
///     list => Policy::Public;
/// }
/// ```
#[macro_export]
macro_rules! routes {
    ($module:ident : $($handler:ident => $policy:expr $(, $mark:ident)*;)+) => {
        $crate::http::__private::paste! {
            ::std::vec![$(
                $crate::http::Route::of::<$module::[<__path_ $handler>], _, _>(
                    ::core::concat!(::core::module_path!(), "::", ::core::stringify!($module), "::", ::core::stringify!($handler)),
                    $policy,
                    || $crate::http::__private::Route::new().to($module::$handler),
                    $module::$handler,
                )
                $(.$mark())*
            ),+]
        }
    };
}

type Schemas = Vec<(String, RefOr<Schema>)>;

/// One row of the table.
#[derive(Clone)]
pub struct Route {
    name: String,
    path: String,
    method: Method,
    policy: Policy,
    idempotent: bool,
    cached: bool,
    endpoint: fn() -> actix_web::Route,
    operation: fn() -> Operation,
    schemas: fn(&mut Schemas),
    tell: fn(&mut About<'_>),
}

impl Route {
    /// The row of the handler that utoipa describes by `P`. Use [`routes!`](crate::routes).
    #[doc(hidden)]
    pub fn of<P, F, A>(place: &str, policy: Policy, endpoint: fn() -> actix_web::Route, _: F) -> Self
    where
        P: utoipa::Path + utoipa::__dev::SchemaReferences,
        F: Handler<A>,
        A: FromRequest + Documented,
        F::Output: Responder + Documented,
    {
        let method = P::methods().first().map_or(Method::GET, method_of);
        let (operation, schemas) = (P::operation, <P as utoipa::__dev::SchemaReferences>::schemas);
        Self {
            name: name_of(place),
            path: P::path(),
            method,
            policy,
            idempotent: false,
            cached: false,
            endpoint,
            operation,
            schemas,
            tell: tell::<A, F::Output>,
        }
    }

    /// Lets clients repeat the request safely with an `Idempotency-Key`.
    #[must_use]
    pub fn idempotent(self) -> Self {
        Self { idempotent: true, ..self }
    }

    /// Lets in any number of requests: they are answered from memory, and where something is loaded, that takes a place.
    #[must_use]
    pub fn cached(self) -> Self {
        Self { cached: true, ..self }
    }

    /// What it is called in the API document and in idempotency records, such as `orders.create`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its path, with parameters in braces.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Its method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// Who may use it.
    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// Whether it takes an `Idempotency-Key`.
    pub fn is_idempotent(&self) -> bool {
        self.idempotent
    }

    /// Whether it is answered from a cache.
    pub fn is_cached(&self) -> bool {
        self.cached
    }

    /// What the API document says of it.
    pub fn operation(&self) -> Operation {
        (self.operation)()
    }

    /// The types the API document needs for it.
    pub fn schemas(&self) -> Schemas {
        let mut schemas = Vec::new();
        (self.schemas)(&mut schemas);
        schemas
    }

    /// Adds what its handler's arguments and answer mean for a client.
    pub(super) fn tell(&self, about: &mut About<'_>) {
        (self.tell)(about);
    }

    fn mount(&self, http: &ServiceHttp) -> actix_web::Route {
        let guarded = Guarded::new(self, http);
        let route = if self.method == Method::GET {
            (self.endpoint)().guard(guard::Any(guard::Get()).or(guard::Head()))
        } else {
            (self.endpoint)().method(self.method.clone())
        };
        route.wrap(from_fn(move |request, next: Next<_>| pass(guarded.clone(), request, next)))
    }
}

impl std::fmt::Debug for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} ({}, {})", self.method, self.path, self.name, self.policy)
    }
}

fn tell<A: Documented, O: Documented>(about: &mut About<'_>) {
    A::tell(about);
    O::tell(about);
}

/// Mounts a service's routes, each behind its policy. Other methods of a path are answered 405.
///
/// Each area of the API is a scope, so that a request is compared with the patterns of its own area alone: an area
/// belongs to one service.
pub fn configure(routes: &[Route], config: &mut ServiceConfig, http: &ServiceHttp) {
    let paths = by_path(routes);
    for of_area in paths.chunk_by(|(one, _), (other, _)| scope_of(one).is_some() && scope_of(one) == scope_of(other)) {
        let scope = of_area.first().and_then(|(path, _)| scope_of(path));
        let resources =
            of_area.iter().map(|(path, of_path)| resource(&path[scope.map_or(0, str::len)..], of_path, http));
        if let Some(scope) = scope {
            config.service(resources.fold(web::scope(scope), Scope::service));
        } else {
            for resource in resources {
                config.service(resource);
            }
        }
    }
}

fn resource(path: &str, routes: &[&Route], http: &ServiceHttp) -> Resource {
    let allowed = allowed_methods(routes);
    let resource = web::resource(path).app_data(AnsweredBy(http.service));
    let resource = routes.iter().fold(resource, |resource, route| resource.route(route.mount(http)));
    resource.default_service(web::to(move || refuse_method(allowed.clone())))
}

/// `/api/orders` of `/api/orders/{id}`.
fn scope_of(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("/api/")?;
    let area = rest.split('/').next().filter(|area| !area.contains('{'))?;
    Some(&path[..path.len() - rest.len() + area.len()])
}

async fn refuse_method(allowed: String) -> HttpResponse {
    let mut response = problem::from_status(actix_web::http::StatusCode::METHOD_NOT_ALLOWED).response(None);
    if let Ok(value) = allowed.try_into() {
        response.headers_mut().insert(header::ALLOW, value);
    }
    response
}

fn allowed_methods(routes: &[&Route]) -> String {
    let mut methods: Vec<_> = routes.iter().map(|route| route.method.as_str()).collect();
    if methods.contains(&"GET") {
        methods.push("HEAD");
    }
    methods.sort_unstable();
    methods.join(", ")
}

/// Actix takes the first path that matches, so `/users/me` must come before `/users/{id}`.
fn by_path(routes: &[Route]) -> Vec<(&str, Vec<&Route>)> {
    let mut paths: Vec<(&str, Vec<&Route>)> = Vec::new();
    for route in routes {
        match paths.iter_mut().find(|(path, _)| *path == route.path) {
            Some((_, of_path)) => of_path.push(route),
            None => paths.push((&route.path, vec![route])),
        }
    }
    paths.sort_by_cached_key(|(path, _)| precedence(path));
    paths
}

fn precedence(path: &str) -> Vec<(bool, &str)> {
    path.split('/').map(|segment| (segment.contains('{'), segment)).collect()
}

/// `orders::routes::api::create` is `orders.create`, `orders::routes::passes::list` is `orders.passes.list`.
fn name_of(place: &str) -> String {
    let parts: Vec<_> = place.split("::").filter(|part| !matches!(*part, "api" | "self" | "routes")).collect();
    parts.join(".")
}

fn method_of(method: &HttpMethod) -> Method {
    match method {
        HttpMethod::Get => Method::GET,
        HttpMethod::Put => Method::PUT,
        HttpMethod::Post => Method::POST,
        HttpMethod::Delete => Method::DELETE,
        HttpMethod::Options => Method::OPTIONS,
        HttpMethod::Head => Method::HEAD,
        HttpMethod::Patch => Method::PATCH,
        HttpMethod::Trace => Method::TRACE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_segments_come_before_parameters() {
        let mut paths = ["/users/{id}", "/users/{id}/role", "/users/me", "/users", "/users/{id}/{x}"];
        paths.sort_by_key(|path| precedence(path));
        assert_eq!(paths, ["/users", "/users/me", "/users/{id}", "/users/{id}/role", "/users/{id}/{x}"]);
    }

    #[test]
    fn an_area_is_a_scope() {
        assert_eq!(scope_of("/api/orders/{id}/passes"), Some("/api/orders"));
        assert_eq!(scope_of("/api/orders"), Some("/api/orders"));
        assert_eq!(
            (scope_of("/api/{thing}"), scope_of("/.well-known/jwks.json"), scope_of("/api")),
            (None, None, None)
        );
    }

    #[test]
    fn names_are_short() {
        assert_eq!(name_of("orders::api::create"), "orders.create");
        assert_eq!(name_of("common::service::dead_letters::self::list"), "common.service.dead_letters.list");
    }
}
