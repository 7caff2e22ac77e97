//! Signing up, proving who one is, and changing one's profile.

use std::time::Duration;

use common::events::users::UserSignInsRefused;
use common::events::{By, UserEvent};
use common::http::{Role, is_private};
use common::id::UserId;
use common::mail::{LETTERS, Letter};
use common::store::{Change, ChangeError, StoreError, Versioned};

use crate::Auth;
use crate::display_name::DisplayName;
use crate::email::{Email, TypedEmail};
use crate::hashing::HashingError;
use crate::limits::{Limit, WRONG_PASSWORDS, WRONG_PASSWORDS_BY_CLIENT, WRONG_PASSWORDS_FOR_ADDRESS};
use crate::notes::Note;
use crate::password::{ChosenPassword, Password};
use crate::store::user_by_email;
use crate::user::{NewUser, User};

/// Why nobody was signed up, let in or changed.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// There is an account with this address.
    #[error("there is an account with this address already")]
    EmailTaken,
    /// Nobody has this address and password, or the account is closed: which, is nobody's business.
    #[error("the address or the password is wrong")]
    InvalidCredentials,
    /// Too many wrong passwords were given; after this time another may be tried.
    #[error("too many wrong passwords")]
    TooOften(Duration),
    /// There is no such account.
    #[error("there is no such account")]
    NotFound,
    /// The account was changed since it was looked at.
    #[error("the account was changed since")]
    Changed,
    /// The password could not be hashed.
    #[error(transparent)]
    Hashing(#[from] HashingError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<ChangeError<Self>> for AccountError {
    fn from(error: ChangeError<Self>) -> Self {
        match error {
            ChangeError::NotFound => Self::NotFound,
            ChangeError::Refused(refused) => refused,
            ChangeError::Store(error) => error.into(),
        }
    }
}

impl Auth {
    /// Makes an account; a mail asks whether the address is theirs.
    pub(crate) async fn sign_up(
        &self,
        email: Email,
        password: ChosenPassword,
        name: Option<DisplayName>,
    ) -> Result<Versioned<User>, AccountError> {
        // The unique index decides; to look first only saves the work of hashing.
        if user_by_email(&self.users, &TypedEmail::from(&email)).await?.is_some() {
            return Err(AccountError::EmailTaken);
        }
        let password_hash = self.hashing.hash(password).await?;
        let role = if self.first_admin.as_ref() == Some(&email) { Role::Admin } else { Role::Member };
        let (user, created) = User::sign_up(NewUser { email, name, password_hash, role }, self.clock.now());
        let letter = Letter::new(Note::VerifyEmail, user.created_at);
        let created = UserEvent::from(created).by(user.id);
        self.users.insert_pushing(user, created, LETTERS, &letter).await.map_err(|error| match error {
            StoreError::Exists => AccountError::EmailTaken,
            error => error.into(),
        })
    }

    /// Who has this address and password, as somebody says who comes from the place `client` in the network. Wrong ones are
    /// counted, whether or not there is an account; those that are being looked at side by side count only afterwards.
    pub(crate) async fn authenticate(
        &self,
        email: &TypedEmail,
        password: Password,
        client: &str,
    ) -> Result<Versioned<User>, AccountError> {
        let failures = failures(email, client);
        if let Some(wait) = self.attempts.wait(&failures, self.clock.now()).await? {
            return Err(AccountError::TooOften(wait));
        }
        let user = user_by_email(&self.users, email).await?.filter(|user| user.value.is_active());
        let matches = self.hashing.verify(password, user.as_ref().map(|user| &user.value.password_hash)).await?;
        if let Some(user) = user.as_ref().filter(|_| matches) {
            self.attempts.forget(&failures[..FROM_PLACE]).await?;
            return Ok(user.clone());
        }
        let reached = self.attempts.count_failure(&failures, self.clock.now()).await?;
        if reached[..OF_ADDRESS].contains(&true) {
            self.tell_of_refusals(user).await?;
        }
        Err(AccountError::InvalidCredentials)
    }

    /// From now on nobody is let in for a while, from there or at all, not with the right password either: whose account it is
    /// may want to know.
    async fn tell_of_refusals(&self, user: Option<Versioned<User>>) -> Result<(), StoreError> {
        let Some(Versioned { value: user, .. }) = user else { return Ok(()) };
        let event = UserEvent::from(UserSignInsRefused { user_id: user.id });
        let told =
            self.users.advance(user.id, |current| Some(Change::new(current.value.clone(), event.clone().by_system())));
        told.await.map(drop)
    }

    /// Lets the owner of an address try again, who has shown to be it.
    pub(crate) async fn forgive_failures(&self, email: &TypedEmail, client: &str) -> Result<(), StoreError> {
        self.attempts.forget(&failures(email, client)[..OF_ADDRESS]).await
    }

    /// Gives somebody another name.
    pub(crate) async fn rename(
        &self,
        user: UserId,
        name: DisplayName,
        seen: Option<i64>,
    ) -> Result<Versioned<User>, AccountError> {
        let changed = self.users.change(user, |current| {
            if seen.is_some_and(|seen| seen != current.version) {
                return Err(AccountError::Changed);
            }
            let renamed = current.value.rename(name.clone());
            Ok(renamed.map(|(next, event)| Change::new(next, UserEvent::from(event).by(user))))
        });
        Ok(changed.await?)
    }
}

/// How many of the [`failures`] are of the address from that place, and how many are of the address.
const FROM_PLACE: usize = 1;
const OF_ADDRESS: usize = 2;

/// What wrong passwords are counted by: address and place, address, and place, unless that is one that many share.
fn failures(email: &TypedEmail, client: &str) -> Vec<(Limit, String)> {
    let (email, client) = (email.one_spelling(), client.to_owned());
    let of_address = [(WRONG_PASSWORDS, format!("{email} {client}")), (WRONG_PASSWORDS_FOR_ADDRESS, email)];
    let of_one = client.parse().is_ok_and(|ip| !is_private(ip));
    of_address.into_iter().chain(of_one.then_some((WRONG_PASSWORDS_BY_CLIENT, client))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_not_kept_out_for_those_who_come_through_it() {
        let email = TypedEmail::parse("ana@example.org").unwrap();
        let counted = |client| failures(&email, client).into_iter().map(|(limit, _)| limit.name).collect::<Vec<_>>();
        let of_address: [_; OF_ADDRESS] = [WRONG_PASSWORDS.name, WRONG_PASSWORDS_FOR_ADDRESS.name];
        assert_eq!(counted("10.42.0.1"), of_address);
        assert_eq!(counted(""), of_address);
        assert_eq!(counted("203.0.113.7")[OF_ADDRESS..], [WRONG_PASSWORDS_BY_CLIENT.name]);
        assert_eq!(counted("2001:db8:1:2::")[OF_ADDRESS..], [WRONG_PASSWORDS_BY_CLIENT.name]);
    }
}
