//! What a page told while it was open: loads, errors, bytes.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::weight::Transfer;

/// What happened in a page so far.
#[derive(Default)]
pub(super) struct Seen {
    /// The loads that are complete, by their id.
    pub(super) loaded: HashSet<String>,
    /// Errors of the console, uncaught exceptions and refusals of the content security policy.
    pub(super) errors: Vec<String>,
    /// What was fetched, by the request's id.
    pub(super) transfers: HashMap<String, Transfer>,
    /// The requests for documents.
    documents: HashSet<String>,
    /// Who answers the requests that wait for the test.
    pub(super) paused: Option<mpsc::UnboundedSender<Value>>,
}

impl Seen {
    /// Notes an event, and may answer with a command.
    pub(super) fn take_in(&mut self, event: &str, what: &Value) -> Option<(&'static str, Value)> {
        match event {
            "Page.lifecycleEvent" if what["name"] == "load" => {
                self.loaded.insert(text(&what["loaderId"]));
            }
            // A page whose question nobody answers stands still.
            "Page.javascriptDialogOpening" => return Some(("Page.handleJavaScriptDialog", json!({ "accept": true }))),
            "Network.requestWillBeSent" if what["type"] == "Document" => {
                self.documents.insert(text(&what["requestId"]));
            }
            "Network.responseReceived" => {
                self.transfers.insert(text(&what["requestId"]), Transfer::new(what));
            }
            "Network.loadingFinished" => {
                if let Some(transfer) = self.transfers.get_mut(what["requestId"].as_str().unwrap_or_default()) {
                    transfer.finish(what);
                }
            }
            "Fetch.requestPaused" => {
                // A test that has ended answers nothing, and its page is closed.
                let _ = self.paused.as_ref().map(|paused| paused.send(what.clone()));
            }
            "Log.entryAdded" => self.note_log(&what["entry"]),
            "Runtime.consoleAPICalled" if what["type"] == "error" || what["type"] == "assert" => {
                let said = what["args"].as_array().into_iter().flatten().map(shown).collect::<Vec<_>>().join(" ");
                self.errors.push(format!("console.{}: {said}", text(&what["type"])));
            }
            "Runtime.exceptionThrown" => {
                let details = &what["exceptionDetails"];
                let at = format!("{}:{}", text(&details["url"]), details["lineNumber"]);
                self.errors.push(format!("{} {} ({at})", text(&details["text"]), shown(&details["exception"])));
            }
            _ => {}
        }
        None
    }

    /// A document that answers 402 or 404 is a page like any other, though Chromium complains about it.
    fn note_log(&mut self, entry: &Value) {
        let is_document = entry["networkRequestId"].as_str().is_some_and(|id| self.documents.contains(id));
        if entry["level"] == "error" && !is_document {
            let (source, said, url) = (text(&entry["source"]), text(&entry["text"]), text(&entry["url"]));
            self.errors.push(format!("{source}: {said} ({url})"));
        }
    }
}

/// What a value of the page's script is, for people.
fn shown(value: &Value) -> String {
    match (&value["description"], &value["value"]) {
        (Value::String(description), _) => description.clone(),
        (_, Value::String(value)) => value.clone(),
        (_, value) => value.to_string(),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
