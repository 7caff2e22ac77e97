//! Signing up, proving who one is, and changing one's profile.

use common::events::{By, UserEvent};
use common::http::Role;
use common::id::UserId;
use common::mail::{LETTERS, Letter};
use common::store::{Change, ChangeError, StoreError, Versioned};

use crate::Auth;
use crate::display_name::DisplayName;
use crate::email::Email;
use crate::hashing::HashingError;
use crate::notes::Note;
use crate::password::Password;
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
        password: Password,
        name: Option<DisplayName>,
    ) -> Result<Versioned<User>, AccountError> {
        // The unique index decides; to look first only saves the work of hashing.
        if user_by_email(&self.users, &email).await?.is_some() {
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

    /// Who has this address and password.
    pub(crate) async fn authenticate(
        &self,
        email: &Email,
        password: Password,
    ) -> Result<Versioned<User>, AccountError> {
        let user = user_by_email(&self.users, email).await?;
        let matches = self.hashing.verify(password, user.as_ref().map(|user| &user.value.password_hash)).await?;
        user.filter(|user| matches && user.value.is_active()).ok_or(AccountError::InvalidCredentials)
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
