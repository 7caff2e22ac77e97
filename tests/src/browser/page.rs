//! A page: opening it, reading it, waiting for what it shows.

use std::fmt::Write;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::chromium::lock;
use super::seen::Seen;
use super::{Browser, Profile};
use crate::Person;
use crate::wait::until;

/// What a person waits for comes within this many seconds, also on a busy machine.
const WITHIN: u64 = 20;

/// An open page; it is closed when this is dropped.
pub struct Page {
    pub(super) profile: Arc<Profile>,
    pub(super) browser: Browser,
    pub(super) session: String,
    pub(super) target: String,
    pub(super) base: String,
    pub(super) seen: Arc<Mutex<Seen>>,
}

impl Drop for Page {
    fn drop(&mut self) {
        self.profile.chromium.unwatch(&self.session);
        drop(self.profile.chromium.send(None, "Target.closeTarget", json!({ "targetId": self.target })));
    }
}

impl Page {
    /// Opens a path and waits until it is loaded. Any status will do.
    ///
    /// # Panics
    /// If nothing answers there.
    pub async fn open(&self, path: &str) {
        let url = format!("{}{path}", self.base);
        let load = self.must("Page.navigate", json!({ "url": url })).await;
        if let Some(error) = load["errorText"].as_str() {
            panic!("{url}: {error}");
        }
        // There is no loader when only the fragment changes.
        let Some(loader) = load["loaderId"].as_str() else { return };
        self.until(&format!("{url} loads"), || async {
            if lock(&self.seen).loaded.contains(loader) { Ok(()) } else { Err("no load event".to_owned()) }
        })
        .await;
    }

    /// Another page in the same profile: a new tab.
    pub async fn tab(&self) -> Self {
        self.browser.open_page(&self.profile, &self.base).await
    }

    /// Path and query of where it is.
    pub async fn path(&self) -> String {
        self.script("location.pathname + location.search").await.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until it is at a path that begins with `start`, fully read, and gives the path.
    ///
    /// # Panics
    /// If it never gets there.
    pub async fn until_at(&self, start: &str) -> String {
        self.until(&format!("is at {start}"), || async {
            let at = self.try_script("[location.pathname + location.search, document.readyState]").await?;
            let path = at[0].as_str().unwrap_or_default();
            let there = path.starts_with(start) && at[1] != "loading";
            if there { Ok(path.to_owned()) } else { Err(format!("it is at {path}")) }
        })
        .await
    }

    /// The text that can be read on it, each run of white space as one space.
    pub async fn text(&self) -> String {
        self.try_text().await.unwrap_or_else(|error| panic!("{error}"))
    }

    async fn try_text(&self) -> Result<String, String> {
        let text = self.try_script("document.body ? document.body.innerText : ''").await?;
        Ok(squeezed(text.as_str().unwrap_or_default()))
    }

    /// Waits until a text can be read on it.
    ///
    /// # Panics
    /// If it never can.
    pub async fn see(&self, text: &str) {
        let text = squeezed(text);
        self.until(&format!("shows {text:?}"), || async {
            let shown = self.try_text().await?;
            if shown.contains(&text) { Ok(()) } else { Err(format!("it shows {shown:?}")) }
        })
        .await;
    }

    /// Waits until a text can be read on it no more.
    ///
    /// # Panics
    /// If it stays.
    pub async fn see_no(&self, text: &str) {
        let text = squeezed(text);
        self.until(&format!("shows no {text:?}"), || async {
            let shown = self.try_text().await?;
            if shown.contains(&text) { Err(format!("it shows {shown:?}")) } else { Ok(()) }
        })
        .await;
    }

    /// The value of an expression in the page's script, or of its promise. The content security policy does not apply to it.
    ///
    /// # Panics
    /// If it throws.
    pub async fn script(&self, expression: &str) -> Value {
        self.try_script(expression).await.unwrap_or_else(|error| panic!("{expression:.200}: {error}"))
    }

    pub(super) async fn try_script(&self, expression: &str) -> Result<Value, String> {
        let asked = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        value_of(self.call("Runtime.evaluate", asked).await?)
    }

    /// Waits until an expression in the page's script is true.
    ///
    /// # Panics
    /// If it never is.
    pub async fn until_true(&self, expression: &str) {
        self.until(&format!("finds {expression} true"), || async {
            let value = self.try_script(expression).await?;
            if value == true { Ok(()) } else { Err(format!("it is {value}")) }
        })
        .await;
    }

    /// Errors of the console, uncaught exceptions and refusals of the content security policy since it was opened.
    ///
    /// That a document itself answers with a status such as 402 or 404 is no error; that another resource does is one.
    pub async fn errors(&self) -> Vec<String> {
        // Events come in order with answers: after this answer nothing that has happened is still under way.
        let _ = self.call("Runtime.evaluate", json!({ "expression": "0" })).await;
        lock(&self.seen).errors.clone()
    }

    /// Checks that there were no errors.
    ///
    /// # Panics
    /// If there were.
    pub async fn expect_no_errors(&self) {
        let errors = self.errors().await;
        let list = errors.iter().fold(String::new(), |mut list, error| {
            let _ = write!(list, "\n  {error}");
            list
        });
        assert!(errors.is_empty(), "{} had errors:{list}", self.path().await);
    }

    /// The value of a cookie that would be sent to Docket, also of one that scripts cannot read.
    pub async fn cookie(&self, name: &str) -> Option<String> {
        let found = self.must("Network.getCookies", json!({ "urls": [self.base] })).await;
        let cookie = found["cookies"].as_array()?.iter().find(|cookie| cookie["name"] == name)?;
        cookie["value"].as_str().map(str::to_owned)
    }

    pub(super) async fn take_cookies_of(&self, person: &Person) {
        let cookies: Vec<Value> =
            person.cookies().into_iter().map(|(name, value)| self.cookie_of(&name, &value)).collect();
        self.must("Network.setCookies", json!({ "cookies": cookies })).await;
    }

    fn cookie_of(&self, name: &str, value: &str) -> Value {
        json!({ "name": name, "value": value, "url": self.base, "path": "/", "secure": true, "httpOnly": true })
    }

    /// From now on its visitor prefers dark colours, or light ones.
    pub async fn prefer_dark(&mut self, dark: bool) {
        self.browser.dark = dark;
        self.must("Emulation.setEmulatedMedia", json!({ "features": self.browser.preferences() })).await;
    }

    /// Waits for what its visitor waits for; the reason why it is not there yet stands in the panic's message.
    pub(super) async fn until<T, F>(&self, what: &str, probe: impl FnMut() -> F) -> T
    where
        F: Future<Output = Result<T, String>>,
    {
        until(&format!("the page {what}"), WITHIN, probe).await
    }

    pub(super) async fn call(&self, method: &str, parameters: Value) -> Result<Value, String> {
        self.profile.chromium.call(Some(&self.session), method, parameters).await
    }

    /// A command that Chromium refuses only if the harness is wrong.
    pub(super) async fn must(&self, method: &str, parameters: Value) -> Value {
        self.call(method, parameters).await.unwrap_or_else(|error| panic!("{error}"))
    }
}

/// The value that a script's call answered with.
///
/// # Errors
/// What it threw.
pub(super) fn value_of(mut answer: Value) -> Result<Value, String> {
    let thrown = &answer["exceptionDetails"];
    if thrown.is_null() {
        return Ok(answer["result"]["value"].take());
    }
    let text = thrown["exception"]["description"].as_str().or(thrown["text"].as_str());
    Err(text.unwrap_or("it threw").to_owned())
}

/// Each run of white space, also of the kind that does not break, as one space.
pub(super) fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
