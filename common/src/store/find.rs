//! Reading many documents.
//!
//! A later build writes documents that this one cannot read, and such a one must not keep the others from being listed or looked
//! after. So who reads many gets those that can be read: what cannot is passed over, counted and told of in the log, and a page is
//! filled with what stands behind it, in [`PAGES`] reads at most. Who must not take a part for the whole asks for the
//! [whole](Find::whole), where one that cannot be read is an error, as it always is where one is asked for.

use std::collections::VecDeque;
use std::future::IntoFuture;

use bson::raw::{RawDocument, RawDocumentBuf};
use bson::{Bson, Document};
use futures::future::BoxFuture;
use futures::{FutureExt, Stream, TryStreamExt, stream};
use metrics::counter;
use mongodb::Cursor;
use mongodb::error::Error;
use mongodb::options::{FindOptions, Hint};
use serde::de::DeserializeOwned;

use super::limit::PATIENCE;
use super::state::SCHEMA;
use super::{Collection, StoreError};

/// How many documents are read at a time behind a page in which some could not be read, and how many times.
const PAGE: i64 = 256;
const PAGES: usize = 16;

/// How many documents of a stream are read in one turn, and after how many bytes of them it ends.
const STEP: usize = 100;
const STEP_BYTES: usize = 1024 * 1024;

/// Documents that are looked for.
#[must_use]
pub struct Find<'c, T: Send + Sync> {
    collection: &'c Collection<T>,
    filter: Document,
    options: FindOptions,
    whole: bool,
}

impl<'c, T: Send + Sync> Find<'c, T> {
    pub(super) fn new(collection: &'c Collection<T>, filter: Document) -> Self {
        Self { collection, filter, options: FindOptions::default(), whole: false }
    }

    /// In this order.
    pub fn sort(mut self, keys: Document) -> Self {
        self.options.sort = Some(keys);
        self
    }

    /// So many at most.
    pub fn limit(mut self, most: i64) -> Self {
        self.options.limit = Some(most);
        self
    }

    /// Only these fields, or all but these. Of documents that may be of an earlier schema all fields are read, as what brings
    /// them up may need any.
    pub fn projection(mut self, mut fields: Document) -> Self {
        let names_what_is_shown =
            fields.iter().any(|(name, shown)| is_shown(shown) && (name != "_id" || fields.len() == 1));
        match &self.collection.form {
            Some(form) if names_what_is_shown && form.has_earlier() => return self,
            Some(_) if names_what_is_shown => fields.insert(SCHEMA, 1),
            _ => None,
        };
        self.options.projection = Some(fields);
        self
    }

    /// By the index over these keys.
    pub fn hint(mut self, keys: Document) -> Self {
        self.options.hint = Some(Hint::Keys(keys));
        self
    }

    /// All or an error: one that cannot be read is not passed over.
    pub fn whole(self) -> Self {
        Self { whole: true, ..self }
    }
}

fn is_shown(shown: &Bson) -> bool {
    !matches!(shown, Bson::Int32(0) | Bson::Int64(0) | Bson::Boolean(false))
}

