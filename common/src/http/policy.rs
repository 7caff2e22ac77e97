//! Who may use a route. There is no route without a policy.

use actix_web::http::Method;

use super::auth::{Principal, Role};
use super::problem::Problem;

/// Whether a request of this method only reads.
pub(super) fn reads(method: &Method) -> bool {
    [Method::GET, Method::HEAD].contains(method)
}

/// Who may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Everybody. A bad token counts as none.
    Public,
    /// Whoever is signed in.
    SignedIn,
    /// Whoever is signed in and has confirmed their address.
    Confirmed,
    /// Whoever has one of the roles; an admin has them all.
    Roles(&'static [Role]),
    /// Whoever is signed in and has a part in the thing: the handler decides, by the thing itself.
    Owner,
    /// A machine that proves itself by a signature over the body; the handler checks it.
    Webhook,
}

impl Policy {
    /// Whether the policy asks for a principal at all.
    pub fn needs_principal(self) -> bool {
        !matches!(self, Self::Public | Self::Webhook)
    }

    /// Lets the principal pass, or tells why not.
    ///
    /// # Errors
    /// 401 if nobody is signed in, 403 if the address is not confirmed or the role is not enough.
    pub fn admit(self, principal: Option<&Principal>) -> Result<(), Problem> {
        if !self.needs_principal() {
            return Ok(());
        }
        let principal = principal.ok_or_else(Problem::unauthenticated)?;
        match self {
            Self::Roles(roles) if !principal.is_admin() && !roles.contains(&principal.role) => {
                Err(Problem::forbidden("role_required", "Your role does not allow this."))
            }
            Self::Confirmed if !principal.verified => Err(Problem::forbidden("address_not_confirmed", CONFIRM_FIRST)),
            _ => Ok(()),
        }
    }
}

/// What somebody can do whose address is not confirmed.
const CONFIRM_FIRST: &str = "Confirm your e-mail address first: follow the link in the mail that was sent to it, or ask for another \
    mail (POST /api/users/verify-email/request). Then take a new access token.";

impl std::fmt::Display for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Public => f.write_str("public"),
            Self::SignedIn => f.write_str("signed-in"),
            Self::Confirmed => f.write_str("confirmed"),
            Self::Owner => f.write_str("owner"),
            Self::Webhook => f.write_str("webhook"),
            Self::Roles(roles) => {
                let names: Vec<_> = roles.iter().map(ToString::to_string).collect();
                write!(f, "role:{}", names.join("|"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::clock::Time;

    fn person(role: Role) -> Principal {
        let uuid = uuid::Uuid::nil();
        Principal {
            user: uuid.into(),
            session: uuid.into(),
            role,
            verified: false,
            scopes: None,
            user_version: 1,
            issued_at: Time::from_millis(0),
        }
    }

    #[test]
    fn each_policy_admits_whom_it_names() {
        let accountants = Policy::Roles(&[Role::Accountant]);
        let status = |policy: Policy, role: Option<Role>| {
            let admitted = policy.admit(role.map(person).as_ref());
            admitted.map_or_else(|problem| problem.status().as_u16(), |()| 200)
        };
        for (policy, anonymous, member, accountant, admin) in [
            (Policy::Public, 200, 200, 200, 200),
            (Policy::Webhook, 200, 200, 200, 200),
            (Policy::SignedIn, 401, 200, 200, 200),
            (Policy::Owner, 401, 200, 200, 200),
            (accountants, 401, 403, 200, 200),
        ] {
            let roles = [None, Some(Role::Member), Some(Role::Accountant), Some(Role::Admin)];
            assert_eq!(roles.map(|role| status(policy, role)), [anonymous, member, accountant, admin], "{policy}");
            let newer: Role = serde_json::from_value("stagehand".into()).unwrap();
            assert_eq!(status(policy, Some(newer)), member, "{policy}: a role that only a newer build knows");
        }
    }

    #[test]
    fn some_things_want_a_confirmed_address_whatever_the_role() {
        let status = |role: Role, verified: bool| {
            let principal = Principal { verified, ..person(role) };
            Policy::Confirmed.admit(Some(&principal)).map_or_else(|problem| problem.status().as_u16(), |()| 200)
        };
        assert_eq!([Role::Member, Role::Admin].map(|role| (status(role, false), status(role, true))), [(403, 200); 2]);
        assert_eq!(Policy::Confirmed.admit(None).unwrap_err().status().as_u16(), 401);
    }
}
