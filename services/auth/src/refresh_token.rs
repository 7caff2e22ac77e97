//! Refresh tokens: each is used once, for the next one. A token that is used again later tells of one of two things.
//!
//! If one of its successors was used, somebody has a copy: the session ends. If none was, the answer that brought them was lost, and whoever
//! asks again gets another successor. Those that were lost are superseded by it, and good no more: should one of them turn up after
//! all, two have had the token, and the session ends then. So nobody who has copied a token stays unnoticed beside its owner, and
//! nobody is signed out because of a bad line.

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
    /// The token that it was given for; `None` for the first of a session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<SecretHash>,
    /// When another successor of the same token took its place, as it had been lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub superseded_at: Option<Time>,
}

/// What may be done with a token that is presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// The next one is given for it.
    Next,
    /// It was used a while ago. If no successor was used, they were lost, and are superseded by the next one.
    Again,
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
            from: None,
            superseded_at: None,
        };
        (token, secret)
    }

    /// The same for a token that is used now.
    pub fn succeed(&self, session: &Session, now: Time) -> (Self, Secret) {
        let (next, secret) = Self::issue(session, now);
        (Self { from: Some(self.hash.clone()), ..next }, secret)
    }

    /// Whether it may be used now for the next one: for the first time, or again within the [`LEEWAY`]; or later, if it turns out that no
    /// successor was used.
    ///
    /// # Errors
    /// [`RefreshRefused`].
    pub fn judge(&self, session: &Session, now: Time) -> Result<Use, RefreshRefused> {
        if !session.is_live(now) || now >= self.expires_at {
            return Err(RefreshRefused::Invalid);
        }
        if self.superseded_at.is_some() {
            return Err(RefreshRefused::Reused);
        }
        match self.used_at {
            Some(used_at) if now.since(used_at) >= LEEWAY => Ok(Use::Again),
            _ => Ok(Use::Next),
        }
    }

    /// Whether all that were given for a token have been lost, as far as can be seen: there are some, as each is stored before its
    /// predecessor is used up, and nobody has used one. Of builds before there are none.
    pub fn were_lost(successors: &[Self]) -> bool {
        !successors.is_empty() && successors.iter().all(|token| token.used_at.is_none())
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
        assert_eq!(token.judge(&session(), START + IDLE - SECOND), Ok(Use::Next));
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
    fn a_used_token_is_a_race_at_first_and_later_it_depends_on_its_successors() {
        let (token, _) = RefreshToken::issue(&session(), START);
        let used = RefreshToken { used_at: Some(START), ..token };
        assert_eq!(used.judge(&session(), START), Ok(Use::Next));
        assert_eq!(used.judge(&session(), START + LEEWAY - SECOND), Ok(Use::Next));
        assert_eq!(used.judge(&session(), START + LEEWAY), Ok(Use::Again));
        let (unused, _) = used.succeed(&session(), START);
        let spent = RefreshToken { used_at: Some(START), ..unused.clone() };
        assert!(RefreshToken::were_lost(&[unused.clone(), unused.clone()]));
        assert!(!RefreshToken::were_lost(&[unused.clone(), spent]), "somebody has it");
        assert!(!RefreshToken::were_lost(&[]), "nothing is known of them");
        let superseded = RefreshToken { superseded_at: Some(START), ..unused };
        assert_eq!(superseded.judge(&session(), START), Err(RefreshRefused::Reused));
        let (revoked, _) = session().revoke(START).unwrap();
        assert_eq!(used.judge(&revoked, START), Err(RefreshRefused::Invalid));
    }
}
