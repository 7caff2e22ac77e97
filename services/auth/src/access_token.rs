//! Access tokens: what they say, and the signature under it.

use std::time::Duration;

use common::clock::Time;
use common::http::auth::{AUDIENCE, Claims, ISSUER, TOKEN_TYPE};
use common::id::{SessionId, uuid_at};
use common::store::Versioned;
use jsonwebtoken::{Algorithm, EncodingKey, Header};

use crate::signing_key::{KeyError, SigningKey};
use crate::user::User;

/// How long an access token lives.
pub const LIFETIME: Duration = Duration::from_secs(10 * 60);

/// Why a token was not signed.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// No key signs at this time.
    #[error("there is no key to sign with")]
    NoKey,
    /// The key cannot be read.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The signature cannot be made.
    #[error("access token: {0}")]
    Token(#[from] jsonwebtoken::errors::Error),
}

/// What a token says about somebody in a session; `scope` limits what a machine may do with it.
pub fn claims(user: &Versioned<User>, session: SessionId, scope: Option<String>, now: Time) -> Claims {
    let iat = now.seconds();
    Claims {
        iss: ISSUER.to_owned(),
        aud: AUDIENCE.to_owned(),
        sub: user.value.id,
        sid: session,
        role: user.value.role,
        uv: user.version,
        email: Some(user.value.email.as_str().to_owned()),
        name: user.value.name.as_ref().map(|name| name.as_str().to_owned()),
        verified: user.value.has_verified_email(),
        scope,
        iat,
        exp: iat + i64::try_from(LIFETIME.as_secs()).unwrap_or(i64::MAX),
        jti: uuid_at(now).to_string(),
    }
}

/// The signed token.
///
/// # Errors
/// [`SigningError`] if the key is no key.
pub fn sign(claims: &Claims, key: &SigningKey) -> Result<String, SigningError> {
    let header =
        Header { typ: Some(TOKEN_TYPE.to_owned()), kid: Some(key.kid.clone()), ..Header::new(Algorithm::EdDSA) };
    Ok(jsonwebtoken::encode(&header, claims, &EncodingKey::from_ed_der(&key.pkcs8()?))?)
}

#[cfg(test)]
mod tests {
    use common::http::Role;
    use jsonwebtoken::{DecodingKey, Validation, decode, decode_header};

    use super::*;
    use crate::email::Email;
    use crate::password::PasswordHash;
    use crate::signing_key::Place;
    use crate::user::NewUser;

    const NOW: Time = Time::from_millis(1_795_000_000_500);

    fn ana() -> Versioned<User> {
        let email = Email::parse("ana@example.org").unwrap();
        let new = NewUser { email, name: None, password_hash: PasswordHash::new(String::new()), role: Role::Manager };
        Versioned { version: 3, value: User::sign_up(new, NOW).0 }
    }

    #[test]
    fn a_token_says_who_in_which_session_for_how_long() {
        let session = SessionId::generate(NOW);
        let claims = claims(&ana(), session, Some("*:read".to_owned()), NOW);
        assert_eq!((claims.sid, claims.role, claims.uv), (session, Role::Manager, 3));
        assert_eq!((claims.iat, claims.exp), (1_795_000_000, 1_795_000_600));
        assert!(!claims.verified);
        let (confirmed, _) = ana().value.verify_email(NOW).unwrap();
        assert!(super::claims(&Versioned { version: 4, value: confirmed }, session, None, NOW).verified);
    }

    #[test]
    fn the_public_half_verifies_what_the_private_half_signed() {
        let key = SigningKey::generate(Place { generation: 1, signs_from: NOW }).unwrap();
        let token = sign(&claims(&ana(), SessionId::generate(NOW), None, NOW), &key).unwrap();
        let header = decode_header(&token).unwrap();
        assert_eq!((header.kid.as_deref(), header.typ.as_deref()), (Some(key.kid.as_str()), Some("at+jwt")));
        let mut rules = Validation::new(Algorithm::EdDSA);
        rules.set_audience(&[AUDIENCE]);
        rules.validate_exp = false;
        let public = DecodingKey::from_ed_components(&key.public).unwrap();
        assert!(decode::<Claims>(&token, &public, &rules).is_ok());
    }
}
