//! Ed25519 keys that sign tokens others can verify: access tokens, and passes that a scanner checks without a connection.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What is wrong with a key or a token.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// The machine has no randomness to give, or the key is malformed.
    #[error("key: {0}")]
    Key(Box<dyn std::error::Error + Send + Sync>),
    /// The token is forged, malformed or of another kind.
    #[error("token: {0}")]
    Token(#[from] jsonwebtoken::errors::Error),
    /// The token is of another kind.
    #[error("token is not of type {0}")]
    Type(&'static str),
}

/// A public key as JWKS lists it (RFC 8037).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PublicKey {
    /// Always `OKP`.
    pub kty: String,
    /// Always `Ed25519`.
    pub crv: String,
    /// Always `EdDSA`.
    pub alg: String,
    /// Always `sig`.
    #[serde(rename = "use")]
    pub usage: String,
    /// The key's name: its thumbprint.
    pub kid: String,
    /// The public key, base64url.
    pub x: String,
}

/// A private key and its public half.
#[derive(Clone)]
pub struct SigningKey {
    private: EncodingKey,
    public: PublicKey,
}

impl SigningKey {
    /// A new private key as PKCS#8 DER, to be kept in a database.
    ///
    /// # Errors
    /// If the machine has no randomness to give.
    pub fn generate_pkcs8() -> Result<Vec<u8>, SigningError> {
        let mut seed = [0_u8; 32];
        getrandom::fill(&mut seed).map_err(|error| SigningError::Key(error.to_string().into()))?;
        let key = ed25519_dalek::SigningKey::from_bytes(&seed);
        let der = key.to_pkcs8_der().map_err(|error| SigningError::Key(error.to_string().into()))?;
        Ok(der.as_bytes().to_vec())
    }

    /// Reads a private key.
    ///
    /// # Errors
    /// If it is no PKCS#8 Ed25519 key.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, SigningError> {
        let key = ed25519_dalek::SigningKey::from_pkcs8_der(der)
            .map_err(|error| SigningError::Key(error.to_string().into()))?;
        let public = key.verifying_key();
        let public = PublicKey {
            kty: "OKP".to_owned(),
            crv: "Ed25519".to_owned(),
            alg: "EdDSA".to_owned(),
            usage: "sig".to_owned(),
            kid: BASE64_URL_SAFE_NO_PAD.encode(&Sha256::digest(public.as_bytes())[..12]),
            x: BASE64_URL_SAFE_NO_PAD.encode(public.as_bytes()),
        };
        Ok(Self { private: EncodingKey::from_ed_der(der), public })
    }

    /// The public half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs `claims` as a token of type `typ`.
    ///
    /// # Errors
    /// If the claims have no JSON form.
    pub fn sign(&self, typ: &str, claims: &impl Serialize) -> Result<String, SigningError> {
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(typ.to_owned());
        header.kid = Some(self.public.kid.clone());
        Ok(jsonwebtoken::encode(&header, claims, &self.private)?)
    }
}

impl PublicKey {
    /// Reads the claims of a token of type `typ` that this key has signed. Times and audiences are the caller's to check.
    ///
    /// # Errors
    /// If it was not signed by this key with EdDSA, or is of another type.
    pub fn verify<C: DeserializeOwned>(&self, typ: &'static str, token: &str) -> Result<C, SigningError> {
        let key = DecodingKey::from_ed_components(&self.x)?;
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        let decoded = jsonwebtoken::decode::<C>(token, &key, &validation)?;
        if decoded.header.typ.as_deref() == Some(typ) { Ok(decoded.claims) } else { Err(SigningError::Type(typ)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SigningKey {
        SigningKey::from_pkcs8(&SigningKey::generate_pkcs8().unwrap()).unwrap()
    }

    #[test]
    fn only_the_signing_key_verifies_and_only_its_type() {
        let (mine, other) = (key(), key());
        let claims = serde_json::json!({ "jti": "a pass" });
        let token = mine.sign("pass+jwt", &claims).unwrap();
        assert_eq!(mine.public().verify::<serde_json::Value>("pass+jwt", &token).unwrap(), claims);
        assert!(mine.public().verify::<serde_json::Value>("at+jwt", &token).is_err());
        assert!(other.public().verify::<serde_json::Value>("pass+jwt", &token).is_err());
        assert_ne!(mine.public().kid, other.public().kid);
    }
}
