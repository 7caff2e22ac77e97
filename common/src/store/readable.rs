//! Lists of documents of which some cannot be read.
//!
//! A later build writes documents that this one cannot read, and such a one must not keep the others from being listed or looked
//! after. It is passed over, counted, and told of in the log, and the page is filled with what stands behind it. A page that
//! is still not full after [`PAGES`] reads stays as it is.

use bson::raw::{RawDocument, RawDocumentBuf};
use futures::TryStreamExt;
use metrics::counter;
use serde::de::DeserializeOwned;

use super::database::{Find, bounded};
use super::limit::PATIENCE;
use super::{Collection, StoreError};

/// How many documents are read at a time behind a page in which some could not be read, and how many times.
const PAGE: i64 = 256;
const PAGES: usize = 16;

impl<T: DeserializeOwned + Unpin + Send + Sync> Find<'_, T> {
    /// Those that can be read, as many as are wanted if there are.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn readable(self) -> Result<Vec<T>, StoreError> {
        self.read_by(|document| Ok(bson::deserialize_from_slice(document.as_bytes())?)).await
    }

    /// The same, of what `read` makes of a document.
    pub(super) async fn read_by<V>(
        self,
        read: impl Fn(&RawDocument) -> Result<V, StoreError>,
    ) -> Result<Vec<V>, StoreError> {
        let Self { collection, filter, mut options } = self;
        let documents: Collection<RawDocumentBuf> = collection.clone_with_type();
        options.max_time = Some(PATIENCE);
        options.limit = options.limit.filter(|limit| *limit > 0);
        let wanted = options.limit.map_or(usize::MAX, size);
        let mut values = Vec::new();
        for _ in 0..PAGES {
            let (filter, options_of_page) = (filter.clone(), options.clone());
            // The driver's future is large, and lists are read within others.
            let found = Box::pin(async {
                documents.driver.find(filter).with_options(options_of_page).await?.try_collect().await
            });
            let page: Vec<RawDocumentBuf> = bounded(found).await?;
            let (before, asked) = (values.len(), options.limit.map_or(usize::MAX, size));
            let mut last = None;
            for document in &page {
                match read(document) {
                    Ok(value) => values.push(value),
                    Err(error) => last = Some(error),
                }
            }
            if let Some(error) = last {
                passed_over(collection.name(), page.len() + before - values.len(), &error);
            }
            if values.len() >= wanted || page.len() < asked {
                break;
            }
            options.skip = Some(options.skip.unwrap_or(0) + page.len() as u64);
            options.limit = Some(PAGE);
        }
        values.truncate(wanted);
        Ok(values)
    }
}

fn size(limit: i64) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

/// Tells of documents that were passed over, and why the last of them was.
fn passed_over(collection: &str, documents: usize, error: &StoreError) {
    counter!("documents_unreadable_total", "collection" => collection.to_owned()).increment(documents as u64);
    tracing::warn!(%error, collection, documents, "documents that cannot be read are passed over");
}
