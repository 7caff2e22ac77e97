use std::time::Duration;

use bson::{Bson, doc};
use common::clock::Time;
use common::store::StoreError;
use mongodb::options::ReturnDocument;
use mongodb::{Collection, Database};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::limits::Limit;

/// How often it is counted again after another process began the same count at the same moment.
const TRIES: usize = 4;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Window {
    #[serde(rename = "_id")]
    id: String,
    count: i64,
    ends_at: Time,
}

/// How often what was tried, in which window of time. The database counts, so that the replicas count together.
#[derive(Clone, Debug)]
pub struct Attempts {
    collection: Collection<Window>,
}

impl Attempts {
    /// The collection's name.
    pub const COLLECTION: &str = "attempts";

    /// The counts in auth's database.
    pub fn new(database: &Database) -> Self {
        Self { collection: database.collection(Self::COLLECTION) }
    }

    /// Counts one more try of `who`. If it is one too many, answers how long to wait.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn count(&self, limit: &Limit, who: &str, now: Time) -> Result<Option<Duration>, StoreError> {
        // Only the hash, as who tries may be an address that nobody here knows.
        let id = format!("{}:{}", limit.name, hex::encode(Sha256::digest(who.as_bytes())));
        let Window { count, ends_at, .. } = self.count_in_window(&id, now, now + limit.window).await?;
        Ok((count > limit.most).then(|| ends_at.since(now)))
    }

    /// Counts in the window that is open, else in a new one that ends at `end`. One command, so that none is counted twice.
    async fn count_in_window(&self, id: &str, now: Time, end: Time) -> Result<Window, StoreError> {
        let open = |then: Bson, otherwise: Bson| doc! { "$cond": [{ "$gt": ["$endsAt", now] }, then, otherwise] };
        let count = open(doc! { "$add": ["$count", 1_i64] }.into(), 1_i64.into());
        let change = vec![doc! { "$set": { "count": count, "endsAt": open("$endsAt".into(), end.into()) } }];
        for _ in 0..TRIES {
            let counted = self.collection.find_one_and_update(doc! { "_id": id }, change.clone()).upsert(true);
            match counted.return_document(ReturnDocument::After).await.map_err(StoreError::from) {
                Ok(counted) => return counted.ok_or(StoreError::Conflict),
                Err(StoreError::Exists) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Conflict)
    }
}
