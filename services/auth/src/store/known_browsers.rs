use bson::doc;
use common::clock::Time;
use common::store::{Collection, Database, StoreError};

use crate::email::TypedEmail;
use crate::known_browsers::KnownBrowser;
use crate::secret::Secret;
use crate::user::User;

/// Browsers in which somebody has signed in, by the hashes of what they keep.
#[derive(Clone, Debug)]
pub struct KnownBrowsers {
    collection: Collection<KnownBrowser>,
}

impl KnownBrowsers {
    /// The collection's name.
    pub const COLLECTION: &str = "known_browsers";

    /// The browsers in auth's database.
    pub fn new(database: &Database) -> Self {
        Self { collection: database.collection(Self::COLLECTION) }
    }

    /// What is kept of a browser and an address.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn get(&self, browser: &Secret, email: &TypedEmail) -> Result<Option<KnownBrowser>, StoreError> {
        self.collection.find_one(doc! { "_id": KnownBrowser::hash(browser, email).as_str() }).await
    }

    /// Notes that somebody has signed in with a browser.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn note(&self, browser: &Secret, user: &User, now: Time) -> Result<(), StoreError> {
        let known = KnownBrowser::of(browser, user, now);
        let state = doc! { "passwordChanges": known.password_changes, "expiresAt": known.expires_at };
        let only = doc! { "_id": known.hash.as_str() };
        match self.collection.upsert_and_get(only, vec![doc! { "$set": state }]).await {
            // Another tab has signed in at the same moment, and noted the same.
            Ok(_) | Err(StoreError::Exists) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
