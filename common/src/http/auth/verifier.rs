use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::keys::KeySource;
use super::{AUDIENCE, Claims, ISSUER, Principal, Revocations, TOKEN_TYPE};
use crate::clock::{SharedClock, Time};
use crate::http::Problem;

/// A token longer than this is none of ours.
const MAX_TOKEN_LENGTH: usize = 4096;
const MAX_VERIFIED: usize = 4096;
const PAUSE_BETWEEN_FETCHES: Duration = Duration::from_secs(2);

type TokenHash = [u8; 32];

/// A set of published keys, and what was verified with it: new keys begin with an empty memory.
pub(super) struct Keys {
    pub(super) by_kid: HashMap<String, DecodingKey>,
    pub(super) fetched_at: Time,
    pub(super) verified: Mutex<HashMap<TokenHash, Claims>>,
}

/// Why a token does not prove anything.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The token is bad; the reason is for the log, not for the client.
    #[error("token refused: {0}")]
    Refused(&'static str),
    /// The keys cannot be had, so nothing can be proven.
    #[error("the keys to verify tokens cannot be had")]
    NoKeys,
}

impl From<TokenError> for Problem {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Refused(_) => Self::unauthenticated().caused_by(error),
            TokenError::NoKeys => Self::unavailable(PAUSE_BETWEEN_FETCHES).caused_by(error),
        }
    }
}

/// Verifies access tokens with the keys the auth service publishes. Without keys it lets nobody in.
pub struct Verifier {
    keys: KeySource,
    revocations: Revocations,
    clock: SharedClock,
    rules: Validation,
}

impl Verifier {
    /// A verifier with the keys published at `jwks_url`; they are fetched when first needed.
    pub fn new(jwks_url: Url, clock: SharedClock) -> Arc<Self> {
        Self::with_pause(jwks_url, clock, PAUSE_BETWEEN_FETCHES)
    }

    /// The same with another pause between two attempts to fetch keys.
    pub fn with_pause(jwks_url: Url, clock: SharedClock, pause: Duration) -> Arc<Self> {
        let keys = KeySource::new(jwks_url, crate::http::client(), clock.clone(), pause);
        Arc::new(Self { keys, revocations: Revocations::new(clock.clone()), clock, rules: rules() })
    }

    /// What ends tokens before their time; to be fed from events.
    pub fn revocations(&self) -> &Revocations {
        &self.revocations
    }

    /// Who the token proves to be asking.
    ///
    /// # Errors
    /// [`TokenError`] if it proves nothing.
    pub async fn verify(&self, token: &str) -> Result<Principal, TokenError> {
        let claims = self.claims(token).await?;
        if !claims.covers(self.clock.now()) {
            return Err(TokenError::Refused("expired"));
        }
        let principal = Principal::from(claims);
        if self.revocations.refuse(&principal) {
            return Err(TokenError::Refused("revoked"));
        }
        Ok(principal)
    }

    async fn claims(&self, token: &str) -> Result<Claims, TokenError> {
        if token.len() > MAX_TOKEN_LENGTH {
            return Err(TokenError::Refused("too long"));
        }
        let hash: TokenHash = Sha256::digest(token).into();
        if let Some(claims) = self.keys.fresh().and_then(|keys| keys.recall(&hash)) {
            return Ok(claims);
        }
        let kid = key_id(token)?;
        let keys = self.keys.with_kid(&kid).await?;
        let key = keys.by_kid.get(&kid).ok_or(TokenError::Refused("unknown key"))?;
        let data = decode::<Claims>(token, key, &self.rules).map_err(|_| TokenError::Refused("signature or claims"))?;
        keys.remember(hash, &data.claims, self.clock.now());
        Ok(data.claims)
    }
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").finish_non_exhaustive()
    }
}

impl Keys {
    fn recall(&self, hash: &TokenHash) -> Option<Claims> {
        self.verified.lock().unwrap_or_else(PoisonError::into_inner).get(hash).cloned()
    }

    fn remember(&self, hash: TokenHash, claims: &Claims, now: Time) {
        let mut verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        if verified.len() >= MAX_VERIFIED {
            verified.retain(|_, claims| claims.covers(now));
        }
        if verified.len() < MAX_VERIFIED {
            verified.insert(hash, claims.clone());
        }
    }
}

fn key_id(token: &str) -> Result<String, TokenError> {
    let header = decode_header(token).map_err(|_| TokenError::Refused("header"))?;
    if header.alg != Algorithm::EdDSA {
        return Err(TokenError::Refused("algorithm"));
    }
    if header.typ.as_deref() != Some(TOKEN_TYPE) {
        return Err(TokenError::Refused("type"));
    }
    header.kid.ok_or(TokenError::Refused("no key id"))
}

fn rules() -> Validation {
    let mut rules = Validation::new(Algorithm::EdDSA);
    rules.set_issuer(&[ISSUER]);
    rules.set_audience(&[AUDIENCE]);
    rules.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
    // The injected clock decides, not the system's.
    rules.validate_exp = false;
    rules
}
