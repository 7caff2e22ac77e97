//! How many answers there were and how long they took, by route.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use actix_web::http::{Method, StatusCode};
use metrics::{Counter, Histogram, counter, histogram};

/// One route's metrics, made once per worker: no request looks them up.
pub(super) struct Meter {
    method: Method,
    route: String,
    by_status: RefCell<Vec<(StatusCode, Counter)>>,
    duration: Histogram,
}

impl Meter {
    pub(super) fn new(method: &Method, route: &str) -> Self {
        let duration = duration(method, route);
        Self { method: method.clone(), route: route.to_owned(), by_status: RefCell::default(), duration }
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
                let counter = requests(&self.method, &self.route, status);
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

    /// Counts an answer; `pattern` is asked if no route of ours gave it.
    pub(super) fn count(
        &self,
        method: &Method,
        pattern: impl FnOnce() -> Option<String>,
        status: StatusCode,
        took: Duration,
    ) {
        if let Some(meter) = self.0.get() {
            return meter.count(status, took);
        }
        let route = pattern().unwrap_or_else(|| "unmatched".to_owned());
        requests(method, &route, status).increment(1);
        duration(method, &route).record(took);
    }
}

fn requests(method: &Method, route: &str, status: StatusCode) -> Counter {
    let labels = [("method", label(method)), ("route", route.to_owned()), ("status", status.as_u16().to_string())];
    counter!("http_requests_total", &labels)
}

fn duration(method: &Method, route: &str) -> Histogram {
    histogram!("http_request_duration_seconds", &[("method", label(method)), ("route", route.to_owned())])
}

/// A method that clients make up must not become a label.
fn label(method: &Method) -> String {
    let common = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::HEAD, Method::OPTIONS];
    if common.contains(method) { method.to_string() } else { "OTHER".to_owned() }
}
