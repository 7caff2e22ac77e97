//! Events: what Stripe says happened, for webhooks and for whoever asks later.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::call::Call;
use crate::error::ApiError;
use crate::page::Page;

/// The API version that events are written in; the one async-stripe is made for.
const API_VERSION: &str = "2026-09-30.endive";

/// One event, with the object as it was then.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Event {
    pub(crate) id: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) created: i64,
    pub(crate) object: Value,
    pub(crate) previous: Option<Value>,
    pub(crate) request: Option<String>,
    pub(crate) idempotency_key: Option<String>,
    pub(crate) pending_webhooks: u32,
}

impl Event {
    /// The event as the API and the webhooks show it.
    pub(crate) fn json(&self) -> Value {
        let mut data = json!({ "object": self.object });
        if let Some(previous) = &self.previous {
            data["previous_attributes"] = previous.clone();
        }
        json!({
            "id": self.id,
            "object": "event",
            "api_version": API_VERSION,
            "created": self.created,
            "data": data,
            "livemode": false,
            "pending_webhooks": self.pending_webhooks,
            "request": { "id": self.request, "idempotency_key": self.idempotency_key },
            "type": self.kind,
        })
    }
}

/// An event as it is kept: thousands of them are, so the object in it is text, which takes a tenth of its tree's room.
#[derive(Clone, Debug)]
pub(crate) struct KeptEvent {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) created: i64,
    pub(crate) pending_webhooks: u32,
    text: Box<str>,
}

impl From<Event> for KeptEvent {
    fn from(event: Event) -> Self {
        let text = serde_json::to_string(&event).expect("every event has a JSON form");
        let Event { id, kind, created, pending_webhooks, .. } = event;
        Self { id, kind, created, pending_webhooks, text: text.into() }
    }
}

impl KeptEvent {
    /// The event, with what is known of its deliveries.
    pub(crate) fn event(&self) -> Event {
        let event: Event = serde_json::from_str(&self.text).expect("the text was made of an event");
        Event { pending_webhooks: self.pending_webhooks, ..event }
    }

    pub(crate) fn json(&self) -> Value {
        self.event().json()
    }
}

/// A bound on a time.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Range {
    gt: Option<i64>,
    gte: Option<i64>,
    lt: Option<i64>,
    lte: Option<i64>,
}

impl Range {
    fn contains(&self, at: i64) -> bool {
        self.gt.is_none_or(|bound| at > bound)
            && self.gte.is_none_or(|bound| at >= bound)
            && self.lt.is_none_or(|bound| at < bound)
            && self.lte.is_none_or(|bound| at <= bound)
    }
}

/// `GET /v1/events`.
#[derive(Debug, Deserialize)]
pub(crate) struct ListEvents {
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    types: Vec<String>,
    #[serde(default)]
    created: Range,
    delivery_success: Option<bool>,
    limit: Option<usize>,
    starting_after: Option<String>,
    ending_before: Option<String>,
}

impl ListEvents {
    fn wants(&self, event: &KeptEvent) -> bool {
        let delivered = event.pending_webhooks == 0;
        self.kind.as_ref().is_none_or(|pattern| matches_kind(pattern, &event.kind))
            && (self.types.is_empty() || self.types.contains(&event.kind))
            && self.created.contains(event.created)
            && self.delivery_success.is_none_or(|wanted| wanted == delivered)
    }
}

fn matches_kind(pattern: &str, kind: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => kind.starts_with(start),
        None => pattern == kind,
    }
}

pub(crate) fn list(call: &mut Call<'_>, params: ListEvents) -> Result<Value, ApiError> {
    let wanted = call.books.events.iter().rev().filter(|(_, event)| params.wants(event));
    let page = Page::new(params.limit, params.starting_after.as_deref(), params.ending_before.as_deref())?;
    Ok(page.of("/v1/events", wanted, KeptEvent::json))
}

pub(crate) fn retrieve(call: &mut Call<'_>, id: &str) -> Result<Value, ApiError> {
    call.books.events.get(id).map(KeptEvent::json).ok_or_else(|| ApiError::no_such("event", "id", id))
}
