//! The signing keys at hand: taken from the database, rotated by a job.

use std::sync::{Arc, PoisonError, RwLock};

use common::clock::SharedClock;
use common::http::auth::Claims;
use common::service::{JobError, StartError};
use serde::Serialize;

use crate::access_token::{self, SigningError};
use crate::signing_key::{self, SigningKey};
use crate::store::SigningKeys;

/// The keys that sign, or have signed what is still good.
pub struct Keyring {
    store: SigningKeys,
    clock: SharedClock,
    keys: RwLock<Arc<Vec<SigningKey>>>,
}

impl Keyring {
    /// The keys in the database; the first one is made here.
    ///
    /// # Errors
    /// If the database does not answer or a key cannot be made.
    pub async fn open(store: SigningKeys, clock: SharedClock) -> Result<Self, StartError> {
        let keyring = Self { store, clock, keys: RwLock::default() };
        keyring.rotate().await.map_err(StartError::other)?;
        Ok(keyring)
    }

    /// One turn of the rotation: takes back what nobody needs, makes what is due, learns what other replicas made.
    ///
    /// # Errors
    /// If the database does not answer or a key cannot be made.
    pub async fn rotate(&self) -> Result<(), JobError> {
        let now = self.clock.now();
        let keys = self.store.all().await?;
        if let Some(place) = signing_key::due(&keys, now) {
            self.store.insert_if_absent(&SigningKey::generate(place)?).await?;
            tracing::info!(generation = place.generation, signs_from = %place.signs_from, "a signing key was published");
        }
        self.store.remove_below(signing_key::oldest_needed(&keys, now)).await?;
        let keys = Arc::new(self.store.all().await?);
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }

    /// Signs an access token.
    ///
    /// # Errors
    /// [`SigningError`].
    pub fn sign(&self, claims: &Claims) -> Result<String, SigningError> {
        let keys = self.keys();
        let signer = signing_key::signer(&keys, self.clock.now()).ok_or(SigningError::NoKey)?;
        access_token::sign(claims, signer)
    }

    /// The public halves, for those who verify.
    pub fn published(&self) -> JwkSet {
        JwkSet { keys: self.keys().iter().map(Jwk::from).collect() }
    }

    fn keys(&self) -> Arc<Vec<SigningKey>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A JSON Web Key Set (RFC 7517).
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct JwkSet {
    /// The keys.
    pub keys: Vec<Jwk>,
}

/// A public Ed25519 key as RFC 8037 writes it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Jwk {
    kty: &'static str,
    crv: &'static str,
    alg: &'static str,
    r#use: &'static str,
    kid: String,
    x: String,
}

impl From<&SigningKey> for Jwk {
    fn from(key: &SigningKey) -> Self {
        Self { kty: "OKP", crv: "Ed25519", alg: "EdDSA", r#use: "sig", kid: key.kid.clone(), x: key.public.clone() }
    }
}
