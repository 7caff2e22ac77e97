//! API keys: made by people, exchanged by machines for access tokens.

use std::collections::BTreeSet;

use common::events::{By, UserEvent};
use common::id::{ApiKeyId, UserId};
use common::store::{Change, StoreError, Versioned};
use secrecy::SecretString;

use crate::Auth;
use crate::access_token::{self, SigningError};
use crate::api_key::{ApiKey, PresentedKey, Scope};
use crate::display_name::DisplayName;
use crate::store::{has_api_keys, live_api_keys, note_use};

/// The most keys of one owner that have not ended.
const MOST_KEYS: u64 = 100;

/// Why a key was not taken or not found.
#[derive(Debug, thiserror::Error)]
pub enum ApiKeyError {
    /// It is unknown or was taken back, its owner may not sign in, or has replaced the password since.
    #[error("the API key is not good")]
    Refused,
    /// There is no such key, or it is somebody else's.
    #[error("there is no such key")]
    NotFound,
    /// Its owner has as many as one may have.
    #[error("there are {MOST_KEYS} API keys of one owner at most")]
    TooMany,
    /// The access token could not be signed.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Auth {
    /// Makes a key, and the text that is shown this once.
    pub(crate) async fn create_api_key(
        &self,
        owner: UserId,
        name: DisplayName,
        scopes: BTreeSet<Scope>,
    ) -> Result<(Versioned<ApiKey>, SecretString), ApiKeyError> {
        let user = self.users.get(owner).await?.ok_or(ApiKeyError::NotFound)?.value;
        if has_api_keys(&self.api_keys, owner, MOST_KEYS).await? {
            return Err(ApiKeyError::TooMany);
        }
        let (key, created, shown) = ApiKey::create(&user, name, scopes, self.clock.now());
        let key = self.api_keys.insert(key, UserEvent::from(created).by(owner)).await?;
        Ok((key, shown))
    }

    /// Takes back one of somebody's own keys.
    pub(crate) async fn revoke_api_key(&self, key: ApiKeyId, owner: UserId) -> Result<(), ApiKeyError> {
        let found = self.api_keys.get(key).await?.filter(|key| key.value.user_id == owner);
        found.ok_or(ApiKeyError::NotFound)?;
        Ok(self.end_api_key(key, owner).await?)
    }

    /// Takes back all of somebody's keys.
    pub(crate) async fn end_api_keys_of(&self, owner: UserId) -> Result<(), StoreError> {
        const BATCH: i64 = 100;
        loop {
            let keys = live_api_keys(&self.api_keys, owner, BATCH).await?;
            if keys.is_empty() {
                return Ok(());
            }
            for key in keys {
                self.end_api_key(key.value.id, owner).await?;
            }
        }
    }

    async fn end_api_key(&self, key: ApiKeyId, owner: UserId) -> Result<(), StoreError> {
        let now = self.clock.now();
        let revoked = self.api_keys.advance(key, |current| {
            let (next, event) = current.value.revoke(now)?;
            Some(Change::new(next, UserEvent::from(event).by(owner)))
        });
        revoked.await.map(drop)
    }

    /// An access token for the machine that presents a key.
    pub(crate) async fn exchange_api_key(&self, presented: &str) -> Result<String, ApiKeyError> {
        let presented = PresentedKey::parse(presented).ok_or(ApiKeyError::Refused)?;
        let key = self.api_keys.get(presented.id).await?.map(|key| key.value);
        let key = key.filter(|key| key.admits(&presented)).ok_or(ApiKeyError::Refused)?;
        let owner = self.users.get(key.user_id).await?.filter(|user| user.value.is_active() && key.is_of(&user.value));
        let owner = owner.ok_or(ApiKeyError::Refused)?;
        let now = self.clock.now();
        let claims = access_token::claims(&owner, key.session(), Some(key.scope_claim()), now);
        let token = self.keyring.sign(&claims)?;
        if let Err(error) = note_use(&self.api_keys, &key, now).await {
            tracing::warn!(%error, key = %key.id, "it is not noted that a key was used");
        }
        Ok(token)
    }
}
