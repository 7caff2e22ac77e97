//! HTTP in.

pub(crate) mod api_keys;
pub(crate) mod audit;
pub(crate) mod credentials;
pub(crate) mod dev_mail;
pub(crate) mod jwks;
pub(crate) mod people;
pub(crate) mod sessions;
pub(crate) mod sign_in;

use common::clock::Time;
use common::http::{Principal, Problem, Role};
use common::id::UserId;
use common::store::Versioned;
use serde::Serialize;
use utoipa::ToSchema;

use crate::user::User;

/// An account as its owner and administrators see it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Account {
    id: UserId,
    email: String,
    /// Whether the owner has shown that the address is theirs.
    email_verified: bool,
    name: Option<String>,
    role: Role,
    created_at: Time,
    disabled_at: Option<Time>,
    version: i64,
}

impl From<&Versioned<User>> for Account {
    fn from(user: &Versioned<User>) -> Self {
        let Versioned { version, value: user } = user;
        Self {
            id: user.id,
            email: user.email.as_str().to_owned(),
            email_verified: user.has_verified_email(),
            name: user.name.as_ref().map(|name| name.as_str().to_owned()),
            role: user.role,
            created_at: user.created_at,
            disabled_at: user.disabled_at,
            version: *version,
        }
    }
}

/// Keys and sessions are for people to look after: a key cannot make itself more powerful or longer-lived.
fn person(principal: &Principal) -> Result<UserId, Problem> {
    if principal.scopes.is_some() {
        return Err(Problem::forbidden("session_required", "An API key does not allow this. Sign in."));
    }
    Ok(principal.user)
}
