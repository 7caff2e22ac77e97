use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet};
use reqwest::Client;
use url::Url;

use super::verifier::{Keys, TokenError, nothing_verified};
use crate::clock::{SharedClock, Time};
use crate::signing::VerifyingKey;
use crate::telemetry::stopwatch;

/// Keys older than this are not trusted any more, whether new ones can be had or not.
const MAX_AGE: Duration = Duration::from_secs(3600);
const TIMEOUT: Duration = Duration::from_secs(3);

/// The published keys, fetched when first needed, by one request at a time.
pub(super) struct KeySource {
    url: Url,
    client: Client,
    clock: SharedClock,
    pause: Duration,
    current: RwLock<Option<Arc<Keys>>>,
    last_try: tokio::sync::Mutex<Option<Try>>,
}

struct Try {
    at: tokio::time::Instant,
    worked: bool,
}

impl KeySource {
    pub(super) fn new(url: Url, client: Client, clock: SharedClock, pause: Duration) -> Self {
        Self { url, client, clock, pause, current: RwLock::default(), last_try: tokio::sync::Mutex::default() }
    }

    /// The keys, if there are some that are still trusted.
    pub(super) fn fresh(&self) -> Option<Arc<Keys>> {
        let keys = self.current.read().unwrap_or_else(PoisonError::into_inner).clone();
        keys.filter(|keys| self.clock.now().since(keys.fetched_at) < MAX_AGE)
    }

    /// Keys among which `kid` is; fetched again if it is not among those at hand.
    pub(super) async fn with_kid(&self, kid: &str) -> Result<Arc<Keys>, TokenError> {
        if let Some(keys) = self.having(kid) {
            return Ok(keys);
        }
        let mut last_try = self.last_try.lock().await;
        if let Some(keys) = self.having(kid) {
            return Ok(keys);
        }
        if last_try.as_ref().is_none_or(|last| last.at.elapsed() >= self.pause) {
            let worked = self.fetch().await;
            *last_try = Some(Try { at: stopwatch(), worked });
        }
        match (self.having(kid), &*last_try) {
            (Some(keys), _) => Ok(keys),
            (None, Some(Try { worked: true, .. })) if self.fresh().is_some() => Err(TokenError::Refused("unknown key")),
            _ => Err(TokenError::NoKeys),
        }
    }

    fn having(&self, kid: &str) -> Option<Arc<Keys>> {
        self.fresh().filter(|keys| keys.by_kid.contains_key(kid))
    }

    async fn fetch(&self) -> bool {
        match self.load().await {
            Ok(keys) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(keys));
                true
            }
            Err(error) => {
                tracing::warn!(url = %self.url, error = %error, cause = ?std::error::Error::source(&error), "no token keys");
                false
            }
        }
    }

    async fn load(&self) -> Result<Keys, reqwest::Error> {
        let response = self.client.get(self.url.clone()).timeout(TIMEOUT).send().await?;
        let published: JwkSet = response.error_for_status()?.json().await?;
        Ok(Keys::new(&published, self.clock.now()))
    }
}

impl Keys {
    fn new(published: &JwkSet, fetched_at: Time) -> Self {
        let by_kid: HashMap<_, _> = published.keys.iter().filter_map(ed25519).collect();
        Self { by_kid, fetched_at, verified: nothing_verified() }
    }
}

/// Only Ed25519 keys with an id count, so no token can talk us into another kind of signature.
fn ed25519(jwk: &Jwk) -> Option<(String, VerifyingKey)> {
    let AlgorithmParameters::OctetKeyPair(pair) = &jwk.algorithm else { return None };
    if pair.curve != EllipticCurve::Ed25519 {
        return None;
    }
    Some((jwk.common.key_id.clone()?, VerifyingKey::read(&pair.x).ok()?))
}
