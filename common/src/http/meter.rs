//! How many answers there were and how long they took, by route.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::{Method, StatusCode};
use metrics::{Counter, Histogram, counter, histogram};

/// Whose requests they are that no route of ours takes.
const NOBODY: &str = "none";

/// The service that answers for a part of the application: that of a resource, else that of the pages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AnsweredBy(pub(crate) &'static str);

/// One route's metrics, made once per worker: no request looks them up.
pub(super) struct Meter {
    service: &'static str,
    method: Method,
    route: String,
    by_status: RefCell<Vec<(StatusCode, Counter)>>,
    duration: Histogram,
}

impl Meter {
    pub(super) fn new(service: &'static str, method: &Method, route: &str) -> Self {
        let duration = duration(service, method, route);
        Self { service, method: method.clone(), route: route.to_owned(), by_status: RefCell::default(), duration }
    }

    /// Whether it counts requests of this method; `HEAD` is answered by the route of `GET`.
    pub(super) fn is_for(&self, method: &Method) -> bool {
        self.method == *method
    }

    fn count(&self, status: StatusCode, took: Duration) {
        let mut by_status = self.by_status.borrow_mut();
        match by_status.iter().find(|(of, _)| *of == status) {
            Some((_, counter)) => counter.increment(1),
            None => {
                let counter = requests(self.service, &self.method, &self.route, status);
                counter.increment(1);
                by_status.push((status, counter));
            }
        }
        self.duration.record(took);
    }
}

/// Where the route that takes a request leaves its meter.
#[derive(Clone, Default)]
pub(super) struct Metered(Rc<OnceCell<Rc<Meter>>>);

impl Metered {
    pub(super) fn by(&self, meter: &Rc<Meter>) {
        // A request is taken by one route.
        let _ = self.0.set(meter.clone());
    }

    /// Counts an answer; the request is asked, if there is one, whether no route of ours gave it.
    pub(super) fn count(&self, request: Option<&HttpRequest>, method: &Method, status: StatusCode, took: Duration) {
        if let Some(meter) = self.0.get() {
            return meter.count(status, took);
        }
        let service = request.and_then(|request| request.app_data::<AnsweredBy>()).map_or(NOBODY, |service| service.0);
        let route = request.and_then(HttpRequest::match_pattern).unwrap_or_else(|| "unmatched".to_owned());
        requests(service, method, &route, status).increment(1);
        duration(service, method, &route).record(took);
    }
}

fn requests(service: &'static str, method: &Method, route: &str, status: StatusCode) -> Counter {
    let (route, status) = (route.to_owned(), status.as_u16().to_string());
    counter!("http_requests_total", "service" => service, "method" => label(method), "route" => route, "status" => status)
}

fn duration(service: &'static str, method: &Method, route: &str) -> Histogram {
    let (method, route) = (label(method), route.to_owned());
    histogram!("http_request_duration_seconds", "service" => service, "method" => method, "route" => route)
}

/// A method that clients make up must not become a label.
fn label(method: &Method) -> String {
    let common = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::HEAD, Method::OPTIONS];
    if common.contains(method) { method.to_string() } else { "OTHER".to_owned() }
}
