//! What a page weighs on the wire.

use serde_json::{Value, json};

use super::Page;
use super::chromium::lock;

/// The bytes that came over the wire for a page: bodies as they were compressed, without headers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    /// The document.
    pub document: u64,
    /// Style sheets.
    pub styles: u64,
    /// Scripts.
    pub scripts: u64,
    /// Fonts, images and what was fetched by scripts.
    pub others: u64,
}

impl Weight {
    /// Document, style sheets and scripts together.
    pub fn code(&self) -> u64 {
        self.document + self.styles + self.scripts
    }
}

/// A response of which some or all has come.
pub(super) struct Transfer {
    kind: String,
    headers: u64,
    body: u64,
}

impl Transfer {
    /// Of a `Network.responseReceived`: so far only the headers have come.
    pub(super) fn new(what: &Value) -> Self {
        let kind = what["type"].as_str().unwrap_or_default().to_owned();
        Self { kind, headers: bytes(&what["response"]), body: 0 }
    }

    /// Of a `Network.loadingFinished`.
    pub(super) fn finish(&mut self, what: &Value) {
        self.body = bytes(what).saturating_sub(self.headers);
    }
}

/// Chromium counts bytes in a floating-point number.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of bytes is whole and positive")]
fn bytes(what: &Value) -> u64 {
    what["encodedDataLength"].as_f64().unwrap_or_default() as u64
}

impl Page {
    /// Loads the page once more, past the cache, and weighs what comes until the load is complete.
    ///
    /// # Panics
    /// If it does not load.
    pub async fn weight(&self) -> Weight {
        lock(&self.seen).transfers.clear();
        lock(&self.seen).loaded.clear();
        self.must("Page.reload", json!({ "ignoreCache": true })).await;
        self.until("loads again", || async {
            let loaded = !lock(&self.seen).loaded.is_empty();
            if loaded { Ok(()) } else { Err("no load event".to_owned()) }
        })
        .await;
        let mut weight = Weight::default();
        for transfer in lock(&self.seen).transfers.values() {
            let sum = match transfer.kind.as_str() {
                "Document" => &mut weight.document,
                "Stylesheet" => &mut weight.styles,
                "Script" => &mut weight.scripts,
                _ => &mut weight.others,
            };
            *sum += transfer.body;
        }
        weight
    }
}
