//! Dead letters: events that a service could not handle, kept with all that is needed to look, replay or discard.
//!
//! Their ids name the stream, the moment in which it was made, and the place in it, so that they sort as the stream does and
//! a stream that was made anew has others. A bulk replay parks letters again: the worker of parked events handles those of
//! one aggregate in the order of their versions.

use std::collections::BTreeMap;

use async_nats::HeaderMap;
use async_nats::jetstream::Message;
use bson::{Document, doc};
use serde::{Deserialize, Serialize};

use super::attempt::attempt;
use super::meter::Meter;
use super::{ListenError, Listener, ParkedEvents};
use crate::clock::{SharedClock, Time};
use crate::store::{Collection, Database, StoreError};

/// How many letters are moved at a time, and how many by one bulk replay.
const PIECE: i64 = 250;
const AT_MOST: usize = 5_000;

/// How much is kept of what a failure said.
const ERROR_BYTES: usize = 2_048;

/// An event that was not handled.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetter {
    /// `<domain>:<when the stream was made>:<sequence in the stream>`.
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

/// Where a message came from: `<service>` had it from the stream of `domain` that was made at `made`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    pub(super) service: &'static str,
    pub(super) domain: &'static str,
    pub(super) made: Time,
}

impl DeadLetter {
    /// The letter of a message that was not handled.
    pub(super) fn new(origin: Origin, message: &Message, error: &ListenError, at: Time) -> Self {
        let Origin { service, domain, made } = origin;
        let (sequence, attempts) = message.info().map_or((0, 1), |info| (info.stream_sequence, info.delivered));
        Self {
            // With leading zeros the ids sort as the messages do.
            id: format!("{domain}:{}:{sequence:012}", made.millis()),
            service: service.to_owned(),
            domain: domain.to_owned(),
            subject: message.subject.to_string(),
            headers: message.headers.as_ref().map(plain_headers).unwrap_or_default(),
            payload: bson::Binary { subtype: bson::spec::BinarySubtype::Generic, bytes: message.payload.to_vec() },
            error: said(error),
            attempts,
            at,
        }
    }

    /// The aggregate whose event it is.
    pub(super) fn aggregate(&self) -> &str {
        self.subject.rsplit('.').next().unwrap_or(&self.subject)
    }

    /// The version that it takes its aggregate to; 0 if it does not say.
    pub(super) fn version(&self) -> i64 {
        self.headers.get(super::record::VERSION).and_then(|version| version.parse().ok()).unwrap_or(0)
    }
}

/// What a failure said, or the beginning of it: what cannot be read may be quoted in it.
pub(super) fn said(error: &ListenError) -> String {
    let mut text = error.to_string();
    text.truncate(text.floor_char_boundary(ERROR_BYTES));
    text
}

/// What a bulk replay did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// How many letters are tried once more.
    pub moved: usize,
    /// Whether there may be more.
    pub more: bool,
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

    pub(super) async fn keep(&self, letter: &DeadLetter) -> Result<(), StoreError> {
        self.collection.put(doc! { "_id": &letter.id }, letter).await
    }

    /// Up to `limit` letters after the one with the id `after`, each as `show` makes of it: only that is kept in memory.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn list<T>(
        &self,
        after: Option<&str>,
        limit: i64,
        show: impl Fn(DeadLetter) -> T,
    ) -> Result<Vec<T>, StoreError> {
        let filter = after.map_or_else(|| doc! {}, |after| doc! { "_id": { "$gt": after } });
        self.collection.find(filter).sort(doc! { "_id": 1 }).limit(limit).shown(show).await
    }

    /// The letter with this id.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn get(&self, id: &str) -> Result<Option<DeadLetter>, StoreError> {
        self.collection.find_one(doc! { "_id": id }).await
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

    /// Gives a letter to its listener once more, and forgets it if it is handled. `None` if there is no such letter.
    ///
    /// # Errors
    /// As the listener's; the letter is kept then.
    pub async fn replay(
        &self,
        id: &str,
        listeners: &[Listener],
        parked: &ParkedEvents,
    ) -> Result<Option<()>, ListenError> {
        let Some(letter) = self.get(id).await? else { return Ok(None) };
        let Some(listener) = listeners.iter().find(|listener| listener.domain == letter.domain) else {
            return Err(ListenError::permanent(format!("nothing listens to {}", letter.domain)));
        };
        let meter = Meter::of(&letter.service, listener.domain);
        attempt(listener, &meter, &letter.subject, &header_map(&letter.headers), &letter.payload.bytes).await?;
        self.discard(id).await?;
        parked.follow(&letter.domain, letter.aggregate()).await;
        Ok(Some(()))
    }

    /// Parks the letters of all domains, or of one, for another try each, in the order of their streams. What has become a
    /// letter again meanwhile stays one.
    ///
    /// # Errors
    /// If the database does not answer; what is not parked by then is still a letter.
    pub async fn replay_all(&self, domain: Option<&str>, parked: &ParkedEvents) -> Result<Replayed, StoreError> {
        let mut places = domain.map_or_else(|| doc! { "$gt": "" }, of_domain);
        let mut moved = 0;
        while moved < AT_MOST {
            let letters = self.collection.find(doc! { "_id": places.clone() });
            let letters = letters.sort(doc! { "_id": 1 }).limit(PIECE).await?;
            let Some(last) = letters.last() else { return Ok(Replayed { moved, more: false }) };
            places.remove("$gte");
            places.insert("$gt", &last.id);
            moved += letters.len();
            // A letter that has become one again meanwhile has another time.
            let read = letters.iter().map(|letter| doc! { "_id": &letter.id, "at": letter.at });
            let read = doc! { "$or": read.collect::<Vec<_>>() };
            parked.park_again(letters).await?;
            self.collection.delete_many(read).await?;
        }
        Ok(Replayed { moved, more: true })
    }
}

/// The ids that begin with a domain: `;` is what follows `:`.
fn of_domain(domain: &str) -> Document {
    doc! { "$gte": format!("{domain}:"), "$lt": format!("{domain};") }
}

fn plain_headers(headers: &HeaderMap) -> BTreeMap<String, String> {
    headers.iter().filter_map(|(name, values)| Some((name.to_string(), values.first()?.as_str().to_owned()))).collect()
}

pub(super) fn header_map(plain: &BTreeMap<String, String>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in plain {
        headers.insert(name.as_str(), value.as_str());
    }
    headers
}
