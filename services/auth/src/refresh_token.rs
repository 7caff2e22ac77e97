//! Refresh tokens: each is used once, for the next one; a token used again later tells that a copy of it is about.

use std::time::Duration;

use common::clock::Time;
use common::id::{SessionId, UserId};
use serde::{Deserialize, Serialize};

use crate::secret::{Secret, SecretHash};
use crate::session::{IDLE, Session};

/// For so long after its use a token may be used again, and gives tokens of the same session again.
///
/// Two tabs of a browser, or two replicas that serve its pages, refresh at once, and the one that comes second has
/// nothing but the used token: were it refused, the person would be signed out for nothing. The price is that a thief
/// who is as quick as that is not noticed by the token's reuse; what they get ends with the session, and whoever of the
/// two uses an older token later ends it for both.
pub const LEEWAY: Duration = Duration::from_secs(10);

/// What is kept of a refresh token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RefreshToken {
    /// The token is kept as its hash only.
    #[serde(rename = "_id")]
    pub hash: SecretHash,
    /// The session that it keeps alive: the family of all its tokens.
    pub session_id: SessionId,
    /// Whose session.
    pub user_id: UserId,
    /// When it was handed out.
    pub issued_at: Time,
    /// When it ends if it is not used, at the latest with its session.
    pub expires_at: Time,
    /// When it was used.
    pub used_at: Option<Time>,
}

/// Why a refresh token is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefreshRefused {
    /// It is unknown or has expired, or its session has ended.
    #[error("the session has ended; sign in again")]
    Invalid,
    /// It was used before: its session must be revoked.
    #[error("this refresh token was used before, so the session was ended; sign in again")]
    Reused,
}

impl RefreshToken {
    /// A new token that keeps a session alive, and the secret that its holder gets.
    pub fn issue(session: &Session, now: Time) -> (Self, Secret) {
        let secret = Secret::generate();
        let token = Self {
            hash: secret.hash(),
            session_id: session.id,
            user_id: session.user_id,
            issued_at: now,
            expires_at: session.ends_at.min(now + IDLE),
            used_at: None,
        };
        (token, secret)
    }

    /// Whether it may be used now for the next one: for the first time, or again within the [`LEEWAY`].
    ///
    /// # Errors
    /// [`RefreshRefused`].
    pub fn judge(&self, session: &Session, now: Time) -> Result<(), RefreshRefused> {
        if !session.is_live(now) || now >= self.expires_at {
            return Err(RefreshRefused::Invalid);
        }
        match self.used_at {
            Some(used_at) if now.since(used_at) >= LEEWAY => Err(RefreshRefused::Reused),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{Device, LONGEST};

    const START: Time = Time::from_millis(1_795_000_000_000);
    const SECOND: Duration = Duration::from_secs(1);

    fn session() -> Session {
        Session::start(UserId::generate(START), Device::from_user_agent(""), START).0
    }

    #[test]
    fn an_unused_token_of_a_live_session_is_taken() {
        let (token, secret) = RefreshToken::issue(&session(), START);
        assert_eq!(token.hash, secret.hash());
        assert_eq!(token.judge(&session(), START + IDLE - SECOND), Ok(()));
    }

    #[test]
    fn a_token_ends_when_idle_and_with_its_session() {
        let session = session();
        let (token, _) = RefreshToken::issue(&session, START);
        assert_eq!(token.judge(&session, START + IDLE), Err(RefreshRefused::Invalid));
        let (late, _) = RefreshToken::issue(&session, START + LONGEST - SECOND);
        assert_eq!(late.expires_at, session.ends_at);
        assert_eq!(late.judge(&session, session.ends_at), Err(RefreshRefused::Invalid));
        let (revoked, _) = session.revoke(START).unwrap();
        assert_eq!(token.judge(&revoked, START), Err(RefreshRefused::Invalid));
    }

    #[test]
    fn a_used_token_is_a_race_at_first_and_a_theft_later() {
        let (token, _) = RefreshToken::issue(&session(), START);
        let used = RefreshToken { used_at: Some(START), ..token };
        assert_eq!(used.judge(&session(), START), Ok(()));
        assert_eq!(used.judge(&session(), START + LEEWAY - SECOND), Ok(()));
        assert_eq!(used.judge(&session(), START + LEEWAY), Err(RefreshRefused::Reused));
        let (revoked, _) = session().revoke(START).unwrap();
        assert_eq!(used.judge(&revoked, START), Err(RefreshRefused::Invalid));
    }
}
