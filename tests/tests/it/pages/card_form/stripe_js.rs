//! Stripe in the browser, where there is no Stripe: its script is a small one of ours, and its API is the stand-in's.

use std::sync::{Arc, Mutex};

use docket_tests::browser::{Intercepted, Request};
use docket_tests::{App, Page};
use reqwest::{Client, Method};
use serde_json::json;

use crate::payments::bearer;

const SCRIPT: &str = include_str!("stripe.js");
const API: &str = "https://api.stripe.com/v1/payment_intents/";

/// Stripe's hosts, as one page sees them.
pub(super) struct StripeJs {
    asked: Arc<Mutex<Vec<Request>>>,
}

struct Hosts {
    stand_in: String,
    bearer: String,
    client: Client,
    /// How often the script cannot be loaded.
    lost_scripts: u32,
}

impl StripeJs {
    /// From now on the page finds Stripe's hosts, after it has failed to load the script so often.
    pub(super) async fn of(page: &Page, app: &App, lost_scripts: u32) -> Self {
        let mut intercepted = page.intercept(&["https://js.stripe.com/*", "https://api.stripe.com/*"]).await;
        let client = Client::builder().no_proxy().build().unwrap();
        let mut hosts = Hosts { stand_in: app.stripe(), bearer: bearer(app), client, lost_scripts };
        let asked = Arc::<Mutex<Vec<Request>>>::default();
        let noted = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Some(request) = intercepted.next().await {
                noted.lock().unwrap().push(request.clone());
                hosts.answer(&intercepted, &request).await;
            }
        });
        Self { asked }
    }

    /// The bodies of all requests to confirm a payment.
    pub(super) fn confirmations(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        let confirmations = asked.iter().filter(|request| request.url.ends_with("/confirm"));
        confirmations.map(|request| request.body.clone()).collect()
    }
}

impl Hosts {
    async fn answer(&mut self, intercepted: &Intercepted, request: &Request) {
        if request.url == "https://js.stripe.com/v3/" {
            if self.lost_scripts > 0 {
                self.lost_scripts -= 1;
                return intercepted.fail(request).await;
            }
            return intercepted.answer(request, 200, "text/javascript", SCRIPT).await;
        }
        let Some(rest) = request.url.strip_prefix(API) else {
            return intercepted.answer(request, 404, "text/plain", "").await;
        };
        let answer = self.ask(request, rest).send().await.unwrap();
        let status = answer.status().as_u16();
        intercepted.answer(request, status, "application/json", &answer.text().await.unwrap()).await;
    }

    /// Stripe knows the intent by its client secret, the stand-in by the secret key.
    fn ask(&self, request: &Request, rest: &str) -> reqwest::RequestBuilder {
        let stand_in = &self.stand_in;
        if let Some(id) = rest.strip_suffix("/authenticate") {
            let outcome = if request.body.contains("outcome=succeeded") { "succeeded" } else { "failed" };
            let address = format!("{stand_in}/test/payment_intents/{id}/authenticate");
            return self.client.post(address).json(&json!({ "outcome": outcome }));
        }
        let path = rest.split('?').next().unwrap_or_default();
        let method = Method::from_bytes(request.method.as_bytes()).unwrap();
        let asked = self.client.request(method, format!("{stand_in}/v1/payment_intents/{path}"));
        let asked = asked.header("authorization", &self.bearer);
        let form = ("content-type", "application/x-www-form-urlencoded");
        if request.body.is_empty() { asked } else { asked.header(form.0, form.1).body(request.body.clone()) }
    }
}
