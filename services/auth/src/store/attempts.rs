use std::collections::HashMap;
use std::time::Duration;

use bson::{Bson, Document, doc};
use common::clock::Time;
use common::store::{Collection, Database, StoreError};
use futures::future::try_join_all;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::limits::{Counted, Limit};

/// How often it is counted again after another process began the same count at the same moment.
const TRIES: usize = 4;
/// How long somebody waits for whom nothing is left while tries are under way. By then it is known how they ended.
const UNDER_WAY: Duration = Duration::from_secs(2);

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Window {
    #[serde(rename = "_id")]
    id: String,
    count: i64,
    ends_at: Time,
    /// When the window ends in which the last try that the limit allows has failed. Before that, tries under way may be taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    used_up: Option<Time>,
}

impl Window {
    /// How long to wait when the limit is reached.
    fn wait(&self, now: Time) -> Duration {
        let rest = self.ends_at.since(now);
        if self.used_up == Some(self.ends_at) { rest } else { rest.min(UNDER_WAY) }
    }

    /// This very window, and none that began later.
    fn itself(&self) -> Document {
        doc! { "_id": &self.id, "endsAt": self.ends_at }
    }
}

/// A try that was counted under a limit before it is known how it ends.
#[derive(Clone, Debug)]
pub struct Try {
    most: i64,
    /// As it was with this try.
    window: Window,
}

impl Try {
    /// How long to wait, if one of these was one too many.
    pub fn wait(tries: &[Self], now: Time) -> Option<Duration> {
        let too_many = tries.iter().filter(|counted| counted.window.count > counted.most);
        too_many.map(|counted| counted.window.wait(now)).max()
    }
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

    /// Counts one more try under each limit, of which it is not known yet how it ends. Each is counted in the database before anybody looks
    /// at it, so of many at once no more are looked at than there may be.
    ///
    /// # Errors
    /// If the database does not answer. What was counted then counts until its window ends.
    pub async fn begin(&self, of: &[Counted], now: Time) -> Result<Vec<Try>, StoreError> {
        let begun = of.iter().map(|(limit, who)| async move {
            let window = self.count_in_window(&id(limit, who), now, now + limit.window).await?;
            Ok(Try { most: limit.most, window })
        });
        try_join_all(begun).await
    }

    /// Takes tries back that were none: they do not count any more, where they were counted.
    ///
    /// # Errors
    /// If the database does not answer. What is not taken back counts until its window ends.
    pub async fn take_back(&self, tries: &[Try]) -> Result<(), StoreError> {
        let windows: Vec<Document> = tries.iter().map(|counted| counted.window.itself()).collect();
        if !windows.is_empty() {
            self.collection.update_many(doc! { "$or": windows }, doc! { "$inc": { "count": -1_i64 } }).await?;
        }
        Ok(())
    }

    /// Notes that tries have failed. Answers, in their order, of which limits nothing is left by it; it is said once in a window.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn fail(&self, tries: &[Try]) -> Result<Vec<bool>, StoreError> {
        let used_up = tries.iter().map(|counted| async move {
            let Try { most, window } = counted;
            if window.count < *most {
                return Ok(false);
            }
            // Unless others were taken back meanwhile: then whoever is the last after that says so.
            let mut reached = window.itself();
            reached.extend(doc! { "count": { "$gte": *most }, "usedUp": { "$ne": window.ends_at } });
            let set = doc! { "$set": { "usedUp": window.ends_at } };
            Ok(self.collection.update_one(reached, set).await?.modified_count == 1)
        });
        try_join_all(used_up).await
    }

    /// How long to wait until nothing is reached, for each limit in their order; `None` where it is not reached.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn waits(&self, of: &[Counted], now: Time) -> Result<Vec<Option<Duration>>, StoreError> {
        let ids: Vec<String> = of.iter().map(|(limit, who)| id(limit, who)).collect();
        let open = doc! { "_id": { "$in": &ids }, "endsAt": { "$gt": now } };
        // A count that cannot be read lets nobody in.
        let windows = self.collection.find(open).whole().await?;
        let windows: HashMap<&str, &Window> = windows.iter().map(|window| (window.id.as_str(), window)).collect();
        let reached = ids.iter().zip(of).map(|(id, (limit, _))| {
            windows.get(id.as_str()).filter(|window| window.count >= limit.most).map(|window| window.wait(now))
        });
        Ok(reached.collect())
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
