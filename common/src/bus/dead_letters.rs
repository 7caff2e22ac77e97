//! Dead letters: events that a service could not handle, kept with all that is needed to look, replay or discard.

use std::collections::BTreeMap;

use async_nats::HeaderMap;
use async_nats::jetstream::Message;
use bson::doc;
use serde::{Deserialize, Serialize};

use super::{EventRecord, ListenError, Listener};
use crate::clock::{SharedClock, Time};
use crate::store::{Collection, Database, StoreError};

/// An event that was not handled.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetter {
    /// `<domain>:<sequence in the stream>`.
    #[serde(rename = "_id")]
    pub id: String,
    /// The service that could not handle it.
    pub service: String,
    /// The domain whose stream carried it.
    pub domain: String,
    /// Its subject.
    pub subject: String,
    /// Its headers.
    pub headers: BTreeMap<String, String>,
    /// Its payload, byte for byte.
    pub payload: bson::Binary,
    /// Why the last try failed.
    pub error: String,
    /// How often it was tried.
    pub attempts: i64,
    /// When it was put aside.
    pub at: Time,
}

/// The dead letters of one service.
#[derive(Clone)]
pub struct DeadLetters {
    collection: Collection<DeadLetter>,
    clock: SharedClock,
}

impl DeadLetters {
    /// The collection's name.
    pub const COLLECTION: &str = "dead_letters";

    /// The dead letters in a service's database.
    pub fn new(database: &Database, clock: SharedClock) -> Self {
        Self { collection: database.collection(Self::COLLECTION), clock }
    }

    pub(super) async fn keep(
        &self,
        service: &str,
        domain: &str,
        message: &Message,
        error: &str,
        attempts: i64,
    ) -> Result<(), StoreError> {
        let sequence = message.info().map_or(0, |info| info.stream_sequence);
        let letter = DeadLetter {
            id: format!("{domain}:{sequence}"),
            service: service.to_owned(),
            domain: domain.to_owned(),
            subject: message.subject.to_string(),
            headers: message.headers.as_ref().map(plain_headers).unwrap_or_default(),
            payload: bson::Binary { subtype: bson::spec::BinarySubtype::Generic, bytes: message.payload.to_vec() },
            error: error.to_owned(),
            attempts,
            at: self.clock.now(),
        };
        self.collection.put(doc! { "_id": &letter.id }, &letter).await
    }

    /// Up to `limit` letters after the one with the id `after`.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn list(&self, after: Option<&str>, limit: i64) -> Result<Vec<DeadLetter>, StoreError> {
        let filter = after.map_or_else(|| doc! {}, |after| doc! { "_id": { "$gt": after } });
        self.collection.find(filter).sort(doc! { "_id": 1 }).limit(limit).await
    }

    /// About how many there are, which the database knows without counting.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn count(&self) -> Result<u64, StoreError> {
        self.collection.estimated_count().await
    }

    pub(super) fn clock(&self) -> &SharedClock {
        &self.clock
    }

    /// Forgets a letter for good; false if there is none with this id.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn discard(&self, id: &str) -> Result<bool, StoreError> {
        self.collection.delete_one(doc! { "_id": id }).await
    }

    /// Gives a letter to its listener once more, and forgets it if it is handled now. `None` if there is no such letter.
    ///
    /// # Errors
    /// As the listener's; the letter is kept then.
    pub async fn replay(&self, id: &str, listeners: &[Listener]) -> Result<Option<()>, ListenError> {
        let found = self.collection.find_one(doc! { "_id": id }).await?;
        let Some(letter) = found else { return Ok(None) };
        let Some(listener) = listeners.iter().find(|listener| listener.domain == letter.domain) else {
            return Err(ListenError::permanent(format!("nothing listens to {} any more", letter.domain)));
        };
        let record = EventRecord::from_message(
            listener.domain,
            &letter.subject,
            &header_map(&letter.headers),
            &letter.payload.bytes,
        )?;
        (listener.handler)(record).await?;
        self.discard(id).await?;
        Ok(Some(()))
    }
}

fn plain_headers(headers: &HeaderMap) -> BTreeMap<String, String> {
    headers.iter().filter_map(|(name, values)| Some((name.to_string(), values.first()?.as_str().to_owned()))).collect()
}

fn header_map(plain: &BTreeMap<String, String>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in plain {
        headers.insert(name.as_str(), value.as_str());
    }
    headers
}
