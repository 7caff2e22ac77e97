//! What a page asks of hosts that are not Docket's, answered by the test instead: nothing of it leaves this machine.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::Page;
use super::chromium::{Chromium, lock};

/// The requests of a page that wait for the test's answer.
pub struct Intercepted {
    chromium: &'static Chromium,
    session: String,
    paused: mpsc::UnboundedReceiver<Value>,
}

/// A request that waits for the test's answer.
#[derive(Clone, Debug)]
pub struct Request {
    id: String,
    /// Such as `POST`.
    pub method: String,
    /// The whole address.
    pub url: String,
    /// The body; empty if there is none.
    pub body: String,
}

impl Page {
    /// From now on the page's requests to addresses like these (`https://api.example.com/*`) wait for the test's answers.
    pub async fn intercept(&self, patterns: &[&str]) -> Intercepted {
        let (sender, paused) = mpsc::unbounded_channel();
        lock(&self.seen).paused = Some(sender);
        let patterns: Vec<Value> = patterns.iter().map(|pattern| json!({ "urlPattern": pattern })).collect();
        self.must("Fetch.enable", json!({ "patterns": patterns })).await;
        Intercepted { chromium: self.profile.chromium, session: self.session.clone(), paused }
    }

    /// Runs a script in each document that the page opens from now on, before the document's own scripts.
    pub async fn in_every_document(&self, script: &str) {
        self.must("Page.addScriptToEvaluateOnNewDocument", json!({ "source": script })).await;
    }
}

impl Intercepted {
    /// The next request; none when the page is closed.
    pub async fn next(&mut self) -> Option<Request> {
        let paused = self.paused.recv().await?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let request = &paused["request"];
        Some(Request {
            id: text(&paused["requestId"]),
            method: text(&request["method"]),
            url: text(&request["url"]),
            body: text(&request["postData"]),
        })
    }

    /// Answers a request; scripts of any origin may read the answer.
    pub async fn answer(&self, request: &Request, status: u16, media_type: &str, body: &str) {
        let headers = json!([
            { "name": "content-type", "value": media_type },
            { "name": "access-control-allow-origin", "value": "*" },
        ]);
        let answer = json!({
            "requestId": request.id, "responseCode": status, "responseHeaders": headers, "body": STANDARD.encode(body),
        });
        self.tell("Fetch.fulfillRequest", answer).await;
    }

    /// Lets a request fail, as when the network is away.
    pub async fn fail(&self, request: &Request) {
        self.tell("Fetch.failRequest", json!({ "requestId": request.id, "errorReason": "InternetDisconnected" })).await;
    }

    /// A page that was left does not wait for its answers any more, and Chromium then knows nothing of the request.
    async fn tell(&self, method: &str, parameters: Value) {
        let _ = self.chromium.call(Some(&self.session), method, parameters).await;
    }
}
