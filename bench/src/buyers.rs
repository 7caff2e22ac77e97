//! Buyers who are signed in already.
//!
//! A sign-up costs tens of milliseconds of CPU on purpose (argon2), so ten thousand of them would only measure that. The
//! harness signs the access tokens itself, with the key that the auth service of this very Docket keeps in its database.
//! Docket verifies them like all others.

use auth::access_token::{LIFETIME, sign};
use auth::signing_key::{SigningKey, signer};
use auth::store::SigningKeys;
use common::http::Role;
use common::http::auth::{AUDIENCE, Claims, ISSUER};
use common::id::{SessionId, UserId, uuid_at};
use mongodb::Client;

use crate::Result;
use crate::timing::wall_clock;

/// Somebody with an access token.
#[derive(Clone, Debug)]
pub(crate) struct Buyer {
    pub(crate) id: UserId,
    pub(crate) authorization: String,
}

/// Signs access tokens.
#[derive(Clone, Debug)]
pub(crate) struct Mint {
    key: SigningKey,
}

impl Mint {
    /// With the key of the auth service in the installation named `docket`.
    pub(crate) async fn open(client: &Client) -> Result<Self> {
        let keys = SigningKeys::new(&client.database("docket_auth").into()).all().await?;
        let key = signer(&keys, wall_clock()).cloned().ok_or("the auth service has no signing key")?;
        Ok(Self { key })
    }

    /// So many new buyers, each with a token for the next ten minutes.
    pub(crate) async fn buyers(&self, count: usize) -> Result<Vec<Buyer>> {
        let ids = (0..count).map(|_| UserId::generate(wall_clock())).collect();
        self.sign_in(ids).await
    }

    /// These people, each with a new token.
    pub(crate) async fn sign_in(&self, ids: Vec<UserId>) -> Result<Vec<Buyer>> {
        let mint = self.clone();
        tokio::task::spawn_blocking(move || ids.into_iter().map(|id| mint.sign_one(id)).collect()).await?
    }

    fn sign_one(&self, id: UserId) -> Result<Buyer> {
        let now = wall_clock();
        let iat = now.seconds();
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: id,
            sid: SessionId::generate(now),
            role: Role::Member,
            uv: 1,
            email: Some(format!("{id}@buyers.example")),
            name: None,
            verified: false,
            scope: None,
            iat,
            exp: iat + i64::try_from(LIFETIME.as_secs())?,
            jti: uuid_at(now).to_string(),
        };
        let token = sign(&claims, &self.key)?;
        Ok(Buyer { id, authorization: format!("Bearer {token}") })
    }
}
