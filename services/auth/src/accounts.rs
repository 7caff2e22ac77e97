//! Signing up, proving who one is, and changing one's profile.

use std::time::Duration;

use common::events::users::UserSignInsRefused;
use common::events::{By, UserEvent};
use common::http::{ClientAddress, Role};
use common::id::UserId;
use common::mail::{LETTERS, Letter};
use common::store::{Change, ChangeError, StoreError, Versioned};

use crate::Auth;
use crate::display_name::DisplayName;
use crate::email::{Email, TypedEmail};
use crate::hashing::HashingError;
use crate::known_browsers::Caller;
use crate::limits::{
    Counted, SIGN_UPS, SIGN_UPS_OF_MAILBOX, WRONG_PASSWORDS, WRONG_PASSWORDS_BY, WRONG_PASSWORDS_FOR_ADDRESS,
    WRONG_PASSWORDS_IN_BROWSER, tagged_mailbox,
};
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
        let of_place: Vec<Counted> = SIGN_UPS.of(place).collect();
        self.count_sign_up(&of_place).await?;
        // The unique index decides; to look first only saves the work of hashing.
        if user_by_email(&self.users, &TypedEmail::from(&email)).await?.is_some() {
            return Err(AccountError::EmailTaken);
        }
        let mailbox = tagged_mailbox(email.as_str()).map(|mailbox| (SIGN_UPS_OF_MAILBOX, mailbox));
        self.count_sign_up(mailbox.as_slice()).await?;
        let password_hash = self.hashing.hash(password).await?;
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

    /// Who has this address and password, as a caller says. Wrong ones are counted, whether or not there is an account; those that
    /// are being looked at side by side count only afterwards.
    pub(crate) async fn authenticate(
        &self,
        email: &TypedEmail,
        password: Password,
        caller: &Caller,
    ) -> Result<Versioned<User>, AccountError> {
        let now = self.clock.now();
        // Asked for whether or not there is an account: so the time it takes tells nothing of that.
        let browser = match &caller.browser {
            Some(browser) => self.known_browsers.get(browser, email).await?,
            None => None,
        };
        let user = user_by_email(&self.users, email).await?.filter(|user| user.value.is_active());
        let known = browser.filter(|browser| user.as_ref().is_some_and(|user| browser.is_of(&user.value, now)));
        let failures = match known {
            Some(browser) => Failures::in_browser(browser.hash.as_str()),
            None => Failures::of(email, &caller.place),
        };
        if let Some(wait) = self.attempts.wait(&failures.all, now).await? {
            return Err(AccountError::TooOften(wait));
        }
        let matches = self.hashing.verify(password, user.as_ref().map(|user| &user.value.password_hash)).await?;
        if let Some(user) = user.as_ref().filter(|_| matches) {
            self.attempts.forget(failures.of_caller()).await?;
            return Ok(user.clone());
        }
        let reached = self.attempts.count_failure(&failures.all, self.clock.now()).await?;
        if reached[..failures.of_address].contains(&true) {
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
    pub(crate) async fn forgive_failures(&self, email: &TypedEmail, place: &ClientAddress) -> Result<(), StoreError> {
        let failures = Failures::of(email, place);
        self.attempts.forget(&failures.all[..failures.of_address]).await
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

/// What wrong passwords are counted by.
struct Failures {
    all: Vec<Counted>,
    /// How many of these, the first ones, are about the address that somebody signs in to.
    of_address: usize,
}

impl Failures {
    /// Address and place, address, and place, unless that is one that many share.
    fn of(email: &TypedEmail, place: &ClientAddress) -> Self {
        let email = email.one_spelling();
        let of_address = [(WRONG_PASSWORDS, format!("{email} {place}")), (WRONG_PASSWORDS_FOR_ADDRESS, email)];
        Self { of_address: of_address.len(), all: of_address.into_iter().chain(WRONG_PASSWORDS_BY.of(place)).collect() }
    }

    /// A browser that is known for the address, and nothing else.
    fn in_browser(hash: &str) -> Self {
        Self { of_address: 1, all: vec![(WRONG_PASSWORDS_IN_BROWSER, hash.to_owned())] }
    }

    /// What only the caller has counted up, who knows the password after all.
    fn of_caller(&self) -> &[Counted] {
        &self.all[..1]
    }
}
