use bson::{Document, doc};
use common::store::{Collection, Database, StoreError};

use crate::signing_key::SigningKey;

/// The signing keys, by their generations.
#[derive(Clone, Debug)]
pub struct SigningKeys {
    collection: Collection<SigningKey>,
}

impl SigningKeys {
    /// The collection's name.
    pub const COLLECTION: &str = "signing_keys";

    /// The keys in auth's database.
    pub fn new(database: &Database) -> Self {
        Self { collection: database.collection(Self::COLLECTION) }
    }

    /// All of them.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn all(&self) -> Result<Vec<SigningKey>, StoreError> {
        self.collection.find(Document::new()).sort(doc! { "_id": 1 }).whole().await
    }

    /// Keeps a new key, unless another replica has made that generation.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn insert_if_absent(&self, key: &SigningKey) -> Result<(), StoreError> {
        match self.collection.insert_one(key).await {
            Ok(()) | Err(StoreError::Exists) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Forgets the generations below `oldest`.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn remove_below(&self, oldest: i64) -> Result<(), StoreError> {
        self.collection.delete_many(doc! { "_id": { "$lt": oldest } }).await?;
        Ok(())
    }
}
