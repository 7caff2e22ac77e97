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

    /// Marks it as used at `now`, unless it is marked already: the time of the first use counts. Answers false if it has been
    /// superseded meanwhile.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn use_up(&self, hash: &SecretHash, now: Time) -> Result<bool, StoreError> {
        let unused = doc! { "_id": hash.as_str(), "usedAt": Bson::Null, "supersededAt": { "$exists": false } };
        if self.collection.update_one(unused, doc! { "$set": { "usedAt": now } }).await?.matched_count > 0 {
            return Ok(true);
        }
        Ok(self.get(hash).await?.is_some_and(|token| token.superseded_at.is_none()))
    }

    /// Those that were given for a token.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn successors(&self, of: &SecretHash) -> Result<Vec<RefreshToken>, StoreError> {
        // One that cannot be read may have been used.
        self.collection.find(doc! { "from": of.as_str() }).whole().await
    }

    /// Marks these as superseded at `now`. Answers false if one was used meanwhile.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn supersede(&self, tokens: &[RefreshToken], now: Time) -> Result<bool, StoreError> {
        for token in tokens.iter().filter(|token| token.superseded_at.is_none()) {
            let unused = doc! { "_id": token.hash.as_str(), "usedAt": Bson::Null };
            if self.collection.update_one(unused, doc! { "$set": { "supersededAt": now } }).await?.matched_count == 0 {
                return Ok(false);
            }
        }
        Ok(true)
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
