//! Starting sessions, keeping them alive, and ending them.

use std::time::Duration;

use common::clock::Time;
use common::events::{By, UserEvent};
use common::http::Page;
use common::http::Paging;
use common::id::{SessionId, UserId};
use common::store::{Change, StoreError, Versioned};

use crate::Auth;
use crate::access_token::{self, SigningError};
use crate::known_browsers::Caller;
use crate::refresh_token::{RefreshRefused, RefreshToken, Use};
use crate::secret::Secret;
use crate::session::{Device, Session};
use crate::store::{live_sessions, sessions_of};
use crate::user::User;

/// Why a session was not started, refreshed or ended.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The refresh token is not taken.
    #[error(transparent)]
    Refused(#[from] RefreshRefused),
    /// There is no such session, or it is somebody else's.
    #[error("there is no such session")]
    NotFound,
    /// The access token could not be signed.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Somebody who is signed in, and the tokens that prove it.
#[derive(Clone, Debug)]
pub(crate) struct SignedIn {
    pub(crate) user: Versioned<User>,
    pub(crate) access: String,
    pub(crate) refresh: Secret,
    /// How long the refresh token lives unless it is used.
    pub(crate) refresh_lives: Duration,
}

impl Auth {
    /// Starts a session of somebody who has proven who they are.
    pub(crate) async fn start_session(&self, user: Versioned<User>, device: Device) -> Result<SignedIn, SessionError> {
        let now = self.clock.now();
        let (session, started) = Session::start(user.value.id, device, now);
        let (token, secret) = RefreshToken::issue(&session, now);
        let session = self.sessions.insert(session, UserEvent::from(started).by(user.value.id)).await?.value;
        // Who replaces a password ends the sessions that there are by then. One that comes later, because the old
        // password was proven a moment before, ends itself.
        let current = self.users.get(user.value.id).await?;
        if current.is_none_or(|current| current.value.password_changes != user.value.password_changes) {
            self.end_session(session.id, None).await?;
            return Err(RefreshRefused::Invalid.into());
        }
        self.refresh_tokens.insert(&token).await?;
        self.signed_in(user, &session, &token, secret)
    }

    /// Notes that somebody has signed in with a browser, and answers with what it keeps from now on.
    pub(crate) async fn know_browser(&self, caller: Caller, user: &User) -> Result<Secret, StoreError> {
        let browser = caller.browser.unwrap_or_else(Secret::generate);
        self.known_browsers.note(&browser, user, self.clock.now()).await?;
        Ok(browser)
    }

    /// Takes a refresh token and gives the next one. One that was used before ends its session.
    pub(crate) async fn refresh(&self, presented: &str) -> Result<SignedIn, SessionError> {
        let (token, session) = self.session_by(presented).await?.ok_or(RefreshRefused::Invalid)?;
        let now = self.clock.now();
        let refused = match token.judge(&session, now) {
            Ok(Use::Next) => None,
            Ok(Use::Again) => (!self.give_up_lost(&token, now).await?).then_some(RefreshRefused::Reused),
            Err(refused) => Some(refused),
        };
        match refused {
            Some(RefreshRefused::Reused) => return Err(self.end_stolen(&session).await?.into()),
            Some(refused) => return Err(refused.into()),
            None => {}
        }
        let user = self
            .users
            .get(session.user_id)
            .await?
            .filter(|user| user.value.is_active())
            .ok_or(RefreshRefused::Invalid)?;
        let (next, secret) = token.succeed(&session, now);
        // The successor is stored before the token is used up: a crash in between leaves the token good for another try.
        self.refresh_tokens.insert(&next).await?;
        if !self.refresh_tokens.use_up(&token.hash, now).await? {
            return Err(self.end_stolen(&session).await?.into());
        }
        self.signed_in(user, &session, &next, secret)
    }

    /// Supersedes what was given for a token and was lost; false if somebody has used it.
    async fn give_up_lost(&self, token: &RefreshToken, now: Time) -> Result<bool, StoreError> {
        let successors = self.refresh_tokens.successors(&token.hash).await?;
        Ok(RefreshToken::were_lost(&successors) && self.refresh_tokens.supersede(&successors, now).await?)
    }

    /// Ends a session of which two have had a token.
    async fn end_stolen(&self, session: &Session) -> Result<RefreshRefused, SessionError> {
        tracing::warn!(session = %session.id, user = %session.user_id, "a refresh token was used twice; its session ends");
        self.end_session(session.id, None).await?;
        Ok(RefreshRefused::Reused)
    }

    fn signed_in(
        &self,
        user: Versioned<User>,
        session: &Session,
        token: &RefreshToken,
        refresh: Secret,
    ) -> Result<SignedIn, SessionError> {
        let access = self.keyring.sign(&access_token::claims(&user, session.id, None, token.issued_at))?;
        Ok(SignedIn { user, access, refresh, refresh_lives: token.expires_at.since(token.issued_at) })
    }

    /// Ends the session that a refresh token belongs to, whatever became of the token.
    pub(crate) async fn end_session_by(&self, presented: &str) -> Result<(), SessionError> {
        match self.session_by(presented).await? {
            Some((_, session)) => self.end_session(session.id, Some(session.user_id)).await,
            None => Ok(()),
        }
    }

    /// Ends one of somebody's own sessions.
    pub(crate) async fn end_own_session(&self, session: SessionId, owner: UserId) -> Result<(), SessionError> {
        let found = self.sessions.get(session).await?.filter(|session| session.value.user_id == owner);
        found.ok_or(SessionError::NotFound)?;
        self.end_session(session, Some(owner)).await
    }

    /// Ends all of somebody's sessions but `spared`.
    pub(crate) async fn end_sessions_of(
        &self,
        user: UserId,
        by: UserId,
        spared: Option<SessionId>,
    ) -> Result<(), SessionError> {
        const BATCH: i64 = 100;
        loop {
            let live = live_sessions(&self.sessions, user, self.clock.now(), spared, BATCH).await?;
            if live.is_empty() {
                return Ok(());
            }
            for session in live {
                self.end_session(session.value.id, Some(by)).await?;
            }
        }
    }

    async fn end_session(&self, session: SessionId, by: Option<UserId>) -> Result<(), SessionError> {
        let now = self.clock.now();
        let ended = self.sessions.advance(session, |current| {
            let (next, event) = current.value.revoke(now)?;
            let event = UserEvent::from(event);
            Some(Change::new(next, by.map_or_else(|| event.clone().by_system(), |by| event.clone().by(by))))
        });
        ended.await?;
        Ok(())
    }

    async fn session_by(&self, presented: &str) -> Result<Option<(RefreshToken, Session)>, StoreError> {
        let Some(secret) = Secret::parse(presented) else { return Ok(None) };
        let Some(token) = self.refresh_tokens.get(&secret.hash()).await? else { return Ok(None) };
        Ok(self.sessions.get(token.session_id).await?.map(|session| (token, session.value)))
    }

    /// Somebody's sessions that go on, and when each was last refreshed.
    ///
    /// A page may have fewer than asked for, because sessions that have been idle for too long are left out.
    pub(crate) async fn sessions_of(
        &self,
        user: UserId,
        paging: &Paging,
        after: Option<SessionId>,
    ) -> Result<Page<(Session, Time)>, StoreError> {
        let now = self.clock.now();
        let rows = sessions_of(&self.sessions, user, now, after.map(|id| id.to_string()), paging.fetch()).await?;
        let page = Page::from_rows(rows, paging, |session| session.value.id);
        let ids: Vec<_> = page.items.iter().map(|session| session.value.id).collect();
        let refreshed = self.refresh_tokens.last_refreshed(&ids, now).await?;
        let alive = |session: Versioned<Session>| refreshed.get(&session.value.id).map(|at| (session.value, *at));
        Ok(Page { items: page.items.into_iter().filter_map(alive).collect(), next_cursor: page.next_cursor })
    }
}
