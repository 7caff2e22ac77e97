//! People, their roles and their sessions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::domain_events;
use crate::http::Role;
use crate::id::{ApiKeyId, SessionId, UserId};

domain_events! {
    /// What happens to a person's account and sessions.
    UserEvent in "users", snapshot: "user.snapshot" {
        Created(UserCreated) = "user.created", 1;
        Updated(UserUpdated) = "user.updated", 1;
        RoleChanged(UserRoleChanged) = "user.role-changed", 1;
        Disabled(UserDisabled) = "user.disabled", 1;
        PasswordResetRequested(UserPasswordResetRequested) = "user.password-reset-requested", 1;
        PasswordReset(UserPasswordReset) = "user.password-reset", 1;
        PasswordChanged(UserPasswordChanged) = "user.password-changed", 1;
        EmailVerificationRequested(UserEmailVerificationRequested) = "user.email-verification-requested", 1;
        EmailVerified(UserEmailVerified) = "user.email-verified", 1;
        SignInsRefused(UserSignInsRefused) = "user.sign-ins-refused", 1;
        SessionStarted(SessionStarted) = "session.started", 1;
        SessionRevoked(SessionRevoked) = "session.revoked", 1;
        ApiKeyCreated(ApiKeyCreated) = "api-key.created", 1;
        Snapshot(UserSnapshot) = "user.snapshot", 1;
    }
}

/// Somebody signed up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserCreated {
    /// The person.
    pub user_id: UserId,
    /// Their address.
    pub email: String,
    /// What they want to be called.
    pub name: Option<String>,
    /// What they may do.
    pub role: Role,
}

/// Somebody changed their profile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserUpdated {
    /// The person.
    pub user_id: UserId,
    /// Their address.
    pub email: String,
    /// What they want to be called.
    pub name: Option<String>,
}

/// Somebody was given another role. Access tokens issued for an older version of the account are void.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserRoleChanged {
    /// The person.
    pub user_id: UserId,
    /// What they may do from now on.
    pub role: Role,
}

/// An account was closed by an administrator. All its access tokens are void.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserDisabled {
    /// The person.
    pub user_id: UserId,
}

/// Somebody, who need not be the person, asked for a mail with which a forgotten password can be replaced.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserPasswordResetRequested {
    /// Whose password.
    pub user_id: UserId,
}

/// A forgotten password was replaced by whoever reads the person's mail. All sessions end, each by an event of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserPasswordReset {
    /// Whose password.
    pub user_id: UserId,
}

/// Somebody who knew their password replaced it. Their other sessions end, each by an event of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserPasswordChanged {
    /// Whose password.
    pub user_id: UserId,
}

/// Somebody asked for another mail with which they can show that their address is theirs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserEmailVerificationRequested {
    /// The person.
    pub user_id: UserId,
}

/// Somebody has shown that they read what is sent to their address. Access tokens issued for an older version of the account, which
/// do not say so, are void.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserEmailVerified {
    /// The person.
    pub user_id: UserId,
    /// The address.
    pub email: String,
}

/// So many wrong passwords were given for an account that for a while nobody is let in, from where they came or at all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserSignInsRefused {
    /// Whose account.
    pub user_id: UserId,
}

/// Somebody signed in on a device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionStarted {
    /// The session.
    pub session_id: SessionId,
    /// Whose.
    pub user_id: UserId,
}

/// A session ended before its time: signed out, revoked, or its refresh token was used twice. Its access tokens are void.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionRevoked {
    /// The session.
    pub session_id: SessionId,
    /// Whose.
    pub user_id: UserId,
}

/// Somebody made a key for a machine. Its access tokens have the key's id as their session, so `session.revoked` ends them too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiKeyCreated {
    /// The key.
    pub api_key_id: ApiKeyId,
    /// In whose name the machine acts.
    pub user_id: UserId,
    /// What its owner calls it.
    pub name: String,
}

/// The present state of a person's account. It ends no tokens: the events that did so are told apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserSnapshot {
    /// The person.
    pub user_id: UserId,
    /// Their address.
    pub email: String,
    /// What they want to be called.
    pub name: Option<String>,
    /// What they may do.
    pub role: Role,
    /// Whether the account is closed.
    pub disabled: bool,
}
