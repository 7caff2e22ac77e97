//! Who may do what, and who may no longer sign in. There is always an administrator left.

use common::events::{By, UserEvent};
use common::http::Role;
use common::id::UserId;
use common::store::{Change, StoreError, Versioned};

use crate::Auth;
use crate::email::TypedEmail;
use crate::session_life::SessionError;
use crate::store::{Leaving, Removal, Turn, active_admins, user_by_email};
use crate::user::User;

/// How often it is tried again after somebody else was faster.
const ATTEMPTS: usize = 32;

/// Why a role was not changed, or an account not closed.
#[derive(Debug, thiserror::Error)]
pub enum RoleError {
    /// There is no such account.
    #[error("there is no such account")]
    NotFound,
    /// The account was changed since it was looked at.
    #[error("the account was changed since")]
    Changed,
    /// Nobody would be left to manage the others.
    #[error("this is the last administrator; make somebody else one first")]
    LastAdmin,
    /// The sessions could not be ended.
    #[error(transparent)]
    Sessions(#[from] SessionError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Auth {
    /// Gives somebody another role.
    pub(crate) async fn change_role(
        &self,
        user: UserId,
        role: Role,
        by: UserId,
        seen: Option<i64>,
    ) -> Result<Versioned<User>, RoleError> {
        if let Some(seen) = seen {
            let current = self.users.get(user).await?.ok_or(RoleError::NotFound)?;
            if current.version != seen {
                return Err(RoleError::Changed);
            }
        }
        self.apply(user, Removal::Role(role), by).await
    }

    /// Closes an account and ends its sessions; also those that an earlier call, broken off, has left.
    pub(crate) async fn disable(&self, user: UserId, by: UserId) -> Result<Versioned<User>, RoleError> {
        let disabled = self.apply(user, Removal::Disable, by).await?;
        self.end_sessions_of(user, by, None).await?;
        Ok(disabled)
    }

    /// Makes the account administrator whose address `BOOTSTRAP_ADMIN_EMAIL` names, once it has shown that the address is its owner's:
    /// anybody can sign up with it. Where there is an administrator, one whose role was taken away stays without it.
    pub(crate) async fn make_first_admin(&self, user: &Versioned<User>) -> Result<(), StoreError> {
        if self.first_admin.as_ref() != Some(&user.value.email) || active_admins(&self.users).await? > 0 {
            return Ok(());
        }
        let made = self.users.advance(user.value.id, |current| {
            let confirmed = current.value.has_verified_email() && current.value.is_active();
            let (next, event) = current.value.change_role(Role::Admin).filter(|_| confirmed)?;
            Some(Change::new(next, UserEvent::from(event).by_system()))
        });
        made.await.map(drop)
    }

    /// The same at a start, should the variable be newer than the account, or a process have died in between.
    pub(crate) async fn find_first_admin(&self) -> Result<(), StoreError> {
        let Some(address) = &self.first_admin else { return Ok(()) };
        match user_by_email(&self.users, &TypedEmail::from(address)).await? {
            Some(user) => self.make_first_admin(&user).await,
            None => Ok(()),
        }
    }

    async fn apply(&self, user: UserId, removal: Removal, by: UserId) -> Result<Versioned<User>, RoleError> {
        for _ in 0..ATTEMPTS {
            let current = self.users.get(user).await?.ok_or(RoleError::NotFound)?;
            let leaving = Leaving { user, version: current.version, removal, by, at: self.clock.now() };
            let Some(change) = change(&current.value, &leaving) else { return Ok(current) };
            if current.value.is_active_admin() && !change.next.is_active_admin() {
                self.take_turn(leaving).await?;
                continue;
            }
            match self.users.save(&current, change).await {
                Err(StoreError::Conflict) => {}
                saved => return Ok(saved?),
            }
        }
        Err(StoreError::Conflict.into())
    }

    /// Takes an administrator away if it is not the last one and nobody else is being taken away; else finishes that first.
    async fn take_turn(&self, leaving: Leaving) -> Result<(), RoleError> {
        let seen = self.admins.turn().await?;
        if seen.leaving.is_some() {
            return Ok(self.finish(&seen).await?);
        }
        if active_admins(&self.users).await? < 2 {
            return Err(RoleError::LastAdmin);
        }
        match self.admins.claim(&seen, leaving).await? {
            Some(claimed) => Ok(self.finish(&claimed).await?),
            None => Ok(()),
        }
    }

    /// Does what was claimed, unless the account has moved on since, and lets the next one have a turn.
    async fn finish(&self, turn: &Turn) -> Result<(), StoreError> {
        let Some(leaving) = &turn.leaving else { return Ok(()) };
        let current = self.users.get(leaving.user).await?.filter(|user| user.version == leaving.version);
        let change = current.as_ref().and_then(|current| change(&current.value, leaving));
        if let (Some(current), Some(change)) = (&current, change) {
            match self.users.save(current, change).await {
                Ok(_) | Err(StoreError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        self.admins.release(turn).await
    }
}

fn change(user: &User, leaving: &Leaving) -> Option<Change<User>> {
    let (next, event) = match leaving.removal {
        Removal::Role(role) => user.change_role(role).map(|(next, event)| (next, UserEvent::from(event)))?,
        Removal::Disable => user.disable(leaving.at).map(|(next, event)| (next, UserEvent::from(event)))?,
    };
    Some(Change::new(next, event.by(leaving.by)))
}
