//! Opaque secrets: 256 random bits that are shown once and kept only as a hash.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

const BYTES: usize = 32;

/// A secret as its holder has it.
#[derive(Clone, Debug)]
pub struct Secret(SecretString);

impl Secret {
    /// A new one from the machine's random source.
    pub fn generate() -> Self {
        let mut bytes = [0_u8; BYTES];
        rand::fill(&mut bytes);
        Self(BASE64_URL_SAFE_NO_PAD.encode(bytes).into())
    }

    /// Reads what somebody presents; `None` if it cannot be one.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        (bytes.len() == BYTES).then(|| Self(text.into()))
    }

    /// The text that its holder is given.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// What is kept. No slow hash is needed: 256 random bits cannot be guessed.
    pub fn hash(&self) -> SecretHash {
        SecretHash(hex::encode(Sha256::digest(self.expose().as_bytes())))
    }

    /// What is kept of a secret that has several holders: none can be told from another's.
    pub fn hash_for(&self, holder: &str) -> SecretHash {
        let both = Sha256::new_with_prefix(self.expose().as_bytes()).chain_update(b" ").chain_update(holder.as_bytes());
        SecretHash(hex::encode(both.finalize()))
    }
}

/// SHA-256 of a secret in hexadecimal.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretHash(String);

impl SecretHash {
    /// The hash as text, the id under which it is found.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PartialEq for SecretHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_known_again_by_its_hash() {
        let secret = Secret::generate();
        assert_eq!(Secret::parse(secret.expose()).unwrap().hash(), secret.hash());
        assert_ne!(Secret::generate().hash(), secret.hash());
        assert!(!format!("{secret:?}").contains(secret.expose()));
    }

    #[test]
    fn what_is_no_secret_is_not_looked_up() {
        assert!(Secret::parse("").is_none());
        assert!(Secret::parse("short").is_none());
        assert!(Secret::parse(&"ä".repeat(43)).is_none());
    }
}
