use serde::{Deserialize, Serialize};

use super::{Principal, Role};
use crate::clock::Time;
use crate::id::{SessionId, UserId};

/// Who signs access tokens.
pub const ISSUER: &str = "docket";
/// Whom access tokens are for.
pub const AUDIENCE: &str = "docket";
/// The `typ` of an access token's header (RFC 9068): no other token of ours passes for one.
pub const TOKEN_TYPE: &str = "at+jwt";

/// What an access token says. The auth service signs it with EdDSA and the header type [`TOKEN_TYPE`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Claims {
    /// [`ISSUER`].
    pub iss: String,
    /// [`AUDIENCE`].
    pub aud: String,
    /// The person.
    pub sub: UserId,
    /// Their sign-in.
    pub sid: SessionId,
    /// What they may do.
    pub role: Role,
    /// The version of the user.
    pub uv: i64,
    /// Their address, for pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Their name, for pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether they have confirmed their address. A token that does not say so is of somebody who has not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub verified: bool,
    /// What a machine's key is limited to, separated by spaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// When it was signed, in seconds since the epoch.
    pub iat: i64,
    /// When it ends, in seconds since the epoch.
    pub exp: i64,
    /// Its own id.
    pub jti: String,
}

/// What a token has proven. Whether it still does is for [`Proven::covers`] to say.
#[derive(Clone, Debug)]
pub(super) struct Proven {
    pub(super) principal: Principal,
    /// From when to when, in seconds since the epoch.
    from: i64,
    until: i64,
}

impl Proven {
    /// Clocks of two machines differ a little.
    const LEEWAY_SECONDS: i64 = 5;

    /// Whether the token is good at `now`.
    pub(super) fn covers(&self, now: Time) -> bool {
        let seconds = now.seconds();
        seconds < self.until.saturating_add(Self::LEEWAY_SECONDS)
            && self.from <= seconds.saturating_add(Self::LEEWAY_SECONDS)
    }
}

impl From<Claims> for Proven {
    fn from(claims: Claims) -> Self {
        let scopes = claims.scope.map(|scope| scope.split_whitespace().map(str::to_owned).collect());
        let principal = Principal {
            user: claims.sub,
            session: claims.sid,
            role: claims.role,
            verified: claims.verified,
            scopes,
            user_version: claims.uv,
            issued_at: Time::from_millis(claims.iat.saturating_mul(1_000)),
        };
        Self { principal, from: claims.iat, until: claims.exp }
    }
}
