use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use futures::future::{Ready, ready};

use super::TokenError;
use crate::clock::Time;
use crate::http::{Documented, Problem};
use crate::id::{SessionId, UserId};
use crate::open_enum::open_enum;

open_enum! {
    /// What a person may do beyond their own things.
    pub enum Role {
        /// Everybody who signed up.
        Member = "member",
        /// Runs the task exchange.
        Manager = "manager",
        /// Sees everybody's accounts and statements.
        Accountant = "accountant",
        /// May do everything.
        Admin = "admin",
    }
}

/// Who is asking, proven by an access token. As an argument of a handler: 401 if nobody is signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The person.
    pub user: UserId,
    /// Their sign-in; for a machine, that of its key.
    pub session: SessionId,
    /// What they may do. One whose role this build does not know may do what everybody may.
    pub role: Role,
    /// Whether they have confirmed their address.
    pub verified: bool,
    /// What a machine's key is limited to; a person's session is not limited.
    pub scopes: Option<Vec<String>>,
    /// The version of the user when the token was made.
    pub user_version: i64,
    /// When the token was made, to the second.
    pub issued_at: Time,
}

impl Principal {
    /// Whether it is an administrator.
    pub fn is_admin(&self) -> bool {
        self.role == Role::Admin
    }

    /// Whether the key, if it is one, was made for this: `orders:write` also allows `orders:read`.
    pub fn allows(&self, area: &str, access: &str) -> bool {
        let Some(scopes) = &self.scopes else { return true };
        let granted = |scope: &String| {
            let (of, what) = scope.split_once(':').unwrap_or((scope, "read"));
            (of == area || of == "*") && (what == access || what == "write")
        };
        scopes.iter().any(granted)
    }
}

impl FromRequest for Principal {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(current(request).ok_or_else(Problem::unauthenticated))
    }
}

/// Who is asking, if anybody is signed in. As an argument of a handler: 503 if there is a token and no key to verify it.
#[derive(Clone, Debug)]
pub struct MaybePrincipal(pub Option<Principal>);

impl FromRequest for MaybePrincipal {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        if request.extensions().get::<Unproven>().is_some() {
            return ready(Err(TokenError::NoKeys.into()));
        }
        ready(Ok(Self(current(request))))
    }
}

impl Documented for Principal {}
impl Documented for MaybePrincipal {}

/// Stands in a request whose token could not be verified for lack of keys: whoever asks is somebody, but nobody can say who. A
/// public route that does not care who asks answers all the same.
pub(crate) struct Unproven;

fn current(request: &HttpRequest) -> Option<Principal> {
    request.extensions().get::<Principal>().cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::open_enum::OpenEnum as _;

    fn machine(scopes: &[&str]) -> Principal {
        let uuid = uuid::Uuid::nil();
        Principal {
            user: uuid.into(),
            session: uuid.into(),
            role: Role::Member,
            verified: false,
            scopes: Some(scopes.iter().map(ToString::to_string).collect()),
            user_version: 1,
            issued_at: Time::from_millis(0),
        }
    }

    #[test]
    fn a_key_is_limited_to_its_scopes() {
        let key = machine(&["orders:write", "tickets:read"]);
        assert!(key.allows("orders", "write") && key.allows("orders", "read") && key.allows("tickets", "read"));
        assert!(!key.allows("tickets", "write") && !key.allows("payments", "read"));
        assert!(machine(&["*:read"]).allows("payments", "read"));
        assert!(!machine(&[]).allows("tickets", "read"));
    }

    #[test]
    fn roles_are_written_in_lower_case() {
        for role in Role::KNOWN {
            assert_eq!(serde_json::to_value(role).unwrap(), role.to_string());
            assert_eq!(role.to_string().parse::<Role>().unwrap(), *role);
        }
    }
}
