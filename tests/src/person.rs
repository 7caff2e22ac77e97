//! Somebody who uses Docket over HTTP, with a browser's cookies.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::wait::eventually;

/// What Docket answered.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as JSON; null if it has none, text if it is not JSON.
    pub body: Value,
}

impl Answer {
    /// The body, if the status is the expected one.
    ///
    /// # Panics
    /// If it is another one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    /// Checks status and `code` of a problem, and gives its body.
    ///
    /// # Panics
    /// If they are others.
    #[track_caller]
    pub fn problem(self, status: u16, code: &str) -> Value {
        let body = self.expect(status);
        assert_eq!(body["code"], code, "{body}");
        body
    }

    /// Checks that it is a 400 which names `field`.
    ///
    /// # Panics
    /// If it is not.
    #[track_caller]
    pub fn refuses(self, field: &str) {
        let body = self.problem(400, "invalid_input");
        let named = body["errors"].as_array().is_some_and(|errors| errors.iter().any(|error| error["field"] == field));
        assert!(named, "{field} is not named in {body}");
    }
}

/// A person, or a visitor who has not signed in.
#[derive(Clone)]
pub struct Person {
    base: String,
    client: reqwest::Client,
    cookies: Arc<Mutex<BTreeMap<String, String>>>,
    /// Whether they have confirmed their address, as far as is known here.
    confirmed: Arc<OnceCell<()>>,
    /// Their id; null for a visitor.
    pub id: Value,
    /// Their address; empty for a visitor.
    pub email: String,
}

/// The password of everybody in the tests.
pub const PASSWORD: &str = "correct horse battery";

/// The hosts of a Docket on a local cluster, and of its stand-in for Stripe.
const LOCAL: [&str; 2] = ["docket.localhost", "stripe.docket.localhost"];

impl Person {
    /// A visitor of the Docket at `base`.
    pub fn visitor(base: &str) -> Self {
        common::http::install_tls_provider();
        // Browsers know that names under `localhost` are this machine's; the system need not.
        let here = (Ipv4Addr::LOCALHOST, 0).into();
        let client = LOCAL.iter().fold(reqwest::Client::builder(), |client, host| client.resolve(host, here));
        let client = client.no_proxy().build().expect("a client without TLS roots can be made");
        let (base, cookies, confirmed) = (base.to_owned(), Arc::default(), Arc::default());
        Self { base, client, cookies, confirmed, id: Value::Null, email: String::new() }
    }

    /// Somebody who has just signed up with `email`.
    pub async fn sign_up(base: &str, email: &str) -> Self {
        let mut person = Self::visitor(base);
        let body = person.post("/api/users/signup", json!({ "email": email, "password": PASSWORD })).await.expect(201);
        person.id = body["id"].clone();
        email.clone_into(&mut person.email);
        person
    }

    /// Reads the mail that asks whether the address is theirs, says yes, and goes on with what that has brought. A mail of somebody who
    /// had the address in an earlier run is of no use, and the next one is waited for.
    ///
    /// # Panics
    /// If there is none that is good, as where a mail server is set.
    pub async fn verify_email(&self) {
        let tried = Mutex::new(String::new());
        eventually(&format!("a good link in a mail to {}", self.email), 20, || async {
            let mails = self.get("/api/users/dev/mail").await.expect(200);
            let asks = |mail: &&Value| mail["to"] == self.email && mail["text"].to_string().contains("verify-email");
            let mail = mails["items"].as_array()?.iter().find(asks)?["text"].as_str()?.to_owned();
            let token = mail.split_once("token=")?.1.split_whitespace().next()?.to_owned();
            if *tried.lock().ok()? == token {
                return None;
            }
            let answer = self.post("/api/users/verify-email", json!({ "token": token })).await;
            *tried.lock().ok()? = token;
            (answer.status == 200).then_some(())
        })
        .await;
        self.post("/api/users/refresh", Value::Null).await.expect(200);
    }

    /// The same, unless it was done before. Who sells must have done it.
    pub async fn confirm(&self) {
        let confirm = || async {
            if self.get("/api/users/currentuser").await.expect(200)["currentUser"]["emailVerified"] != true {
                self.verify_email().await;
            }
        };
        if !self.email.is_empty() {
            self.confirmed.get_or_init(confirm).await;
        }
    }

    /// The same person on another device.
    pub async fn elsewhere(&self) -> Self {
        let other = Self { cookies: Arc::default(), ..self.clone() };
        other.post("/api/users/signin", json!({ "email": self.email, "password": PASSWORD })).await.expect(200);
        other
    }

    /// The same person with the same cookies, at another address of the same Docket.
    pub fn at(&self, base: &str) -> Self {
        Self { base: base.to_owned(), ..self.clone() }
    }

