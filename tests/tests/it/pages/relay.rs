//! A relay between two that speak HTTP: it writes down each request, and can refuse requests or lose their answers.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use actix_web::http::Method;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use docket_tests::App as Docket;
use reqwest::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use tokio::sync::Notify;

/// What becomes of a request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    /// It is answered with this status, and not passed on.
    Refused(u16),
    /// None: it is passed on and answered.
    Nothing,
    /// It is passed on, and its answer is lost.
    AnswerLost,
    /// It is passed on, and its answer waits until it is let go.
    Held,
}

#[derive(Default)]
struct State {
    to: Mutex<String>,
    seen: Mutex<Vec<String>>,
    faults: Mutex<VecDeque<(String, Fault)>>,
    held: Notify,
    let_go: Notify,
}

/// The relay.
pub(super) struct Relay {
    base: String,
    state: Arc<State>,
}

impl Relay {
    /// A relay that passes on to nobody yet. It serves until the test ends.
    pub(super) fn start() -> Self {
        common::http::install_tls_provider();
        let state = Arc::new(State::default());
        let shared = state.clone();
        let server = HttpServer::new(move || {
            let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
            App::new()
                .app_data(web::Data::from(shared.clone()))
                .app_data(web::Data::new(client.build().unwrap()))
                .app_data(web::PayloadConfig::new(1024 * 1024))
                .default_service(web::to(pass_on))
        });
        let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
        let base = format!("http://{}", server.addrs()[0]);
        tokio::spawn(server.run());
        Self { base, state }
    }

    /// A relay to the server at `base`.
    pub(super) fn to(base: &str) -> Self {
        let relay = Self::start();
        relay.leads_to(base);
        relay
    }

    pub(super) fn leads_to(&self, base: &str) {
        base.trim_end_matches('/').clone_into(&mut self.state.to.lock().unwrap());
    }

    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// The next request `call`, such as `POST /api/orders`, meets this fault.
    pub(super) fn next(&self, call: &str, fault: Fault) {
        self.state.faults.lock().unwrap().push_back((call.to_owned(), fault));
    }

    /// Waits until an answer is held.
    pub(super) async fn holds_one(&self) {
        self.state.held.notified().await;
    }

    /// Lets go the answer that is held.
    pub(super) fn let_go(&self) {
        self.state.let_go.notify_one();
    }

    /// How many requests have come that begin with `call`, such as `GET /api/orders/`.
    pub(super) fn count(&self, call: &str) -> usize {
        self.state.seen.lock().unwrap().iter().filter(|seen| seen.starts_with(call)).count()
    }
}

/// The pages in a process of their own, which reach the APIs at `api` alone.
pub(super) async fn pages_at(api: &str) -> Docket {
    Docket::of(vec![::web::service()], |settings| settings.api_url = Some(api.to_owned())).await
}

async fn pass_on(
    state: web::Data<State>,
    client: web::Data<reqwest::Client>,
    request: HttpRequest,
    body: web::Bytes,
) -> HttpResponse {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let call = format!("{} {path}", request.method());
    state.seen.lock().unwrap().push(call.clone());
    let fault = {
        let mut faults = state.faults.lock().unwrap();
        let at = faults.iter().position(|(of, _)| *of == call);
        at.and_then(|at| faults.remove(at)).map(|(_, fault)| fault)
    };
    if let Some(Fault::Refused(status)) = fault {
        return HttpResponse::build(status.try_into().unwrap()).finish();
    }
    let address = format!("{}{path}", state.to.lock().unwrap());
    let method = Method::as_str(request.method()).parse().unwrap();
    let sent = client.request(method, address).headers(headers(&request)).body(body).send().await;
    if matches!(fault, Some(Fault::Held)) {
        state.held.notify_one();
        state.let_go.notified().await;
    }
    let answer = match (fault, sent) {
        (None | Some(Fault::Nothing | Fault::Held), Ok(answer)) => answer,
        // A gateway says this when it has lost whom it asked.
        _ => return HttpResponse::BadGateway().finish(),
    };
    let mut response = HttpResponse::build(answer.status().as_u16().try_into().unwrap());
    for (name, value) in answer.headers().iter().filter(|(name, _)| !is_of_the_hop(name)) {
        response.append_header((name.as_str(), value.as_bytes()));
    }
    response.body(answer.bytes().await.unwrap())
}

fn headers(request: &HttpRequest) -> HeaderMap {
    let all = request.headers().iter().filter_map(|(name, value)| {
        let name = HeaderName::from_bytes(name.as_str().as_bytes()).ok()?;
        Some((name, HeaderValue::from_bytes(value.as_bytes()).ok()?))
    });
    all.filter(|(name, _)| !is_of_the_hop(name)).collect()
}

fn is_of_the_hop(name: &HeaderName) -> bool {
    [HOST, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING].contains(name)
}
