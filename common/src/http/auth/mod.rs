//! Who is asking: access tokens signed by the auth service, verified here with its published keys.

mod claims;
mod cookies;
mod keys;
mod principal;
mod revocations;
mod verifier;

pub use claims::{AUDIENCE, Claims, ISSUER, TOKEN_TYPE};
pub use cookies::{ACCESS_COOKIE, BROWSER_COOKIE, REFRESH_COOKIE, expired_cookie, session_cookie};
pub use principal::{MaybePrincipal, Principal, Role};
pub use revocations::Revocations;
pub use verifier::{TokenError, Verifier};

pub(crate) use cookies::token_of;
pub(crate) use principal::Unproven;

use std::time::Duration;

/// How long an access token lives at the most: what was verified or revoked before that is of no interest any more.
pub(crate) const TOKENS_LIVE: Duration = Duration::from_secs(15 * 60);
