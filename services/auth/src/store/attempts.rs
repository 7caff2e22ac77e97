use std::collections::HashMap;
use std::time::Duration;

use bson::{Bson, doc};
use common::clock::Time;
use common::store::{Collection, Database, StoreError};
use futures::future::try_join_all;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::limits::{Counted, Limit};

/// How often it is counted again after another process began the same count at the same moment.
const TRIES: usize = 4;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Window {
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
        let Window { count, ends_at, .. } = self.count_in_window(&id(limit, who), now, now + limit.window).await?;
        Ok((count > limit.most).then(|| ends_at.since(now)))
    }

    /// The same under several limits. If it is one too many under any of them, answers how long to wait.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn count_all(&self, of: &[Counted], now: Time) -> Result<Option<Duration>, StoreError> {
        let counted = try_join_all(of.iter().map(|(limit, who)| self.count(limit, who, now))).await?;
        Ok(counted.into_iter().flatten().max())
    }

    /// Counts one more failure under each limit. Answers, in their order, which of them are reached by it.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn count_failure(&self, of: &[Counted], now: Time) -> Result<Vec<bool>, StoreError> {
        let counted = of.iter().map(|(limit, who)| async move {
            let window = self.count_in_window(&id(limit, who), now, now + limit.window).await?;
            Ok::<_, StoreError>(window.count == limit.most)
        });
        try_join_all(counted).await
    }

    /// How long to wait until no limit of failures is reached; `None` if none is.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn wait(&self, of: &[Counted], now: Time) -> Result<Option<Duration>, StoreError> {
        let most: HashMap<String, i64> = of.iter().map(|(limit, who)| (id(limit, who), limit.most)).collect();
        let ids: Vec<&String> = most.keys().collect();
        let open = doc! { "_id": { "$in": ids }, "endsAt": { "$gt": now } };
        // A count that cannot be read lets nobody in.
        let windows = self.collection.find(open).whole().await?;
        let reached =
            windows.into_iter().filter(|window| most.get(&window.id).is_some_and(|most| window.count >= *most));
        Ok(reached.map(|window| window.ends_at.since(now)).max())
    }

    /// Begins to count anew.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn forget(&self, of: &[Counted]) -> Result<(), StoreError> {
        let ids: Vec<String> = of.iter().map(|(limit, who)| id(limit, who)).collect();
        self.collection.delete_many(doc! { "_id": { "$in": ids } }).await?;
        Ok(())
    }

    /// Counts in the window that is open, else in a new one that ends at `end`. One command, so that none is counted twice.
    async fn count_in_window(&self, id: &str, now: Time, end: Time) -> Result<Window, StoreError> {
        let open = |then: Bson, otherwise: Bson| doc! { "$cond": [{ "$gt": ["$endsAt", now] }, then, otherwise] };
        let count = open(doc! { "$add": ["$count", 1_i64] }.into(), 1_i64.into());
        let change = vec![doc! { "$set": { "count": count, "endsAt": open("$endsAt".into(), end.into()) } }];
        for _ in 0..TRIES {
            match self.collection.upsert_and_get(doc! { "_id": id }, change.clone()).await {
                Ok(counted) => return counted.ok_or(StoreError::Conflict),
                Err(StoreError::Exists) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Conflict)
    }
}

/// Only the hash, as who tries may be an address that nobody here knows.
fn id(limit: &Limit, who: &str) -> String {
    format!("{}:{}", limit.name, hex::encode(Sha256::digest(who.as_bytes())))
}