    /// The value of a cookie.
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.cookies.lock().expect("no test panics while it holds cookies").get(name).cloned()
    }

    /// All cookies.
    pub(crate) fn cookies(&self) -> BTreeMap<String, String> {
        self.cookies.lock().expect("no test panics while it holds cookies").clone()
    }

    /// The address of the Docket they use.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Sends a request; `body` may be null.
    pub async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Value) -> Answer {
        let request = self.request(method, path, headers);
        let request = if body.is_null() { request } else { request.json(&body) };
        self.answer(request).await
    }

    /// Sends a body that need not be JSON.
    pub async fn send_raw(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> Answer {
        self.answer(self.request(method, path, headers).body(body)).await
    }

    fn request(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> reqwest::RequestBuilder {
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let cookies = self.cookies.lock().expect("no test panics while it holds cookies");
        if cookies.is_empty() {
            return request;
        }
        let jar: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        request.header("cookie", jar.join("; "))
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> Answer {
        self.try_answer(request).await.expect("Docket answers")
    }

    async fn try_answer(&self, request: reqwest::RequestBuilder) -> Result<Answer, reqwest::Error> {
        let response = request.send().await?;
        self.keep_cookies(response.headers());
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await?;
        let body =
            serde_json::from_str(&text).unwrap_or(if text.is_empty() { Value::Null } else { Value::String(text) });
        Ok(Answer { status, headers, body })
    }

    fn keep_cookies(&self, headers: &HeaderMap) {
        let mut cookies = self.cookies.lock().expect("no test panics while it holds cookies");
        for set in headers.get_all("set-cookie").iter().filter_map(|value| value.to_str().ok()) {
            let Some((name, value)) = set.split(';').next().and_then(|pair| pair.split_once('=')) else { continue };
            if value.is_empty() {
                cookies.remove(name);
            } else {
                cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    /// `GET`
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], Value::Null).await
    }

    /// `POST`
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, &[], body).await
    }

    /// `POST`, where no answer at all is an answer too: the process may have been killed.
    ///
    /// # Errors
    /// If the connection broke.
    pub async fn try_post(&self, path: &str, body: Value) -> Result<Answer, reqwest::Error> {
        self.try_send(Method::POST, path, &[], body).await
    }

    /// Sends a request, where no answer at all is an answer too; `body` may be null.
    ///
    /// # Errors
    /// If no connection was made, or it broke.
    pub async fn try_send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Value,
    ) -> Result<Answer, reqwest::Error> {
        let request = self.request(method, path, headers);
        self.try_answer(if body.is_null() { request } else { request.json(&body) }).await
    }

    /// `PUT`
    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PUT, path, &[], body).await
    }

    /// `DELETE`
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, &[], Value::Null).await
    }

    /// Wants to put something on sale, with a confirmed address.
    pub async fn list(&self, listing: Value) -> Answer {
        self.confirm().await;
        self.post("/api/tickets", listing).await
    }

    /// Puts `quantity` places at 19.99 on sale.
    pub async fn sell(&self, quantity: u32) -> Value {
        self.list(json!({ "title": "Friday evening", "price": "19.99", "quantity": quantity })).await.expect(201)
    }

    /// Wants to hold places.
    pub async fn hold(&self, ticket: &Value, quantity: u32) -> Answer {
        self.post("/api/orders", json!({ "ticketId": ticket["id"], "quantity": quantity })).await
    }

    /// Wants to pay with a test payment method.
    pub async fn pay(&self, order: &Value, method: &str) -> Answer {
        self.post("/api/payments", json!({ "orderId": order["id"], "paymentMethod": method })).await
    }

    /// Holds places, pays for them and waits for the passes; gives the order.
    pub async fn buy(&self, ticket: &Value, quantity: u32) -> Value {
        let order = self.hold(ticket, quantity).await.expect(201);
        self.pay(&order, "pm_card_visa").await.expect(201);
        self.until_order(&order, "complete").await
    }

    /// Waits until an order has a status, and gives the order.
    pub async fn until_order(&self, order: &Value, status: &str) -> Value {
        self.until_order_within(30, order, status).await
    }

    /// The same, but no longer than `seconds`.
    pub async fn until_order_within(&self, seconds: u64, order: &Value, status: &str) -> Value {
        let path = format!("/api/orders/{}", order["id"].as_str().unwrap_or_default());
        eventually(&format!("order {status}"), seconds, || async {
            let answer = self.get(&path).await;
            (answer.status == StatusCode::OK && answer.body["status"] == status).then_some(answer.body)
        })
        .await
    }

    /// Waits until a ticket's held and sold are as given.
    pub async fn until_counts(&self, ticket: &Value, held: u32, sold: u32) -> Value {
        let path = format!("/api/tickets/{}", ticket["id"].as_str().unwrap_or_default());
        eventually(&format!("held {held}, sold {sold}"), 30, || async {
            let body = self.get(&path).await.expect(200);
            (body["held"] == held && body["sold"] == sold).then_some(body)
        })
        .await
    }

    /// The passes of an order.
    pub async fn passes(&self, order: &Value) -> Vec<Value> {
        let path = format!("/api/orders/{}/passes", order["id"].as_str().unwrap_or_default());
        self.get(&path).await.expect(200)["items"].as_array().cloned().unwrap_or_default()
    }
}
