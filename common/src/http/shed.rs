//! Load that is shed at the door: a request that would find no place is refused before anything is made of it.
//!
//! The guard of a route refuses it too, but by then a span, the routing and the metering have cost more than the refusal
//! does. In a flood that is time taken from the requests that were let in.

use std::sync::Arc;

use actix_web::Error;
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ResourceDef, ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::middleware::Next;
use uuid::Uuid;

use super::admission::Admission;
use super::finish::dressed;
use super::health::Readiness;
use super::policy::reads;
use super::routes::Route;
use super::unread;

/// Only what is below it may be refused unseen: a page for people takes no place.
const API: &str = "/api/";

/// Refuses what the routes of a process would refuse for want of a place.
#[derive(Debug)]
pub struct LoadShedder {
    admission: Admission,
    /// Paths whose requests take no place, and whether they are those that read.
    placeless: Vec<(ResourceDef, bool)>,
}

impl LoadShedder {
    /// A shedder before `routes`, which take their places of `admission`.
    pub fn new<'r>(admission: Admission, routes: impl IntoIterator<Item = &'r Route>) -> Arc<Self> {
        let cached = routes.into_iter().filter(|route| route.is_cached());
        let placeless = cached.map(|route| (ResourceDef::new(route.path()), reads(route.method()))).collect();
        Arc::new(Self { admission, placeless })
    }

    fn sheds(&self, method: &Method, path: &str) -> bool {
        self.admission.gate(method).is_full() && path.starts_with(API) && !self.is_placeless(method, path)
    }

    fn is_placeless(&self, method: &Method, path: &str) -> bool {
        self.placeless.iter().any(|(pattern, read)| *read == reads(method) && pattern.is_match(path))
    }
}

pub(super) async fn shed<B: MessageBody>(
    shedder: Option<Arc<LoadShedder>>,
    readiness: Readiness,
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    match shedder.filter(|shedder| shedder.sheds(request.method(), request.path())) {
        Some(shedder) => {
            unread::throw_away(&mut request).await;
            Ok(refused(&shedder.admission, &readiness, request).map_into_right_body())
        }
        None => Ok(next.call(request).await?.map_into_left_body()),
    }
}

fn refused(admission: &Admission, readiness: &Readiness, request: ServiceRequest) -> ServiceResponse {
    let mut text = Uuid::encode_buffer();
    let id: &str = request_id().hyphenated().encode_lower(&mut text);
    dressed(request.into_response(admission.refuse(id)), id, readiness.is_draining())
}

/// As the logger makes it for those that are let in.
#[expect(clippy::disallowed_methods, reason = "the id of a request is no id of the domain")]
fn request_id() -> Uuid {
    Uuid::new_v4()
}

#[cfg(test)]
mod tests {
    use actix_web::HttpResponse;

    use super::*;
    use crate::http::{Policy, routes};
    use crate::settings::Settings;

    #[utoipa::path(get, path = "/api/pages/{id}", responses((status = 200)))]
    async fn kept() -> HttpResponse {
        HttpResponse::Ok().finish()
    }

    #[utoipa::path(put, path = "/api/pages/{id}", responses((status = 204)))]
    async fn change() -> HttpResponse {
        HttpResponse::NoContent().finish()
    }

    #[test]
    fn what_needs_a_place_is_shed_when_there_is_none() {
        let routes = routes! { self:
            kept => Policy::Public, cached;
            change => Policy::Public;
        };
        let admission = Admission::new(&Settings { max_in_flight: 1, ..Settings::default_for_tests() });
        let shedder = LoadShedder::new(admission.clone(), &routes);
        let sheds = |method: Method, path: &str| shedder.sheds(&method, path);
        assert!(!sheds(Method::GET, "/api/orders") && !sheds(Method::PUT, "/api/pages/1"));

        let reading = admission.reads.enter().unwrap();
        assert!(sheds(Method::GET, "/api/orders") && sheds(Method::HEAD, "/api/orders"));
        assert!(!sheds(Method::GET, "/api/pages/1") && !sheds(Method::HEAD, "/api/pages/1"), "answered from memory");
        assert!(sheds(Method::GET, "/api/pages/1/more"), "another path");
        assert!(!sheds(Method::PUT, "/api/pages/1"), "there is a place to write");
        assert!(!sheds(Method::GET, "/docs"), "no part of the API");
        drop(reading);
        assert!(!sheds(Method::GET, "/api/orders"));

        let _writing = admission.writes.enter().unwrap();
        assert!(sheds(Method::PUT, "/api/pages/1") && !sheds(Method::GET, "/api/orders"));
    }
}
