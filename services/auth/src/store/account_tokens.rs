use bson::doc;
use common::store::{Collection, Database, StoreError};

use crate::account_token::AccountToken;
use crate::secret::SecretHash;

/// The tokens that went out by mail, by their hashes. They raise no events: what is done with one does.
#[derive(Clone, Debug)]
pub struct AccountTokens {
    collection: Collection<AccountToken>,
}

impl AccountTokens {
    /// The collection's name.
    pub const COLLECTION: &str = "account_tokens";

    /// The tokens in auth's database.
    pub fn new(database: &Database) -> Self {
        Self { collection: database.collection(Self::COLLECTION) }
    }

    /// Keeps a new one.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn insert(&self, token: &AccountToken) -> Result<(), StoreError> {
        self.collection.insert_one(token).await
    }

    /// The token with this hash.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn get(&self, hash: &SecretHash) -> Result<Option<AccountToken>, StoreError> {
        self.collection.find_one(doc! { "_id": hash.as_str() }).await
    }

    /// Forgets one that was used.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn remove(&self, hash: &SecretHash) -> Result<(), StoreError> {
        self.collection.delete_one(doc! { "_id": hash.as_str() }).await?;
        Ok(())
    }
}
