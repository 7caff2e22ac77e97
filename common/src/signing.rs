//! Ed25519 keys that sign tokens others can verify: access tokens, and passes that a scanner checks without a connection.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use ed25519_dalek::{Signature, Signer as _, Verifier as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jsonwebtoken::dangerous::insecure_decode_claims;
use jsonwebtoken::{Algorithm, EncodingKey, Header, decode_header};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What is wrong with a key or a token.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// The machine has no randomness to give, or the key is malformed.
    #[error("key: {0}")]
    Key(Box<dyn std::error::Error + Send + Sync>),
    /// The token is malformed.
    #[error("token: {0}")]
    Token(#[from] jsonwebtoken::errors::Error),
    /// The token was not signed by this key.
    #[error("the signature is not of this key")]
    Forged,
    /// The token is of another kind.
    #[error("token is not of type {0}, signed with EdDSA")]
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
    bare: ed25519_dalek::SigningKey,
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
        Ok(Self { private: EncodingKey::from_ed_der(der), bare: key, public })
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

    /// Signs bytes for a purpose: its name, a zero byte and the message. What is signed for one purpose is no signature for
    /// another, nor that of a token, as no token has a zero byte.
    pub fn seal(&self, purpose: &'static str, message: &[u8]) -> [u8; SEAL_BYTES] {
        self.bare.sign(&sealed(purpose, message)).to_bytes()
    }

    /// What belongs to a message for a purpose: always the same, and nobody can tell it who has not the private key.
    pub fn secret_of(&self, purpose: &'static str, message: &[u8]) -> [u8; 32] {
        let mut secret = Hmac::<Sha256>::new_from_slice(self.bare.as_bytes()).expect("a key may have any length");
        secret.update(&sealed(purpose, message));
        secret.finalize().into_bytes().into()
    }
}

/// How long a signature over bytes is.
pub const SEAL_BYTES: usize = ed25519_dalek::SIGNATURE_LENGTH;

fn sealed(purpose: &str, message: &[u8]) -> Vec<u8> {
    [purpose.as_bytes(), &[0], message].concat()
}

impl PublicKey {
    /// Reads the claims of a token of type `typ` that this key has signed. Times and audiences are the caller's to check.
    ///
    /// # Errors
    /// If it was not signed by this key with EdDSA, or is of another type.
    pub fn verify<C: DeserializeOwned>(&self, typ: &'static str, token: &str) -> Result<C, SigningError> {
        header(typ, token)?;
        VerifyingKey::read(&self.x)?.claims(token)
    }

    /// Whether this key has signed the message for the purpose.
    pub fn has_sealed(&self, purpose: &'static str, message: &[u8], seal: &[u8; SEAL_BYTES]) -> bool {
        let key = VerifyingKey::read(&self.x);
        key.is_ok_and(|key| key.0.verify_strict(&sealed(purpose, message), &Signature::from_bytes(seal)).is_ok())
    }
}

/// The header of a token that says it is of type `typ` and signed with EdDSA.
///
/// # Errors
/// If it says something else.
pub(crate) fn header(typ: &'static str, token: &str) -> Result<Header, SigningError> {
    let header = decode_header(token)?;
    let is_ours = header.alg == Algorithm::EdDSA && header.typ.as_deref() == Some(typ);
    if is_ours { Ok(header) } else { Err(SigningError::Type(typ)) }
}

/// A public key, ready to verify: to read it costs an eighth of what it costs to verify a token.
#[derive(Clone, Debug)]
pub(crate) struct VerifyingKey(ed25519_dalek::VerifyingKey);

impl VerifyingKey {
    /// Reads it as [`PublicKey::x`] has it.
    ///
    /// # Errors
    /// If it is no base64url of a point of the curve.
    pub(crate) fn read(x: &str) -> Result<Self, SigningError> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(x).map_err(|error| SigningError::Key(error.into()))?;
        let key = ed25519_dalek::VerifyingKey::try_from(bytes.as_slice());
        key.map(Self).map_err(|error| SigningError::Key(error.to_string().into()))
    }

    /// What a token says that this key has signed. Its header, times and audience are the caller's to check.
    ///
    /// # Errors
    /// If this key has not signed it, or its claims are others.
    pub(crate) fn claims<C: DeserializeOwned>(&self, token: &str) -> Result<C, SigningError> {
        let (signed, signature) = token.rsplit_once('.').ok_or(SigningError::Forged)?;
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).map_err(|_| SigningError::Forged)?;
        let signature = Signature::from_slice(&signature).map_err(|_| SigningError::Forged)?;
        self.0.verify(signed.as_bytes(), &signature).map_err(|_| SigningError::Forged)?;
        Ok(insecure_decode_claims(token)?)
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

    #[test]
    fn a_signature_for_one_purpose_is_none_for_another() {
        let (mine, other) = (key(), key());
        let seal = mine.seal("a purpose", b"message");
        assert!(mine.public().has_sealed("a purpose", b"message", &seal));
        assert_eq!(mine.seal("a purpose", b"message"), seal, "always the same one");
        assert!(!mine.public().has_sealed("a purpos", b"emessage", &seal));
        assert!(!mine.public().has_sealed("another", b"message", &seal));
        assert!(!mine.public().has_sealed("a purpose", b"other", &seal));
        assert!(!other.public().has_sealed("a purpose", b"message", &seal));
        // Nobody can have a token signed that is a signature over bytes too.
        let token = mine.sign("pass+jwt", &serde_json::json!({ "jti": "a pass" })).unwrap();
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap().try_into().unwrap();
        assert!(!signed.contains('\0'));
        for (purpose, message) in [("", signed.as_bytes()), ("pass+jwt", signed.as_bytes())] {
            assert!(!mine.public().has_sealed(purpose, message, &signature));
        }
        assert_ne!(mine.secret_of("a", b"m"), mine.secret_of("b", b"m"));
        assert_ne!(mine.secret_of("a", b"m"), other.secret_of("a", b"m"));
    }

    #[test]
    fn what_is_no_point_of_the_curve_is_no_key() {
        let key = key().public().x.clone();
        assert!(VerifyingKey::read(&key).is_ok());
        let two_is_no_y = BASE64_URL_SAFE_NO_PAD.encode([vec![2], vec![0; 31]].concat());
        for none in ["", "AA", &key[1..], &format!("{key}A"), &format!("{key}="), "no base64", &two_is_no_y] {
            assert!(VerifyingKey::read(none).is_err(), "{none:?}");
        }
    }

    #[test]
    fn only_the_very_text_that_was_signed_is_verified() {
        let key = key();
        let token = key.sign("pass+jwt", &serde_json::json!({ "jti": "a pass" })).unwrap();
        let verified = |token: &str| key.public().verify::<serde_json::Value>("pass+jwt", token).is_ok();
        assert!(verified(&token));
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let unsigned = format!("{signed}.");
        let twice = format!("{token}.{signature}");
        let longer = format!("{token}A");
        let padded = format!("{token}==");
        for other in [signed, signature, "", ".", "..", &unsigned, &twice, &longer, &padded] {
            assert!(!verified(other), "{other:?}");
        }
    }
}
