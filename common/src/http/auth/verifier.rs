use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use sha2::{Digest as _, Sha256};
use url::Url;

use super::claims::Proven;
use super::keys::KeySource;
use super::{AUDIENCE, Claims, ISSUER, Principal, Revocations, TOKEN_TYPE, TOKENS_LIVE};
use crate::clock::{SharedClock, Time};
use crate::http::Problem;
use crate::signing::{self, VerifyingKey};

/// A token longer than this is none of ours.
const MAX_TOKEN_LENGTH: usize = 4096;
/// Of so many tokens it is remembered that they were verified; then those that did not come for the longest time are forgotten.
const MAX_VERIFIED: usize = 16_384;
const PAUSE_BETWEEN_FETCHES: Duration = Duration::from_secs(2);

type TokenHash = [u8; 32];

/// What tokens proved that were verified, by their hashes.
pub(super) type Verified = Cache<TokenHash, Proven>;

/// An empty memory. Whether a token has ended is looked at each time; the time to live only makes room.
pub(super) fn nothing_verified() -> Verified {
    let memory = Cache::builder().max_capacity(MAX_VERIFIED as u64).eviction_policy(EvictionPolicy::lru());
    // Each growth would move all that is in it.
    memory.initial_capacity(MAX_VERIFIED).time_to_live(TOKENS_LIVE).build()
}

/// A set of published keys, and what was verified with it: new keys begin with an empty memory.
pub(super) struct Keys {
    pub(super) by_kid: HashMap<String, VerifyingKey>,
    pub(super) fetched_at: Time,
    pub(super) verified: Verified,
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
}

impl Verifier {
    /// A verifier with the keys published at `jwks_url`; they are fetched when first needed.
    pub fn new(jwks_url: Url, clock: SharedClock) -> Arc<Self> {
        Self::with_pause(jwks_url, clock, PAUSE_BETWEEN_FETCHES)
    }

    /// The same with another pause between two attempts to fetch keys.
    pub fn with_pause(jwks_url: Url, clock: SharedClock, pause: Duration) -> Arc<Self> {
        let keys = KeySource::new(jwks_url, crate::http::client(), clock.clone(), pause);
        Arc::new(Self { keys, revocations: Revocations::new(clock.clone()), clock })
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
        let proven = self.proven(token).await?;
        if !proven.covers(self.clock.now()) {
            return Err(TokenError::Refused("expired"));
        }
        if self.revocations.refuse(&proven.principal) {
            return Err(TokenError::Refused("revoked"));
        }
        Ok(proven.principal)
    }

    async fn proven(&self, token: &str) -> Result<Proven, TokenError> {
        if token.len() > MAX_TOKEN_LENGTH {
            return Err(TokenError::Refused("too long"));
        }
        let hash: TokenHash = Sha256::digest(token).into();
        if let Some(proven) = self.keys.fresh().and_then(|keys| keys.verified.get(&hash)) {
            return Ok(proven);
        }
        let header = signing::header(TOKEN_TYPE, token).map_err(|_| TokenError::Refused("header"))?;
        let kid = header.kid.ok_or(TokenError::Refused("no key id"))?;
        let keys = self.keys.with_kid(&kid).await?;
        let key = keys.by_kid.get(&kid).ok_or(TokenError::Refused("unknown key"))?;
        let claims: Claims = key.claims(token).map_err(|_| TokenError::Refused("signature or claims"))?;
        if (claims.iss.as_str(), claims.aud.as_str()) != (ISSUER, AUDIENCE) {
            return Err(TokenError::Refused("issuer or audience"));
        }
        let proven = Proven::from(claims);
        keys.verified.insert(hash, proven.clone());
        Ok(proven)
    }
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Time;
    use crate::http::Role;
    use crate::id::{SessionId, UserId};

    #[test]
    fn the_memory_is_bounded_and_keeps_those_who_came_last() {
        let now = Time::from_millis(1_790_000_000_000);
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: UserId::generate(now),
            sid: SessionId::generate(now),
            role: Role::Member,
            uv: 1,
            email: None,
            name: None,
            verified: false,
            scope: None,
            iat: now.seconds(),
            exp: now.seconds() + 600,
            jti: "1".to_owned(),
        };
        let hash = |nth: u64| -> TokenHash { Sha256::digest(nth.to_le_bytes()).into() };
        let memory = nothing_verified();
        for nth in 0..2 * MAX_VERIFIED as u64 {
            memory.insert(hash(nth), Proven::from(claims.clone()));
        }
        memory.run_pending_tasks();
        assert_eq!(memory.entry_count(), MAX_VERIFIED as u64);
        assert!(memory.contains_key(&hash(2 * MAX_VERIFIED as u64 - 1)) && !memory.contains_key(&hash(0)));
    }
}
