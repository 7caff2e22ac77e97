//! A tab of a browser without scripts, which shows every answer as it came: with its status, its headers and its cookies.

use std::collections::BTreeMap;
use std::sync::Mutex;

use common::http::auth::{ACCESS_COOKIE, REFRESH_COOKIE};
use docket_tests::Person;

/// The tab.
pub(super) struct Tab {
    base: String,
    client: reqwest::Client,
    jar: Mutex<BTreeMap<String, String>>,
}

/// What it was answered.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) status: u16,
    pub(super) headers: reqwest::header::HeaderMap,
    pub(super) text: String,
}

impl Shown {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The value of a hidden field of the page's form.
    pub(super) fn hidden(&self, name: &str) -> String {
        let begins = format!("name=\"{name}\" value=\"");
        let (_, rest) = self.text.split_once(&begins).unwrap_or_else(|| panic!("no field {name} in {}", self.text));
        rest.split('"').next().unwrap_or_default().to_owned()
    }
}

impl Tab {
    /// Nobody's, at the pages of `base`.
    pub(super) fn new(base: &str) -> Self {
        common::http::install_tls_provider();
        let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { base: base.to_owned(), client, jar: Mutex::default() }
    }

    /// That of somebody who is signed in.
    pub(super) fn of(person: &Person, base: &str) -> Self {
        let tab = Self::new(base);
        let cookies = [ACCESS_COOKIE, REFRESH_COOKIE].map(|name| (name.to_owned(), person.cookie(name).unwrap()));
        tab.jar.lock().unwrap().extend(cookies);
        tab
    }

    pub(super) fn cookie(&self, name: &str) -> Option<String> {
        self.jar.lock().unwrap().get(name).cloned()
    }

    pub(super) fn keep(&self, cookie: &str, value: &str) {
        self.jar.lock().unwrap().insert(cookie.to_owned(), value.to_owned());
    }

    /// As when its time is up.
    pub(super) fn lose(&self, cookie: &str) {
        self.jar.lock().unwrap().remove(cookie);
    }

    pub(super) async fn get(&self, path: &str) -> Shown {
        self.shown(self.client.get(format!("{}{path}", self.base))).await
    }

    /// Sends a form; `fields` as a form writes them.
    pub(super) async fn post(&self, path: &str, fields: &str) -> Shown {
        let request = self.client.post(format!("{}{path}", self.base)).body(fields.to_owned());
        self.shown(request.header("content-type", "application/x-www-form-urlencoded")).await
    }

    /// The same, for many at a time.
    pub(super) async fn open_owned(&self, path: String) -> reqwest::Response {
        self.open(&path).await
    }

    /// Opens a stream; its answer, of which the body is still to come.
    pub(super) async fn open(&self, path: &str) -> reqwest::Response {
        self.dressed(self.client.get(format!("{}{path}", self.base))).send().await.unwrap()
    }

    fn dressed(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        let jar = self.jar.lock().unwrap();
        let cookies: Vec<String> = jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if cookies.is_empty() { request } else { request.header("cookie", cookies.join("; ")) }
    }

    async fn shown(&self, request: reqwest::RequestBuilder) -> Shown {
        let response = self.dressed(request).send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        for set in headers.get_all("set-cookie").iter().filter_map(|value| value.to_str().ok()) {
            let (name, value) = set.split(';').next().and_then(|pair| pair.split_once('=')).unwrap();
            let mut jar = self.jar.lock().unwrap();
            if value.is_empty() {
                jar.remove(name)
            } else {
                jar.insert(name.to_owned(), value.to_owned())
            };
        }
        Shown { status, headers, text: response.text().await.unwrap() }
    }
}
