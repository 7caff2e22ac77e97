//! Signing up, and changing one's profile.

use std::time::Duration;

use common::events::{By, UserEvent};
use common::http::{ClientAddress, Role};
use common::id::UserId;
use common::mail::{LETTERS, Letter};
use common::store::{Change, ChangeError, StoreError, Versioned};

use crate::Auth;
use crate::display_name::DisplayName;
use crate::email::{Email, TypedEmail};
use crate::hashing::{HashingError, Whom};
use crate::limits::{Counted, SIGN_UPS, SIGN_UPS_OF_MAILBOX, tagged_mailbox};
use crate::notes::Note;
use crate::password::ChosenPassword;
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
    /// Too many accounts were made for the mailbox or from the place; after this time another may be made.
    #[error("too many accounts were made")]
    TooManySignUps(Duration),
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
        place: &ClientAddress,
    ) -> Result<Versioned<User>, AccountError> {
        // First: for whom there is no place, nothing is counted.
        let queued = self.hashing.place(Whom::New, place.own())?;
        let of_place: Vec<Counted> = SIGN_UPS.of(place).collect();
        self.count_sign_up(&of_place).await?;
        // The unique index decides; to look first only saves the work of hashing.
        if user_by_email(&self.users, &TypedEmail::from(&email)).await?.is_some() {
            return Err(AccountError::EmailTaken);
        }
        let mailbox = tagged_mailbox(email.as_str()).map(|mailbox| (SIGN_UPS_OF_MAILBOX, mailbox));
        self.count_sign_up(mailbox.as_slice()).await?;
        let password_hash = queued.hash(password).await?;
        drop(queued);
        let new = NewUser { email, name, password_hash, role: Role::Member };
        let (user, created) = User::sign_up(new, self.clock.now());
        let letter = Letter::new(Note::VerifyEmail, user.created_at);
        let created = UserEvent::from(created).by(user.id);
        self.users.insert_pushing(user, created, LETTERS, &letter).await.map_err(|error| match error {
            StoreError::Exists => AccountError::EmailTaken,
            error => error.into(),
        })
    }

    async fn count_sign_up(&self, counted: &[Counted]) -> Result<(), AccountError> {
        let wait = self.attempts.count_all(counted, self.clock.now()).await?;
        wait.map_or(Ok(()), |wait| Err(AccountError::TooManySignUps(wait)))
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
