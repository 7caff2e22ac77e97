use std::time::Duration;

use bson::doc;
use common::clock::Time;
use common::id::MailId;
use common::store::{Collection, Database, StoreError};
use serde::{Deserialize, Serialize};

use crate::email::TypedEmail;

/// While one process looks after a request no other does.
const CLAIM: Duration = Duration::from_secs(30);

/// Somebody forgot the password of an account that there may or may not be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResetRequest {
    #[serde(rename = "_id")]
    id: MailId,
    /// The address that was given.
    pub email: TypedEmail,
    due_at: Time,
    /// Whether somebody has looked after it before, and so counted its letter.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub counted: bool,
}

impl ResetRequest {
    /// A request to be looked after at once.
    pub fn new(email: TypedEmail, now: Time) -> Self {
        Self { id: MailId::generate(now), email, due_at: now, counted: false }
    }
}

/// The requests that nobody has looked after. They raise no events, as they need not be about anybody.
#[derive(Clone, Debug)]
pub struct ResetRequests {
    collection: Collection<ResetRequest>,
}

impl ResetRequests {
    /// The collection's name.
    pub const COLLECTION: &str = "reset_requests";

    /// The requests in auth's database.
    pub fn new(database: &Database) -> Self {
        Self { collection: database.collection(Self::COLLECTION) }
    }

    /// Keeps a new one.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn insert(&self, request: &ResetRequest) -> Result<(), StoreError> {
        self.collection.insert_one(request).await
    }

    /// Those that wait, the oldest first, `limit` at most.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn due(&self, now: Time, limit: i64) -> Result<Vec<ResetRequest>, StoreError> {
        self.collection.find(doc! { "dueAt": { "$lte": now } }).sort(doc! { "dueAt": 1 }).limit(limit).await
    }

    /// Takes it out of others' sight for a while; false if another process was faster.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn claim(&self, request: &ResetRequest, now: Time) -> Result<bool, StoreError> {
        let seen = doc! { "_id": request.id, "dueAt": request.due_at };
        let claimed =
            self.collection.update_one(seen, doc! { "$set": { "dueAt": now + CLAIM, "counted": true } }).await?;
        Ok(claimed.modified_count == 1)
    }

    /// Forgets one that has been looked after.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn remove(&self, request: &ResetRequest) -> Result<(), StoreError> {
        self.collection.delete_one(doc! { "_id": request.id }).await?;
        Ok(())
    }
}
