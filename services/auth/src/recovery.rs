//! Replacing passwords, and showing that an address is one's own.

use std::time::Duration;

use common::clock::Time;
use common::each::each;
use common::events::users::{UserEmailVerificationRequested, UserPasswordResetRequested};
use common::events::{By, UserEvent};
use common::http::ClientAddress;
use common::id::{SessionId, UserId};
use common::mail::{LETTERS, Letter, Mail};
use common::store::{Change, ChangeError, StoreError, Versioned};

use crate::Auth;
use crate::account_token::{AccountToken, Purpose};
use crate::email::TypedEmail;
use crate::hashing::{HashingError, Whom};
use crate::limits::{
    Counted, PASSWORDS_OF_ACCOUNT, RESET_MAILS, RESET_MAILS_TO_ADDRESS, RESET_MAILS_TO_MAILBOX, TOKENS,
    VERIFICATIONS_OF_ACCOUNT, tagged_mailbox,
};
use crate::notes::Note;
use crate::password::{ChosenPassword, NotAPassword, Password};
use crate::secret::Secret;
use crate::session_life::SessionError;
use crate::store::{ENDINGS, Ending, ResetRequest, forget_ending, unfinished_endings, user_by_email};
use crate::user::User;

/// How many requests, or accounts with sessions to be ended, are taken in one turn.
const BATCH: i64 = 200;
/// How many of these are dealt with at once.
const AT_ONCE: usize = 4;

