//! A stand-in, an endpoint for its webhooks, and the verbs of a shop.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::web::{self, Bytes, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use docket_stripe::{Options, StripeStandIn};
use serde_json::Value;
use stripe::{Client, ClientBuilder, IdempotencyKey, RequestStrategy, StripeError, StripeRequest};
use stripe_core::payment_intent::{
    CancelPaymentIntent, ConfirmPaymentIntent, CreatePaymentIntent, CreatePaymentIntentAutomaticPaymentMethods,
    CreatePaymentIntentAutomaticPaymentMethodsAllowRedirects, RetrievePaymentIntent,
};
use stripe_shared::{ApiErrors, PaymentIntent};
use stripe_types::Currency;

pub(crate) const SECRET: &str = "whsec_it";
pub(crate) const KEY: &str = "sk_test_it";

pub(crate) struct TestApp {
    pub(crate) stand_in: StripeStandIn,
    pub(crate) client: Client,
    pub(crate) http: reqwest::Client,
    pub(crate) sink: Sink,
}

impl TestApp {
    pub(crate) async fn start() -> Self {
        Self::start_with(None, Sink::start().await).await
    }

    pub(crate) async fn start_with(journal: Option<&Path>, sink: Sink) -> Self {
        Self::start_as(Options { journal: journal.map(Path::to_owned), ..Options::default() }, sink).await
    }

    pub(crate) async fn start_as(options: Options, sink: Sink) -> Self {
        let stand_in = StripeStandIn::start(Options {
            secret_key: KEY.to_owned(),
            webhook_secret: SECRET.to_owned(),
            webhook_url: Some(sink.url.clone()),
            ..options
        })
        .await
        .unwrap();
        let client = ClientBuilder::new(KEY).url(stand_in.base_url()).build().unwrap();
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { stand_in, client, http, sink }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.stand_in.base_url())
    }

    pub(crate) async fn control(&self, path: &str, body: Value) -> Value {
        let answer = self.http.post(self.url(path)).json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        let text = answer.text().await.unwrap();
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    pub(crate) async fn look(&self, path: &str) -> Value {
        self.http.get(self.url(path)).send().await.unwrap().json().await.unwrap()
    }

    pub(crate) async fn charges(&self, order: &str) -> Value {
        self.look(&format!("/test/charges?metadata[order]={order}")).await
    }

    pub(crate) async fn intent(&self, order: &str) -> PaymentIntent {
        // Customised first: the request as a builder would make the future some 10 kB larger.
        let request = create(order).customize();
        request.send(&self.client).await.unwrap()
    }

    pub(crate) async fn confirm(&self, intent: &PaymentIntent, method: &str) -> Result<PaymentIntent, StripeError> {
        let request = ConfirmPaymentIntent::new(intent.id.clone()).payment_method(method).customize();
        request.send(&self.client).await
    }

    pub(crate) async fn pay(&self, order: &str) -> PaymentIntent {
        let intent = self.intent(order).await;
        self.confirm(&intent, "pm_card_visa").await.unwrap()
    }

    pub(crate) async fn cancel(&self, intent: &PaymentIntent) -> Result<PaymentIntent, StripeError> {
        CancelPaymentIntent::new(intent.id.clone()).send(&self.client).await
    }

    pub(crate) async fn retrieve(&self, intent: &PaymentIntent) -> PaymentIntent {
        RetrievePaymentIntent::new(intent.id.clone())
            .expand(vec!["latest_charge".to_owned()])
            .send(&self.client)
            .await
            .unwrap()
    }
}

/// An intent of 20 euros, as payments makes them.
pub(crate) fn create(order: &str) -> CreatePaymentIntent {
    let automatic = CreatePaymentIntentAutomaticPaymentMethods {
        allow_redirects: Some(CreatePaymentIntentAutomaticPaymentMethodsAllowRedirects::Never),
        enabled: true,
    };
    CreatePaymentIntent::new(2_000, Currency::EUR)
        .automatic_payment_methods(automatic)
        .metadata(HashMap::from([("order".to_owned(), order.to_owned()), ("attempt".to_owned(), "1".to_owned())]))
}

pub(crate) fn key(key: &str) -> RequestStrategy {
    RequestStrategy::Idempotent(IdempotencyKey::new(key).unwrap())
}

/// The error object and the status of an answer that must be a refusal.
pub(crate) fn refused<T>(answer: Result<T, StripeError>) -> (ApiErrors, u16) {
    match answer {
        Err(StripeError::Stripe(error, status)) => (*error, status),
        Err(other) => panic!("not an answer of the API: {other}"),
        Ok(_) => panic!("accepted"),
    }
}

/// A webhook as it came in.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) signature: String,
    pub(crate) body: String,
}

impl Received {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn id(&self) -> String {
        self.json()["id"].as_str().unwrap().to_owned()
    }

    pub(crate) fn kind(&self) -> String {
        self.json()["type"].as_str().unwrap().to_owned()
    }
}

#[derive(Default)]
struct Box {
    received: Mutex<Vec<Received>>,
    refusals: AtomicUsize,
}

/// An endpoint that keeps what it gets, and can be told to refuse some of it first.
pub(crate) struct Sink {
    pub(crate) url: String,
    inbox: Arc<Box>,
    _handle: ServerHandle,
}

impl Sink {
    pub(crate) async fn start() -> Self {
        let inbox = Arc::new(Box::default());
        let data = Data::from(Arc::clone(&inbox));
        let server = HttpServer::new(move || App::new().app_data(data.clone()).route("/hook", web::post().to(receive)));
        let server = server.workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook", server.addrs()[0]);
        let server = server.run();
        let handle = server.handle();
        tokio::spawn(server);
        Self { url, inbox, _handle: handle }
    }

    pub(crate) fn refuse(&self, times: usize) {
        self.inbox.refusals.store(times, Ordering::SeqCst);
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.inbox.received.lock().unwrap().clone()
    }

    pub(crate) fn kinds(&self) -> Vec<String> {
        self.received().iter().map(Received::kind).collect()
    }

    /// Waits until so many webhooks have been accepted.
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<Received> {
        self.wait_until(|received| received.len() >= count).await
    }

    pub(crate) async fn wait_for_kind(&self, kind: &str) {
        self.wait_until(|received| received.iter().any(|one| one.kind() == kind)).await;
    }

    async fn wait_until(&self, enough: impl Fn(&[Received]) -> bool) -> Vec<Received> {
        for _ in 0..500 {
            let received = self.received();
            if enough(&received) {
                return received;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("not enough webhooks came: {:?}", self.kinds());
    }
}

async fn receive(inbox: Data<Box>, req: HttpRequest, body: Bytes) -> HttpResponse {
    let less = |left: usize| left.checked_sub(1);
    if inbox.refusals.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok() {
        return HttpResponse::ServiceUnavailable().finish();
    }
    let signature = req.headers().get("Stripe-Signature").unwrap().to_str().unwrap().to_owned();
    let body = String::from_utf8(body.to_vec()).unwrap();
    inbox.received.lock().unwrap().push(Received { signature, body });
    HttpResponse::Ok().finish()
}
