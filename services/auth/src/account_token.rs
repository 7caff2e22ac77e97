//! Tokens that go out by mail: who has one reads what is sent to an account's address.

use std::time::Duration;

use common::clock::Time;
use common::id::UserId;
use serde::{Deserialize, Serialize};

use crate::email::Email;
use crate::secret::{Secret, SecretHash};
use crate::user::User;

/// How long a token for a new password is good.
pub const RESET_LIVES: Duration = Duration::from_secs(3600);

/// How long a token that verifies an address is good.
pub const VERIFICATION_LIVES: Duration = Duration::from_secs(3 * 24 * 3600);

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// To replace a forgotten password.
    ResetPassword,
    /// To show that an address is theirs.
    VerifyEmail,
}

impl Purpose {
    fn lifetime(self) -> Duration {
        match self {
            Self::ResetPassword => RESET_LIVES,
            Self::VerifyEmail => VERIFICATION_LIVES,
        }
    }
}

/// What is kept of a token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountToken {
    /// The token is kept as its hash only.
    #[serde(rename = "_id")]
    pub hash: SecretHash,
    /// What it is for.
    pub purpose: Purpose,
    /// Whose account.
    pub user_id: UserId,
    /// When it ends.
    pub expires_at: Time,
    /// Where it was sent.
    email: Email,
    /// How often the password had been replaced when it was issued.
    password_changes: i64,
}

impl AccountToken {
    /// A new token, and the secret that goes into the mail.
    pub fn issue(purpose: Purpose, user: &User, now: Time) -> (Self, Secret) {
        let secret = Secret::generate();
        let token = Self {
            hash: secret.hash(),
            purpose,
            user_id: user.id,
            expires_at: now + purpose.lifetime(),
            email: user.email.clone(),
            password_changes: user.password_changes,
        };
        (token, secret)
    }

    /// Whether it is good for `purpose` and the account as it is now.
    ///
    /// A password is replaced once with it, and all that were issued for the same password end with that: asked in the
    /// write that replaces the password, this lets one of any number of callers through.
    pub fn fits(&self, purpose: Purpose, user: &User, now: Time) -> bool {
        let same = self.purpose == purpose && self.user_id == user.id && self.email == user.email;
        let unused = purpose != Purpose::ResetPassword || self.password_changes == user.password_changes;
        same && unused && user.is_active() && now < self.expires_at
    }
}

#[cfg(test)]
mod tests {
    use common::http::Role;

    use super::*;
    use crate::password::PasswordHash;
    use crate::user::NewUser;

    const START: Time = Time::from_millis(1_795_000_000_000);

    fn user(email: &str) -> User {
        let email = Email::parse(email).unwrap();
        let password_hash = PasswordHash::new("$argon2id$".to_owned());
        User::sign_up(NewUser { email, name: None, password_hash, role: Role::Member }, START).0
    }

    #[test]
    fn a_token_is_for_one_account_one_purpose_and_one_hour() {
        let (ana, bo) = (user("ana@example.org"), user("bo@example.org"));
        let (token, secret) = AccountToken::issue(Purpose::ResetPassword, &ana, START);
        assert_eq!(token.hash, secret.hash());
        let last = START + RESET_LIVES - Duration::from_millis(1);
        assert!(token.fits(Purpose::ResetPassword, &ana, last));
        assert!(!token.fits(Purpose::ResetPassword, &ana, START + RESET_LIVES));
        assert!(!token.fits(Purpose::VerifyEmail, &ana, START));
        assert!(!token.fits(Purpose::ResetPassword, &bo, START));
        assert!(!token.fits(Purpose::ResetPassword, &ana.disable(START).unwrap().0, START));
    }

    #[test]
    fn all_tokens_for_a_password_end_when_it_is_replaced() {
        let ana = user("ana@example.org");
        let (reset, _) = AccountToken::issue(Purpose::ResetPassword, &ana, START);
        let (verify, _) = AccountToken::issue(Purpose::VerifyEmail, &ana, START);
        let (changed, _) = ana.change_password(PasswordHash::new("$argon2id$new".to_owned()));
        assert!(!reset.fits(Purpose::ResetPassword, &changed, START));
        assert!(verify.fits(Purpose::VerifyEmail, &changed, START));
    }
}
