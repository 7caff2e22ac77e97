use std::collections::HashMap;

use bson::{Bson, doc};
use common::clock::Time;
use common::id::SessionId;
use common::store::{Collection, Database, StoreError};

use crate::refresh_token::RefreshToken;
use crate::secret::SecretHash;

/// The refresh tokens, by their hashes. They raise no events: to others it matters only when a session begins and ends.
#[derive(Clone, Debug)]
pub struct RefreshTokens {
    collection: Collection<RefreshToken>,
}

impl RefreshTokens {
    /// The collection's name.
    pub const COLLECTION: &str = "refresh_tokens";

    /// The tokens in auth's database.
    pub fn new(database: &Database) -> Self {
        Self { collection: database.collection(Self::COLLECTION) }
    }

    /// Keeps a new one.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn insert(&self, token: &RefreshToken) -> Result<(), StoreError> {
        self.collection.insert_one(token).await
    }

    /// The token with this hash.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn get(&self, hash: &SecretHash) -> Result<Option<RefreshToken>, StoreError> {
        self.collection.find_one(doc! { "_id": hash.as_str() }).await
    }

    /// Marks it as used at `now`, unless it is marked already: the time of the first use counts.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn use_up(&self, hash: &SecretHash, now: Time) -> Result<(), StoreError> {
        let unused = doc! { "_id": hash.as_str(), "usedAt": Bson::Null };
        self.collection.update_one(unused, doc! { "$set": { "usedAt": now } }).await?;
        Ok(())
    }

    /// When each of these sessions got its unused token, which is when it was last refreshed. Sessions that can no longer be
    /// refreshed are left out.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn last_refreshed(
        &self,
        sessions: &[SessionId],
        now: Time,
    ) -> Result<HashMap<SessionId, Time>, StoreError> {
        let filter =
            doc! { "sessionId": { "$in": sessions.to_vec() }, "usedAt": Bson::Null, "expiresAt": { "$gt": now } };
        let tokens = self.collection.find(filter).await?;
        Ok(tokens.into_iter().fold(HashMap::new(), |mut times, token| {
            let latest = times.entry(token.session_id).or_insert(token.issued_at);
            *latest = token.issued_at.max(*latest);
            times
        }))
    }
}
