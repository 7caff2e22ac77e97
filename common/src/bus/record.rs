//! An event on its way: what the outbox keeps, what the headers carry, what a listener gets.

use async_nats::HeaderMap;
use serde::{Deserialize, Serialize};

use crate::clock::Time;
use crate::events::{DecodeError, DomainEvent, Raised};
use crate::id::UserId;

const TYPE: &str = "Docket-Type";
const SCHEMA: &str = "Docket-Schema";
pub(super) const VERSION: &str = "Docket-Version";
const TIME: &str = "Docket-Time";
const ACTOR: &str = "Docket-Actor";
const TRACEPARENT: &str = "traceparent";

/// One event of one aggregate, ready to publish.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventRecord {
    /// `<kind>:<aggregate>:<version>`: the broker drops a second message with the same one.
    #[serde(rename = "_id")]
    pub id: String,
    /// The domain, which names the stream.
    pub domain: String,
    /// The id of the aggregate.
    pub aggregate: String,
    /// The aggregate's version after the event: its events count 1, 2, 3 without a gap, and all of them come, except
    /// where the [newest says all](crate::events::DomainEvent::NEWEST_SAYS_ALL).
    pub version: i64,
    /// The event's name.
    pub name: String,
    /// The version of the payload's schema.
    pub schema: u16,
    /// When it happened.
    pub at: Time,
    /// Who did it.
    pub actor: Option<UserId>,
    /// The W3C trace context of the work that raised it.
    pub traceparent: Option<String>,
    /// The payload as JSON.
    pub payload: String,
}

impl EventRecord {
    /// The record of an event that takes the aggregate `kind:id` to `version`.
    ///
    /// # Errors
    /// If the payload has no JSON form.
    pub fn new<E: DomainEvent>(
        kind: &str,
        id: &str,
        version: i64,
        raised: &Raised<E>,
        at: Time,
    ) -> Result<Self, serde_json::Error> {
        let event = raised.event.kind();
        Ok(Self {
            id: format!("{kind}:{id}:{version}"),
            domain: E::DOMAIN.to_owned(),
            aggregate: id.to_owned(),
            version,
            name: event.name.to_owned(),
            schema: event.version,
            at,
            actor: raised.actor,
            traceparent: raised.traceparent.clone(),
            payload: raised.event.encode()?,
        })
    }

    /// The headers under which it is published.
    pub fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(async_nats::header::NATS_MESSAGE_ID, self.id.as_str());
        headers.insert(TYPE, self.name.as_str());
        headers.insert(SCHEMA, self.schema.to_string().as_str());
        headers.insert(VERSION, self.version.to_string().as_str());
        headers.insert(TIME, self.at.to_string().as_str());
        if let Some(actor) = self.actor {
            headers.insert(ACTOR, actor.to_string().as_str());
        }
        if let Some(traceparent) = &self.traceparent {
            headers.insert(TRACEPARENT, traceparent.as_str());
        }
        headers
    }

    /// Reads a message; the payload is looked at only in [`EventRecord::decode`].
    ///
    /// # Errors
    /// If the subject or a header is not what every event has.
    pub fn from_message(domain: &str, subject: &str, headers: &HeaderMap, payload: &[u8]) -> Result<Self, DecodeError> {
        let aggregate = subject.rsplit('.').next().filter(|id| !id.is_empty()).ok_or(DecodeError::Header("subject"))?;
        Ok(Self {
            // What the scheduler publishes comes without the id of its making.
            id: headers
                .get(async_nats::header::NATS_MESSAGE_ID)
                .map_or_else(|| subject.to_owned(), |id| id.as_str().to_owned()),
            domain: domain.to_owned(),
            aggregate: aggregate.to_owned(),
            version: parsed(headers, VERSION)?,
            name: text(headers, TYPE)?.to_owned(),
            schema: parsed(headers, SCHEMA)?,
            at: parsed(headers, TIME)?,
            actor: optional(headers, ACTOR)?,
            traceparent: headers.get(TRACEPARENT).map(|value| value.as_str().to_owned()),
            payload: String::from_utf8(payload.to_vec()).map_err(|_| DecodeError::Header("payload"))?,
        })
    }

    /// The event's name in a message, if it has one.
    pub(super) fn name_in(message: &async_nats::Message) -> Option<&str> {
        message.headers.as_ref()?.get(TYPE).map(async_nats::HeaderValue::as_str)
    }

    /// The version in a message's headers; 0 if it has none.
    pub(super) fn version_in(message: &async_nats::Message) -> i64 {
        message.headers.as_ref().and_then(|headers| parsed(headers, VERSION).ok()).unwrap_or(0)
    }

    /// Reads the payload.
    ///
    /// # Errors
    /// If the registry does not know the event, or the payload breaks its schema.
    pub fn decode<E: DomainEvent>(self) -> Result<Received<E>, DecodeError> {
        let event = E::decode(&self.name, self.schema, self.payload.as_bytes())?;
        Ok(Received { event, record: self })
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &'static str) -> Result<&'h str, DecodeError> {
    headers.get(name).map(async_nats::HeaderValue::as_str).ok_or(DecodeError::Header(name))
}

fn parsed<T: std::str::FromStr>(headers: &HeaderMap, name: &'static str) -> Result<T, DecodeError> {
    text(headers, name)?.parse().map_err(|_| DecodeError::Header(name))
}

fn optional<T: std::str::FromStr>(headers: &HeaderMap, name: &'static str) -> Result<Option<T>, DecodeError> {
    if headers.get(name).is_none() { Ok(None) } else { parsed(headers, name).map(Some) }
}

/// An event as a listener gets it.
#[derive(Clone, Debug)]
pub struct Received<E> {
    /// What happened.
    pub event: E,
    /// Who, when, and as which version of which aggregate.
    pub record: EventRecord,
}