/// Why a password was not replaced, or an address not verified.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// The token is unknown, was used, or has expired.
    #[error("the token for a new password is not good")]
    ResetTokenInvalid,
    /// The token is unknown, was used, or has expired.
    #[error("the token that verifies an address is not good")]
    VerificationTokenInvalid,
    /// It is not their password.
    #[error("the password is wrong")]
    WrongPassword,
    /// The new one would be guessed.
    #[error(transparent)]
    Unfit(#[from] NotAPassword),
    /// There is no such account.
    #[error("there is no such account")]
    NotFound,
    /// It was tried too often; after this time it may be tried again.
    #[error("tried too often")]
    TooOften(Duration),
    /// The password could not be hashed.
    #[error(transparent)]
    Hashing(#[from] HashingError),
    /// The sessions were not ended; a job does it.
    #[error(transparent)]
    Sessions(#[from] SessionError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<ChangeError<Self>> for RecoveryError {
    fn from(error: ChangeError<Self>) -> Self {
        match error {
            ChangeError::NotFound => Self::NotFound,
            ChangeError::Refused(refused) => refused,
            ChangeError::Store(error) => error.into(),
        }
    }
}

impl Auth {
    /// Notes that somebody wants a mail for a new password. Whether there is an account is found out later, by a job: so
    /// neither the answer nor the time it takes tells.
    pub(crate) async fn forget_password(&self, email: TypedEmail, place: &ClientAddress) -> Result<(), RecoveryError> {
        let to_address = [(RESET_MAILS_TO_ADDRESS, email.one_spelling())];
        self.count(RESET_MAILS.of(place).chain(to_address)).await?;
        Ok(self.reset_requests.insert(&ResetRequest::new(email, self.clock.now())).await?)
    }

    /// Has letters written to those who have an account.
    pub(crate) async fn answer_reset_requests(&self) -> Result<(), StoreError> {
        let due = self.reset_requests.due(self.clock.now(), BATCH).await?;
        each(due, AT_ONCE, |request| self.answer_reset_request(request)).await
    }

    async fn answer_reset_request(&self, request: ResetRequest) -> Result<(), StoreError> {
        if self.reset_requests.claim(&request, self.clock.now()).await? {
            self.write_reset_letter(&request).await?;
            self.reset_requests.remove(&request).await?;
        }
        Ok(())
    }

    async fn write_reset_letter(&self, request: &ResetRequest) -> Result<(), StoreError> {
        let user = user_by_email(&self.users, &request.email).await?.filter(|user| user.value.is_active());
        let Some(user) = user else { return Ok(()) };
        let mailbox = tagged_mailbox(user.value.email.as_str()).filter(|_| !request.counted);
        let mailbox = mailbox.map(|mailbox| (RESET_MAILS_TO_MAILBOX, mailbox));
        if self.attempts.count_all(mailbox.as_slice(), self.clock.now()).await?.is_some() {
            tracing::info!(user = %user.value.id, "a mailbox has had as many mails for new passwords as it gets in an hour");
            return Ok(());
        }
        let letter = Letter::new(Note::ResetPassword, self.clock.now());
        let asked = self.users.advance(user.value.id, |current| {
            let event = UserEvent::from(UserPasswordResetRequested { user_id: current.value.id }).by_system();
            let change = Change::new(current.value.clone(), event).pushing(LETTERS, &letter);
            current.value.is_active().then_some(change)
        });
        asked.await.map(drop)
    }

    /// Replaces a forgotten password, and ends all sessions and API keys.
    pub(crate) async fn reset_password(
        &self,
        presented: &str,
        password: ChosenPassword,
        place: &ClientAddress,
    ) -> Result<(), RecoveryError> {
        const PURPOSE: Purpose = Purpose::ResetPassword;
        self.count(TOKENS.of(place)).await?;
        let token = self.token_by(presented, PURPOSE).await?.ok_or(RecoveryError::ResetTokenInvalid)?;
        let owner = self.users.get(token.user_id).await?.ok_or(RecoveryError::NotFound)?.value;
        let password = password.unlike(&owner.about())?;
        let password_hash = self.hashing.place(Whom::Known(token.user_id), place.own())?.hash(password).await?;
        let (user, now) = (token.user_id, self.clock.now());
        let changed = self.users.change(user, |current| {
            if !token.fits(PURPOSE, &current.value, now) {
                return Err(RecoveryError::ResetTokenInvalid);
            }
            let (next, event) = current.value.reset_password(password_hash.clone(), now);
            let ending = ending(&next, None, now);
            Ok(Some(Change::new(next, UserEvent::from(event).by(user)).pushing(ENDINGS, &ending)))
        });
        let changed = changed.await?;
        self.account_tokens.remove(&token.hash).await?;
        self.forgive_failures(&TypedEmail::from(&changed.value.email), place).await?;
        self.end_as_noted(user, &ending(&changed.value, None, now)).await?;
        Ok(self.make_first_admin(&changed).await?)
    }

    /// Replaces the password of somebody who knows it, and ends their API keys, and their sessions but the one that is asking.
    pub(crate) async fn change_password(
        &self,
        (user, session): (UserId, SessionId),
        current: Password,
        new: ChosenPassword,
        place: &ClientAddress,
    ) -> Result<Versioned<User>, RecoveryError> {
        let queued = self.hashing.place(Whom::Known(user), place.own())?;
        self.count([(PASSWORDS_OF_ACCOUNT, user.to_string())]).await?;
        let known = self.users.get(user).await?.ok_or(RecoveryError::NotFound)?.value;
        if !queued.verify(current, Some(&known.password_hash)).await? {
            return Err(RecoveryError::WrongPassword);
        }
        let new = new.unlike(&known.about())?;
        let (password_hash, now) = (queued.hash(new).await?, self.clock.now());
        drop(queued);
        let changed = self.users.change(user, |current| {
            if current.value.password_changes != known.password_changes {
                return Err(RecoveryError::WrongPassword);
            }
            let (next, event) = current.value.change_password(password_hash.clone());
            let ending = ending(&next, Some(session), now);
            Ok(Some(Change::new(next, UserEvent::from(event).by(user)).pushing(ENDINGS, &ending)))
        });
        let changed = changed.await?;
        self.end_as_noted(user, &ending(&changed.value, Some(session), now)).await?;
        Ok(changed)
    }

    async fn end_as_noted(&self, user: UserId, ending: &Ending) -> Result<(), RecoveryError> {
        self.end_sessions_of(user, user, ending.spared).await?;
        self.end_api_keys_of(user).await?;
        Ok(forget_ending(&self.users, user, ending).await?)
    }

    /// Ends the sessions and keys whose end a crash came in between.
    pub(crate) async fn end_forgotten_sessions(&self) -> Result<(), RecoveryError> {
        let left = unfinished_endings(&self.users, self.clock.now(), BATCH).await?;
        each(left, AT_ONCE, |(user, ending)| async move { self.end_as_noted(user, &ending).await }).await
    }

    /// Sends another mail that verifies the address, unless that has been done.
    pub(crate) async fn request_verification(&self, user: UserId) -> Result<(), RecoveryError> {
        self.count([(VERIFICATIONS_OF_ACCOUNT, user.to_string())]).await?;
        let letter = Letter::new(Note::VerifyEmail, self.clock.now());
        let asked = self.users.advance(user, |current| {
            let event = UserEvent::from(UserEmailVerificationRequested { user_id: user }).by(user);
            let change = Change::new(current.value.clone(), event).pushing(LETTERS, &letter);
            (!current.value.has_verified_email()).then_some(change)
        });
        asked.await?.ok_or(RecoveryError::NotFound).map(drop)
    }

    /// Notes that the address is theirs.
    pub(crate) async fn verify_email(&self, presented: &str, place: &ClientAddress) -> Result<(), RecoveryError> {
        const PURPOSE: Purpose = Purpose::VerifyEmail;
        self.count(TOKENS.of(place)).await?;
        let token = self.token_by(presented, PURPOSE).await?.ok_or(RecoveryError::VerificationTokenInvalid)?;
        let now = self.clock.now();
        let verified = self.users.change(token.user_id, |current| {
            if !token.fits(PURPOSE, &current.value, now) {
                return Err(RecoveryError::VerificationTokenInvalid);
            }
            let verified = current.value.verify_email(now);
            Ok(verified.map(|(next, event)| Change::new(next, UserEvent::from(event).by(token.user_id))))
        });
        let verified = verified.await?;
        self.make_first_admin(&verified).await?;
        Ok(self.account_tokens.remove(&token.hash).await?)
    }

    /// The token that is presented, if it is good at this moment.
    async fn token_by(&self, presented: &str, purpose: Purpose) -> Result<Option<AccountToken>, StoreError> {
        let Some(secret) = Secret::parse(presented) else { return Ok(None) };
        let Some(token) = self.account_tokens.get(&secret.hash()).await? else { return Ok(None) };
        let user = self.users.get(token.user_id).await?;
        Ok(user.filter(|user| token.fits(purpose, &user.value, self.clock.now())).map(|_| token))
    }

    /// The mail for a letter that stands with an account. Its token is made only now, so that no readable one is ever stored.
    pub(crate) async fn write(&self, user: String, letter: Letter<Note>) -> Result<Option<Mail>, StoreError> {
        let (note, now) = (letter.about, self.clock.now());
        let user = self.users.get(user).await?.map(|user| user.value);
        let wants = |user: &User| user.is_active() && !(note == Note::VerifyEmail && user.has_verified_email());
        let Some(user) = user.filter(wants) else { return Ok(None) };
        let (token, secret) = AccountToken::issue(note.purpose(), &user, now);
        self.account_tokens.insert(&token).await?;
        Ok(Some(note.content(&self.public_url, &secret).to(user.email, letter.id, now)))
    }

    async fn count(&self, tries: impl IntoIterator<Item = Counted>) -> Result<(), RecoveryError> {
        let tries: Vec<Counted> = tries.into_iter().collect();
        let wait = self.attempts.count_all(&tries, self.clock.now()).await?;
        wait.map_or(Ok(()), |wait| Err(RecoveryError::TooOften(wait)))
    }
}

fn ending(user: &User, spared: Option<SessionId>, at: Time) -> Ending {
    Ending { number: user.password_changes, spared, at }
}
