//! Snapshots: the present state of every aggregate, told by its owner for those who missed the events that led to it.
//!
//! They are read from the owner's documents, page by page in the order of the ids, whether the owner runs or not. A snapshot
//! names the version that the document had when it was read and raises none itself: events up to that version that come
//! later are old, and events after it follow on it. Each run of the command has message ids of its own, so that the broker
//! takes a snapshot again that it took in an earlier run.

use bson::doc;
use bson::raw::{RawDocument, RawDocumentBuf};
use uuid::Uuid;

use super::state::Form;
use super::{Aggregate, Database, StoreError};
use crate::bus::EventRecord;
use crate::clock::Time;
use crate::events::{By as _, DomainEvent as _};

/// How many documents are read at a time.
const PAGE: usize = 500;

/// How many bytes a message takes beside its payload: subject, headers, and what the broker adds, generously.
const AROUND_A_PAYLOAD: usize = 512;

/// A run of the command that has snapshots told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) id: Uuid,
    pub(crate) at: Time,
}

type Tell = fn(&RawDocument, Run) -> Result<Option<EventRecord>, StoreError>;

/// The aggregates of one kind, as their owner declares them.
#[derive(Clone, Copy, Debug)]
pub struct Owned {
    /// The domain whose events they raise.
    pub domain: &'static str,
    collection: &'static str,
    tell: Tell,
}

/// Snapshots of the documents of one page.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) snapshots: Vec<EventRecord>,
    /// How many documents this build cannot read.
    pub(crate) unreadable: usize,
    /// The id after which the next page begins; `None` after the last page.
    pub(crate) next: Option<String>,
}

impl Owned {
    /// The aggregates of the type `A`.
    pub fn of<A: Aggregate>() -> Self {
        Self { domain: A::Event::DOMAIN, collection: A::COLLECTION, tell: tell::<A> }
    }

    /// About how many bytes the snapshots of all take in a stream, if the others are like those of the first page.
    ///
    /// # Errors
    /// If the database does not answer.
    pub(crate) async fn bytes(&self, database: &Database, run: Run) -> Result<u64, StoreError> {
        let page = self.page(database, "", run).await?;
        let bytes: usize = page.snapshots.iter().map(|record| record.payload.len() + AROUND_A_PAYLOAD).sum();
        let documents = (page.snapshots.len() + page.unreadable).max(1) as u64;
        let all = database.collection::<RawDocumentBuf>(self.collection).estimated_count().await?;
        Ok((bytes as u64).saturating_mul(all.max(documents)).div_ceil(documents))
    }

    /// Snapshots of the documents whose ids are greater than `after`, as many as a page has.
    ///
    /// # Errors
    /// If the database does not answer.
    pub(crate) async fn page(&self, database: &Database, after: &str, run: Run) -> Result<Page, StoreError> {
        // What cannot be read has its place in the page too, and is counted.
        let documents = database.collection::<RawDocumentBuf>(self.collection).beside_states::<RawDocumentBuf>();
        let wanted = documents.find(doc! { "_id": { "$gt": after } }).sort(doc! { "_id": 1 }).limit(PAGE as i64);
        let found = wanted.projection(doc! { "outbox": 0 }).whole().await?;
        let mut page = Page::default();
        for document in &found {
            match (self.tell)(document, run) {
                Ok(snapshot) => page.snapshots.extend(snapshot),
                Err(error) => {
                    page.unreadable += 1;
                    tracing::warn!(%error, collection = self.collection, "the state of a document cannot be told");
                }
            }
        }
        let last = found.last().filter(|_| found.len() == PAGE);
        page.next = last.and_then(|last| last.get_str("_id").ok()).map(str::to_owned);
        Ok(page)
    }
}

fn tell<A: Aggregate>(document: &RawDocument, run: Run) -> Result<Option<EventRecord>, StoreError> {
    let stored = Form { schema: A::SCHEMA, upcast: A::upcast }.decode::<A>(document)?;
    let Some(snapshot) = stored.value.snapshot() else { return Ok(None) };
    let record = EventRecord::new(A::KIND, &stored.value.id(), stored.version, &snapshot.by_system(), run.at)?;
    Ok(Some(EventRecord { id: format!("{}:snapshot:{}", record.id, run.id.simple()), ..record }))
}
