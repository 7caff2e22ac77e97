//! What stands before every handler: cross-site check, token, policy, scope, repetition.

use std::rc::Rc;
use std::sync::Arc;

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _, HttpRequest};
use tracing_actix_web::RequestId;
use url::Url;

use super::admission::{Admission, Overloaded, Place};
use super::auth::{Principal, TokenError, Unproven, Verifier, token_of};
use super::csrf;
use super::idempotency::{self, IdempotencyStore};
use super::meter::{Meter, Metered};
use super::policy::{Policy, reads};
use super::problem::Problem;
use super::routes::Route;
use super::shares::Client;
use super::turn::{self, Places, Turn};

/// What the routes of one service work with; several services of a process differ in it.
#[derive(Clone, Debug)]
pub struct ServiceHttp {
    /// The service's name, under which its requests are counted.
    pub service: &'static str,
    /// Verifies access tokens; one for all services of a process.
    pub verifier: Arc<Verifier>,
    /// Keeps first answers in the service's own database.
    pub idempotency: Option<IdempotencyStore>,
    /// The address people type.
    pub public_url: Url,
    /// How much is let in; one for all services of a process.
    pub admission: Admission,
}

/// A route's rules, made once per worker.
pub(super) struct Guarded {
    name: String,
    policy: Policy,
    area: String,
    access: &'static str,
    repeatable: Option<IdempotencyStore>,
    verifier: Arc<Verifier>,
    public_url: Url,
    admission: Admission,
    /// Where its requests take their places; answers from memory need none.
    places: Option<Rc<Places>>,
    makes: bool,
    meter: Rc<Meter>,
}

impl Guarded {
    pub(super) fn new(route: &Route, http: &ServiceHttp) -> Rc<Self> {
        let store = || http.idempotency.clone().expect("a service with idempotent routes has a database");
        Rc::new(Self {
            name: route.name().to_owned(),
            policy: route.policy(),
            area: area_of(route.path()).to_owned(),
            access: if reads(route.method()) { "read" } else { "write" },
            repeatable: route.is_idempotent().then(store),
            verifier: http.verifier.clone(),
            public_url: http.public_url.clone(),
            places: (!route.is_cached()).then(|| Rc::new(Places::new(&http.admission, route.method()))),
            admission: http.admission.clone(),
            makes: route.method() == Method::POST,
            meter: Rc::new(Meter::new(http.service, route.method(), route.path())),
        })
    }

    async fn admit(&self, request: &HttpRequest) -> Result<(), Problem> {
        if self.policy != Policy::Webhook {
            csrf::check(request, &self.public_url)?;
        }
        let principal = self.principal(request).await?;
        self.policy.admit(principal.as_ref())?;
        let Some(principal) = principal else { return Ok(()) };
        if self.policy.needs_principal() && !principal.allows(&self.area, self.access) {
            let detail = format!("This key lacks the scope {}:{}.", self.area, self.access);
            return Err(Problem::forbidden("insufficient_scope", detail));
        }
        if self.makes {
            self.admission.make(principal.user)?;
        }
        tracing::Span::current().record("user.id", tracing::field::display(principal.user));
        request.extensions_mut().insert(principal);
        Ok(())
    }

    async fn principal(&self, request: &HttpRequest) -> Result<Option<Principal>, Problem> {
        let token = Some(self.policy).filter(|policy| *policy != Policy::Webhook).and_then(|_| token_of(request));
        let Some(token) = token else { return Ok(None) };
        match self.verifier.verify(&token).await {
            Ok(principal) => Ok(Some(principal)),
            Err(error) => {
                tracing::debug!(%error, "no principal");
                if self.policy.needs_principal() {
                    return Err(error.into());
                }
                if matches!(error, TokenError::NoKeys) {
                    request.extensions_mut().insert(Unproven);
                }
                Ok(None)
            }
        }
    }
}

impl Guarded {
    /// The turn of a request that was let in.
    fn turn(&self, request: &ServiceRequest, place: Option<Place>) -> Result<Option<Turn>, Problem> {
        let (Some(places), Some(place)) = (&self.places, place) else { return Ok(None) };
        let client = match request.extensions().get::<Principal>() {
            Some(principal) => Some(Client::Person(principal.user)),
            // Stripe's webhooks come from few addresses.
            None if self.policy == Policy::Webhook => None,
            None => Client::at(request.request()),
        };
        places.turn(place, client).map(Some)
    }
}

/// `/api/orders/{id}` belongs to the area `orders`, to which the scopes of keys refer.
pub(super) fn area_of(path: &str) -> &str {
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    match segments.next() {
        Some("api") => segments.next().unwrap_or_default(),
        first => first.unwrap_or_default(),
    }
}

pub(super) async fn pass(
    guarded: Rc<Guarded>,
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse, Error> {
    if guarded.meter.is_for(request.method())
        && let Some(metered) = request.extensions().get::<Metered>()
    {
        metered.by(&guarded.meter);
    }
    let place = match guarded.places.as_ref().map(|places| places.enter()).transpose() {
        Ok(place) => place,
        Err(Overloaded) => return Ok(refused(request, &guarded.admission)),
    };
    if let Err(problem) = guarded.admit(request.request()).await {
        return Ok(request.error_response(problem));
    }
    let turn = match guarded.turn(&request, place) {
        Ok(turn) => turn,
        Err(problem) => return Ok(request.error_response(problem)),
    };
    match &guarded.repeatable {
        Some(store) => idempotency::once(store, &guarded.name, turn, request, next).await,
        None => turn::during(turn, next.call(request)).await,
    }
}

/// Not as an error, which would be logged: there may be a great many.
fn refused(request: ServiceRequest, admission: &Admission) -> ServiceResponse {
    let id = request.extensions().get::<RequestId>().map(ToString::to_string).unwrap_or_default();
    request.into_response(admission.refuse(&id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_area_is_the_first_segment_of_the_api() {
        assert_eq!(area_of("/api/orders/{id}/passes"), "orders");
        assert_eq!(area_of("/graphql"), "graphql");
        assert_eq!(area_of("/"), "");
    }
}
