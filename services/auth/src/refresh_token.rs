//! Refresh tokens: each is used once, for the next one; a token used again tells that a copy of it is about.

use std::time::Duration;

use common::clock::Time;
use common::id::{SessionId, UserId};
use serde::{Deserialize, Serialize};

use crate::secret::{Secret, SecretHash};
use crate::session::{IDLE, Session};

/// Two tabs that refresh at once are no thieves: for this long, a used token is only refused.
pub const GRACE: Duration = Duration::from_secs(10);

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
    /// Somebody else, such as another tab of the same browser, used it a moment ago.
    #[error("this refresh token was used a moment ago; take the tokens that came of it")]
    InProgress,
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

    /// Whether it may be used now for the next one.
    ///
    /// # Errors
    /// [`RefreshRefused`].
    pub fn judge(&self, session: &Session, now: Time) -> Result<(), RefreshRefused> {
        if !session.is_live(now) || now >= self.expires_at {
            return Err(RefreshRefused::Invalid);
        }
        match self.used_at {
            None => Ok(()),
            Some(used_at) if now.since(used_at) < GRACE => Err(RefreshRefused::InProgress),
            Some(_) => Err(RefreshRefused::Reused),
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
        assert_eq!(used.judge(&session(), START), Err(RefreshRefused::InProgress));
        assert_eq!(used.judge(&session(), START + GRACE - SECOND), Err(RefreshRefused::InProgress));
        assert_eq!(used.judge(&session(), START + GRACE), Err(RefreshRefused::Reused));
    }
}
