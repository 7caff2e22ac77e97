//! Letting in who knows a password, and counting those who do not.
//!
//! A guess is counted before it is looked at: of many at once no more are looked at than one may make. Whoever knows the password gets it
//! back, and so does whoever was not told whether it is right. What a crash keeps from being taken back counts until its window ends.

use std::time::Duration;

use common::clock::Time;
use common::events::users::UserSignInsRefused;
use common::events::{By, UserEvent};
use common::http::ClientAddress;
use common::store::{Change, StoreError, Versioned};
use tokio::try_join;

use crate::Auth;
use crate::accounts::AccountError;
use crate::email::TypedEmail;
use crate::hashing::{HashingError, Whom};
use crate::known_browsers::{Caller, KnownBrowser};
use crate::limits::{
    Counted, WRONG_PASSWORDS, WRONG_PASSWORDS_BY, WRONG_PASSWORDS_FOR_ADDRESS, WRONG_PASSWORDS_IN_BROWSER,
};
use crate::password::Password;
use crate::store::{Try, user_by_email};
use crate::user::User;

/// What there is of an address and a caller.
struct Found {
    /// The account with the address, if it is open.
    user: Option<Versioned<User>>,
    whom: Whom,
    failures: Failures,
    /// What is forgotten of one who knows the password.
    forgiven: Vec<Counted>,
    /// How long to wait, if too many have failed already.
    wait: Option<Duration>,
}

impl Auth {
    /// Who has this address and password, as a caller says. Wrong ones are counted, whether or not there is an account. Once it has
    /// begun it must come to an end, also when the caller is `gone`: else what was counted is not taken back.
    pub(crate) async fn authenticate(
        &self,
        email: &TypedEmail,
        password: Password,
        caller: &Caller,
        gone: impl Future<Output = ()>,
    ) -> Result<Versioned<User>, AccountError> {
        let now = self.clock.now();
        // Before anything is read, where that can tell nothing else: in a flood of strangers nobody waits for what those read who are refused.
        let stranger = caller.browser.is_none().then(|| self.hashing.place(Whom::Stranger, caller.place.own()));
        let stranger = stranger.transpose()?;
        let found = self.find(email, caller, now).await?;
        if let Some(wait) = found.wait {
            return Err(AccountError::TooOften(wait));
        }
        // Before it is counted: for whom there is no place, no password is looked at.
        let place = stranger.map_or_else(|| self.hashing.place(found.whom, caller.place.own()), Ok)?;
        let tries = self.attempts.begin(&found.failures.all, now).await?;
        if let Some(wait) = Try::wait(&tries, now) {
            warn_if_left(self.attempts.take_back(&tries).await);
            return Err(AccountError::TooOften(wait));
        }
        let hash = found.user.as_ref().map(|user| &user.value.password_hash);
        let verdict = place.verify_unless(gone, password, hash).await;
        drop(place);
        self.settle(verdict, found, &tries).await
    }

    /// Asked for whether or not there is an account, and all at once: so the time it takes tells nothing of that.
    async fn find(&self, email: &TypedEmail, caller: &Caller, now: Time) -> Result<Found, StoreError> {
        let browser = caller.browser.as_ref();
        let in_browser = browser.map(|browser| Failures::in_browser(KnownBrowser::hash(browser, email).as_str()));
        let anywhere = Failures::of(email, &caller.place);
        let of_browser = in_browser.as_ref().map_or_else(Vec::new, |counted| counted.all.clone());
        let counted = [of_browser.as_slice(), &anywhere.all].concat();
        let kept = async {
            match browser {
                Some(browser) => self.known_browsers.get(browser, email).await,
                None => Ok(None),
            }
        };
        let (kept, user, waits) =
            try_join!(kept, user_by_email(&self.users, email), self.attempts.waits(&counted, now))?;
        let user = user.filter(|user| user.value.is_active());
        let (waits_in_browser, waits) = waits.split_at(of_browser.len());
        let known = user.as_ref().filter(|user| kept.is_some_and(|kept| kept.is_of(&user.value, now)));
        let (whom, failures, waits) = match (known, in_browser) {
            (Some(known), Some(failures)) => (Whom::Known(known.value.id), failures, waits_in_browser),
            _ => (Whom::Stranger, anywhere, waits),
        };
        let wait = waits.iter().flatten().max().copied();
        // The browser too, which was not known for a while after a reset of the password.
        let forgiven = failures.of_caller().iter().cloned().chain(of_browser).collect();
        Ok(Found { whom, failures, forgiven, wait, user })
    }

    /// Whom a looked-at password lets in, and what becomes of the count.
    async fn settle(
        &self,
        verdict: Result<bool, HashingError>,
        found: Found,
        tries: &[Try],
    ) -> Result<Versioned<User>, AccountError> {
        let Found { user, failures, forgiven, .. } = found;
        match (verdict, user) {
            (Ok(true), Some(user)) => {
                let shared = &tries[failures.of_caller().len()..];
                let settled = try_join!(self.attempts.forget(&forgiven), self.attempts.take_back(shared));
                warn_if_left(settled.map(drop));
                Ok(user)
            }
            (Ok(_), user) => {
                let used_up = self.attempts.fail(tries).await?;
                if used_up[..failures.of_address].contains(&true) {
                    self.tell_of_refusals(user).await?;
                }
                Err(AccountError::InvalidCredentials)
            }
            (Err(error), _) => {
                warn_if_left(self.attempts.take_back(tries).await);
                Err(error.into())
            }
        }
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
}

/// What stays counted costs its owner one try until the window ends, and nobody is refused for it now.
fn warn_if_left(taken_back: Result<(), StoreError>) {
    if let Err(error) = taken_back {
        tracing::warn!(%error, "a sign-in stays counted as a wrong password");
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
