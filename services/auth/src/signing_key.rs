//! The keys that sign access tokens, and when each of them is published, signs and is taken back.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use common::clock::Time;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::access_token;

/// How long a key signs.
pub const SIGNS_FOR: Duration = Duration::from_secs(30 * 24 * 3600);

/// How long before it signs a key is published: longer than any verifier or cache keeps an old list.
pub const PUBLISHED_AHEAD: Duration = Duration::from_secs(10 * 60);

/// How long after its last signature a key stays published: until all its tokens have expired, with clocks apart.
pub const STAYS_FOR: Duration = Duration::from_secs(access_token::LIFETIME.as_secs() + 5 * 60);

/// A key cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("signing key: {0}")]
pub struct KeyError(String);

/// An Ed25519 key pair with its place in the rotation.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SigningKey {
    /// Counts the keys: of two replicas that make the same generation, one is refused by the database.
    #[serde(rename = "_id")]
    pub generation: i64,
    /// Its id in tokens: its RFC 7638 thumbprint.
    pub kid: String,
    /// The public half, as `x` of a JWK.
    pub public: String,
    private: PrivateKey,
    /// From when on it signs.
    pub signs_from: Time,
}

/// A private key in PKCS#8 DER, base64; it never shows in logs.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
struct PrivateKey(String);

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey([redacted])")
    }
}

impl SigningKey {
    /// A new key from the machine's random source.
    ///
    /// # Errors
    /// [`KeyError`] if it has no PKCS#8 form.
    pub fn generate(place: Place) -> Result<Self, KeyError> {
        let mut seed = [0_u8; 32];
        rand::fill(&mut seed);
        let pair = ed25519_dalek::SigningKey::from_bytes(&seed);
        let pkcs8 = pair.to_pkcs8_der().map_err(|error| KeyError(error.to_string()))?;
        let public = BASE64_URL_SAFE_NO_PAD.encode(pair.verifying_key().as_bytes());
        Ok(Self {
            generation: place.generation,
            kid: thumbprint(&public),
            public,
            private: PrivateKey(BASE64_STANDARD.encode(pkcs8.as_bytes())),
            signs_from: place.signs_from,
        })
    }

    /// The private half in PKCS#8 DER.
    ///
    /// # Errors
    /// [`KeyError`] if what is stored is none.
    pub fn pkcs8(&self) -> Result<Vec<u8>, KeyError> {
        let der = BASE64_STANDARD.decode(&self.private.0).map_err(|error| KeyError(error.to_string()))?;
        ed25519_dalek::SigningKey::from_pkcs8_der(&der).map_err(|error| KeyError(error.to_string()))?;
        Ok(der)
    }
}

fn thumbprint(public: &str) -> String {
    let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{public}"}}"#);
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(members))
}

/// Where a new key stands in the rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which in the row of keys it is, from 1.
    pub generation: i64,
    /// From when on it signs.
    pub signs_from: Time,
}

/// The place of the key that is to be made now, if one is.
pub fn due(keys: &[SigningKey], now: Time) -> Option<Place> {
    let Some(newest) = keys.iter().max_by_key(|key| key.generation) else {
        return Some(Place { generation: 1, signs_from: now });
    };
    let successor = Place { generation: newest.generation + 1, signs_from: now + PUBLISHED_AHEAD };
    (now + PUBLISHED_AHEAD >= newest.signs_from + SIGNS_FOR).then_some(successor)
}

/// The key that signs now; the oldest, if the clock of who made the first one is ahead of ours.
pub fn signer(keys: &[SigningKey], now: Time) -> Option<&SigningKey> {
    let begun = keys.iter().filter(|key| key.signs_from <= now).max_by_key(|key| key.generation);
    begun.or_else(|| keys.iter().min_by_key(|key| key.generation))
}

/// The generation below which no key is needed any more: their successors have signed for long enough.
pub fn oldest_needed(keys: &[SigningKey], now: Time) -> i64 {
    let settled = keys.iter().filter(|key| key.signs_from + STAYS_FOR <= now);
    settled.map(|key| key.generation).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use common::clock::{Clock, ManualClock};

    use super::*;

    const START: Time = Time::from_millis(1_795_000_000_000);

    /// One turn of the job: takes back what is not needed, makes what is due.
    fn turn(keys: &mut Vec<SigningKey>, now: Time) {
        let oldest = oldest_needed(keys, now);
        keys.retain(|key| key.generation >= oldest);
        keys.extend(due(keys, now).map(|place| SigningKey::generate(place).unwrap()));
    }

    #[test]
    fn the_first_key_signs_at_once() {
        let mut keys = Vec::new();
        turn(&mut keys, START);
        turn(&mut keys, START);
        assert_eq!(keys.len(), 1);
        assert_eq!(signer(&keys, START).unwrap().generation, 1);
    }

    #[test]
    fn a_rotation_publishes_first_then_signs_then_takes_back() {
        let clock = ManualClock::at(START);
        let mut keys = Vec::new();
        let mut look = |after: Duration| {
            clock.advance(after);
            turn(&mut keys, clock.now());
            (keys.iter().map(|key| key.generation).collect::<Vec<_>>(), signer(&keys, clock.now()).unwrap().generation)
        };
        let moment = Duration::from_secs(1);
        assert_eq!(look(Duration::ZERO), (vec![1], 1));
        assert_eq!(look(SIGNS_FOR - PUBLISHED_AHEAD - moment), (vec![1], 1));
        assert_eq!(look(moment), (vec![1, 2], 1), "published, but not signing yet");
        assert_eq!(look(PUBLISHED_AHEAD), (vec![1, 2], 2), "signing, while the old tokens live");
        assert_eq!(look(STAYS_FOR - moment), (vec![1, 2], 2));
        assert_eq!(look(moment), (vec![2], 2), "the old tokens have expired");
    }

    #[test]
    fn after_a_long_sleep_the_old_key_signs_until_the_new_one_is_known() {
        let mut keys = Vec::new();
        turn(&mut keys, START);
        let awake = START + SIGNS_FOR * 3;
        turn(&mut keys, awake);
        assert_eq!(signer(&keys, awake).unwrap().generation, 1);
        assert_eq!(signer(&keys, awake + PUBLISHED_AHEAD).unwrap().generation, 2);
    }

    #[test]
    fn the_key_id_is_the_thumbprint_of_rfc_8037() {
        let public = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        assert_eq!(thumbprint(public), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn the_private_half_does_not_show() {
        let key = SigningKey::generate(Place { generation: 1, signs_from: START }).unwrap();
        assert!(format!("{key:?}").contains("[redacted]"));
        assert!(!key.pkcs8().unwrap().is_empty());
    }
}