impl<T: DeserializeOwned + Unpin + Send + Sync> Find<'_, T> {
    /// One after the other. The whole may take any time, but nobody waits for the next one longer than for a command.
    ///
    /// # Errors
    /// If the database does not answer, at once or in the middle.
    pub async fn stream(self) -> Result<impl Stream<Item = Result<T, StoreError>> + use<T>, StoreError> {
        let Self { collection, filter, options, whole } = self;
        let documents = collection.clone_with_type::<RawDocumentBuf>();
        let cursor = collection.bounded(async { documents.driver.find(filter).with_options(options).await }).await?;
        let rows = Rows { cursor, read: VecDeque::with_capacity(STEP), collection: collection.clone(), whole };
        Ok(stream::try_unfold(rows, next))
    }

    /// What `show` makes of each. Only that is kept in memory.
    ///
    /// # Errors
    /// If the database does not answer; of the [whole](Find::whole), if one cannot be read.
    pub async fn shown<V>(self, show: impl Fn(T) -> V) -> Result<Vec<V>, StoreError> {
        let collection = self.collection;
        self.read_by(|document| collection.read(document).map(&show)).await
    }

    /// What `read` makes of each document.
    pub(super) async fn read_by<V>(
        self,
        read: impl Fn(&RawDocument) -> Result<V, StoreError>,
    ) -> Result<Vec<V>, StoreError> {
        let Self { collection, filter, mut options, whole } = self;
        let documents = collection.clone_with_type::<RawDocumentBuf>();
        options.max_time = Some(PATIENCE);
        options.limit = options.limit.filter(|limit| *limit > 0);
        let wanted = options.limit.map_or(usize::MAX, size);
        let mut values = Vec::new();
        for _ in 0..PAGES {
            let (filter, options_of_page) = (filter.clone(), options.clone());
            let (mut found, mut failed) = (0, Vec::new());
            // The driver's future is large, and lists are read within others.
            let reading = Box::pin(async {
                let mut cursor = documents.driver.find(filter).with_options(options_of_page).await?;
                while let Some(document) = cursor.try_next().await? {
                    found += 1;
                    match read(&document) {
                        Ok(value) => values.push(value),
                        Err(error) => failed.push(error),
                    }
                }
                Ok::<_, Error>(())
            });
            collection.bounded(reading).await?;
            if let Some(error) = failed.pop() {
                if whole {
                    return Err(error);
                }
                passed_over(collection.name(), failed.len() + 1, &error);
            }
            if values.len() >= wanted || found < options.limit.map_or(usize::MAX, size) {
                break;
            }
            options.skip = Some(options.skip.unwrap_or(0) + found as u64);
            options.limit = Some(PAGE);
        }
        values.truncate(wanted);
        Ok(values)
    }
}

impl<'c, T: DeserializeOwned + Unpin + Send + Sync + 'c> IntoFuture for Find<'c, T> {
    type Output = Result<Vec<T>, StoreError>;
    type IntoFuture = BoxFuture<'c, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        self.shown(|value| value).boxed()
    }
}

/// What a stream reads, and how.
struct Rows<T: Send + Sync> {
    cursor: Cursor<RawDocumentBuf>,
    /// What the cursor gave and nobody has taken.
    read: VecDeque<RawDocumentBuf>,
    collection: Collection<T>,
    whole: bool,
}

async fn next<T>(mut rows: Rows<T>) -> Result<Option<(T, Rows<T>)>, StoreError>
where
    T: DeserializeOwned + Unpin + Send + Sync,
{
    loop {
        if rows.read.is_empty() {
            // What is here already is never waited for, and a thread has others to serve.
            tokio::task::yield_now().await;
            rows.collection.bounded(read_on(&mut rows.cursor, &mut rows.read)).await?;
        }
        let Some(document) = rows.read.pop_front() else { return Ok(None) };
        match rows.collection.read(&document) {
            Ok(value) => return Ok(Some((value, rows))),
            Err(error) if rows.whole => return Err(error),
            Err(error) => passed_over(rows.collection.name(), 1, &error),
        }
    }
}

/// Reads some, in one turn: most of them are here already.
async fn read_on(cursor: &mut Cursor<RawDocumentBuf>, read: &mut VecDeque<RawDocumentBuf>) -> Result<(), Error> {
    let mut bytes = 0;
    while read.len() < STEP
        && bytes < STEP_BYTES
        && let Some(document) = cursor.try_next().await?
    {
        bytes += document.as_bytes().len();
        read.push_back(document);
    }
    Ok(())
}

fn size(limit: i64) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

/// Tells of documents that were passed over, and why the last of them was.
pub(super) fn passed_over(collection: &str, documents: usize, error: &StoreError) {
    counter!("documents_unreadable_total", "collection" => collection.to_owned()).increment(documents as u64);
    tracing::warn!(%error, collection, documents, "documents that cannot be read are passed over");
}
