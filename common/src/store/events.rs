//! The archive of published events: kept 30 days by the owner, so that a damaged stream can be published again.

use std::ops::RangeInclusive;
use std::time::Duration;

use bson::doc;
use bson::raw::{RawDocument, RawDocumentBuf};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};

use super::{Collection, Database, Indexes, StoreError};
use crate::bus::EventRecord;
use crate::clock::Time;

const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// So many bytes of events are kept in one document, as they are encoded; MongoDB takes none of more than 16 MiB.
const BUNDLE_BYTES: usize = 4 * 1024 * 1024;

/// Events that were published about the same time. One document for many of them costs MongoDB little more than one for each.
#[derive(Serialize, Deserialize)]
pub(super) struct Bundle<R> {
    /// When they had been published.
    at: Time,
    events: Vec<R>,
}

/// The events that a service has published.
#[derive(Clone)]
pub struct EventArchive {
    collection: Collection<RawDocumentBuf>,
}

impl EventArchive {
    /// The collection's name.
    pub const COLLECTION: &str = "events";

    /// The archive in a service's database.
    pub fn new(database: &Database) -> Self {
        Self { collection: database.collection(Self::COLLECTION) }
    }

    /// Its indexes, which also end the events' time.
    pub fn indexes() -> Indexes {
        Indexes::of(Self::COLLECTION).ttl("at", KEPT)
    }

    /// Keeps what was published until `now`. What is published again after a crash is kept twice.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn keep<'e>(&self, records: impl Iterator<Item = &'e EventRecord>, now: Time) -> Result<(), StoreError> {
        let encoded = records.map(bson::serialize_to_raw_document_buf).collect::<Result<Vec<_>, _>>()?;
        let bundles: Vec<RawDocumentBuf> =
            bundles(encoded, now).iter().map(bson::serialize_to_raw_document_buf).collect::<Result<_, _>>()?;
        if !bundles.is_empty() {
            self.collection.insert_many(&bundles).await?;
        }
        Ok(())
    }

    /// When the last events were kept; `None` if none are.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn newest(&self) -> Result<Option<Time>, StoreError> {
        #[derive(Deserialize)]
        struct Row {
            at: Time,
        }
        let rows = self.collection.beside_states::<Row>();
        let newest = rows.find(doc! {}).sort(doc! { "at": -1 }).limit(1).projection(doc! { "_id": 0, "at": 1 }).await?;
        Ok(newest.first().map(|row| row.at))
    }

    /// The events that were published in this time, its end included, in the order in which that was.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn within(&self, time: RangeInclusive<Time>) -> Result<Published, StoreError> {
        let within = doc! { "at": { "$gte": time.start(), "$lte": time.end() } };
        let found = self.collection.find(within).sort(doc! { "at": 1 }).whole();
        Ok(Published { found: found.stream().await?.boxed() })
    }
}

fn bundles(events: Vec<RawDocumentBuf>, at: Time) -> Vec<Bundle<RawDocumentBuf>> {
    let (mut bundles, mut bytes) = (Vec::<Bundle<RawDocumentBuf>>::new(), BUNDLE_BYTES);
    for event in events {
        let size = event.as_bytes().len();
        if bytes + size > BUNDLE_BYTES {
            bundles.push(Bundle { at, events: Vec::new() });
            bytes = 0;
        }
        bytes += size;
        if let Some(bundle) = bundles.last_mut() {
            bundle.events.push(event);
        }
    }
    bundles
}

/// Published events, as they are read from the archive.
pub struct Published {
    found: BoxStream<'static, Result<RawDocumentBuf, StoreError>>,
}

impl Published {
    /// The next ones; `None` at the end.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn next_batch(&mut self) -> Result<Option<Vec<EventRecord>>, StoreError> {
        self.found.try_next().await?.as_deref().map(events_in).transpose()
    }
}

/// Older versions kept each event in a document of its own.
fn events_in(document: &RawDocument) -> Result<Vec<EventRecord>, StoreError> {
    let bytes = document.as_bytes();
    match document.get("events") {
        Ok(Some(_)) => Ok(bson::deserialize_from_slice::<Bundle<EventRecord>>(bytes)?.events),
        _ => Ok(vec![bson::deserialize_from_slice(bytes)?]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_bundle_is_larger_than_what_mongodb_takes_however_small_the_payloads_are() {
        let headers = "h".repeat(1_000);
        let event = bson::rawdoc! { "headers": headers, "payload": "{}" };
        let size = event.as_bytes().len();
        let bundles = bundles(vec![event; 20_000], Time::from_millis(0));
        assert_eq!(bundles.iter().map(|bundle| bundle.events.len()).sum::<usize>(), 20_000);
        assert!(bundles.iter().all(|bundle| bundle.events.len() * size <= BUNDLE_BYTES));
        let encoded =
            bundles.iter().map(|bundle| bson::serialize_to_raw_document_buf(bundle).unwrap().as_bytes().len());
        assert!(encoded.max().unwrap() < 2 * BUNDLE_BYTES);
    }
}
