//! People's accounts: who they are, what they may do, and whether they may sign in.

use common::clock::Time;
use common::events::users::{
    UserCreated, UserDisabled, UserEmailVerified, UserPasswordChanged, UserPasswordReset, UserRoleChanged,
    UserSnapshot, UserUpdated,
};
use common::http::Role;
use common::id::UserId;
use common::text::{fold, searchable_words};
use serde::{Deserialize, Serialize};

use crate::display_name::DisplayName;
use crate::email::Email;
use crate::password::PasswordHash;

/// An account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// The account's id.
    #[serde(rename = "_id")]
    pub id: UserId,
    /// The address, unique among accounts.
    pub email: Email,
    /// What they want to be called.
    pub name: Option<DisplayName>,
    /// What they may do.
    pub role: Role,
    /// What is kept of the password.
    pub password_hash: PasswordHash,
    /// How often the password was replaced. What was proven or granted for an earlier password is void.
    #[serde(default)]
    pub password_changes: i64,
    /// When they first showed that they read what is sent to the address.
    #[serde(default)]
    pub email_verified_at: Option<Time>,
    /// When they signed up.
    pub created_at: Time,
    /// When an administrator closed the account.
    pub disabled_at: Option<Time>,
    /// What a search finds the account by: the address, its words and those of the name, folded.
    pub(crate) search: Vec<String>,
    /// By which rules address and search terms are spelled; none of builds that had none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) spelled: Option<i32>,
    /// The one spelling of the address, where another account has it, so that this one keeps its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collides: Option<String>,
}

/// The present rules of spelling.
const SPELLED: i32 = 1;

/// What a sign-up brings.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// The address.
    pub email: Email,
    /// What they want to be called.
    pub name: Option<DisplayName>,
    /// The hash of the password they chose.
    pub password_hash: PasswordHash,
    /// What they may do.
    pub role: Role,
}

impl User {
    /// A new account.
    pub fn sign_up(new: NewUser, now: Time) -> (Self, UserCreated) {
        let user = Self {
            id: UserId::generate(now),
            search: search_terms(&new.email, new.name.as_ref()),
            email: new.email,
            name: new.name,
            role: new.role,
            password_hash: new.password_hash,
            password_changes: 0,
            email_verified_at: None,
            created_at: now,
            disabled_at: None,
            spelled: Some(SPELLED),
            collides: None,
        };
        let event = UserCreated { user_id: user.id, email: user.email_text(), name: user.name_text(), role: user.role };
        (user, event)
    }

    /// The event that tells the account's present state.
    pub fn told(&self) -> UserSnapshot {
        let (email, name) = (self.email_text(), self.name_text());
        UserSnapshot { user_id: self.id, email, name, role: self.role, disabled: !self.is_active() }
    }

    /// Gives them another name; `None` if it is theirs already.
    pub fn rename(&self, name: DisplayName) -> Option<(Self, UserUpdated)> {
        if self.name.as_ref() == Some(&name) {
            return None;
        }
        let search = search_terms(&self.email, Some(&name));
        let next = Self { name: Some(name), search, ..self.clone() };
        let event = UserUpdated { user_id: self.id, email: next.email_text(), name: next.name_text() };
        Some((next, event))
    }

    /// The account by the present rules of spelling, as it stands if its address is none by them; and the event that says so,
    /// where the address becomes another.
    pub fn respelled(&self) -> (Self, Option<UserUpdated>) {
        let email = Email::parse(self.email.as_str()).unwrap_or_else(|_| self.email.clone());
        let event = || UserUpdated { user_id: self.id, email: email.as_str().to_owned(), name: self.name_text() };
        let told = (email != self.email).then(event);
        let search = search_terms(&email, self.name.as_ref());
        (Self { email, search, spelled: Some(SPELLED), ..self.clone() }, told)
    }

    /// The account by the present rules of spelling, but with the address it has: another account has the right one.
    pub fn colliding(&self) -> Self {
        let (right, _) = self.respelled();
        let collides = Some(right.email_text());
        Self { email: self.email.clone(), search: search_terms(&self.email, self.name.as_ref()), collides, ..right }
    }

    /// What a password should not be made of.
    pub fn about(&self) -> Vec<&str> {
        [Some(self.email.as_str()), self.name.as_ref().map(DisplayName::as_str)].into_iter().flatten().collect()
    }

    /// Gives them another role; `None` if it is theirs already.
    pub fn change_role(&self, role: Role) -> Option<(Self, UserRoleChanged)> {
        (self.role != role).then(|| (Self { role, ..self.clone() }, UserRoleChanged { user_id: self.id, role }))
    }

    /// Replaces the password by one that its owner chose, knowing the old one.
    pub fn change_password(&self, password_hash: PasswordHash) -> (Self, UserPasswordChanged) {
        (self.with_password(password_hash), UserPasswordChanged { user_id: self.id })
    }

    /// Replaces a forgotten password. Who does that reads what is sent to the address, so the address is verified too.
    pub fn reset_password(&self, password_hash: PasswordHash, now: Time) -> (Self, UserPasswordReset) {
        let email_verified_at = self.email_verified_at.or(Some(now));
        (Self { email_verified_at, ..self.with_password(password_hash) }, UserPasswordReset { user_id: self.id })
    }

    fn with_password(&self, password_hash: PasswordHash) -> Self {
        Self { password_hash, password_changes: self.password_changes + 1, ..self.clone() }
    }

    /// Notes that the address is theirs; `None` if that is known.
    pub fn verify_email(&self, now: Time) -> Option<(Self, UserEmailVerified)> {
        let event = || UserEmailVerified { user_id: self.id, email: self.email_text() };
        (!self.has_verified_email()).then(|| (Self { email_verified_at: Some(now), ..self.clone() }, event()))
    }

    /// Whether they have shown that the address is theirs.
    pub fn has_verified_email(&self) -> bool {
        self.email_verified_at.is_some()
    }

    /// Closes the account; `None` if it is closed already.
    pub fn disable(&self, now: Time) -> Option<(Self, UserDisabled)> {
        let closed = || (Self { disabled_at: Some(now), ..self.clone() }, UserDisabled { user_id: self.id });
        self.is_active().then(closed)
    }

    /// Whether they may sign in.
    pub fn is_active(&self) -> bool {
        self.disabled_at.is_none()
    }

    /// Whether they count when administrators are counted.
    pub fn is_active_admin(&self) -> bool {
        self.is_active() && self.role == Role::Admin
    }

    fn email_text(&self) -> String {
        self.email.as_str().to_owned()
    }

    fn name_text(&self) -> Option<String> {
        self.name.as_ref().map(|name| name.as_str().to_owned())
    }
}

fn search_terms(email: &Email, name: Option<&DisplayName>) -> Vec<String> {
    let texts = [Some(email.as_str()), name.map(DisplayName::as_str)];
    let words = texts.into_iter().flatten().flat_map(searchable_words);
    std::iter::once(fold(email.as_str())).chain(words).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ana() -> User {
        let new = NewUser {
            email: Email::parse("ana@example.org").unwrap(),
            name: None,
            password_hash: PasswordHash::new("$argon2id$".to_owned()),
            role: Role::Member,
        };
        User::sign_up(new, Time::from_millis(1)).0
    }

    #[test]
    fn what_changes_nothing_raises_no_event() {
        let (ana, _) = ana().rename(DisplayName::parse("Ana Lee").unwrap()).unwrap();
        assert!(ana.rename(DisplayName::parse("Ana Lee").unwrap()).is_none());
        assert!(ana.change_role(Role::Member).is_none());
        let (closed, _) = ana.disable(Time::from_millis(2)).unwrap();
        assert!(closed.disable(Time::from_millis(3)).is_none());
    }

    #[test]
    fn who_resets_a_password_has_shown_that_the_address_is_theirs() {
        let now = Time::from_millis(2);
        let (reset, _) = ana().reset_password(PasswordHash::new("$argon2id$new".to_owned()), now);
        assert_eq!((reset.password_changes, reset.email_verified_at), (1, Some(now)));
        assert!(reset.verify_email(now).is_none());
        let (changed, _) = ana().change_password(reset.password_hash.clone());
        assert_eq!((changed.password_changes, changed.has_verified_email()), (1, false));
        assert_eq!(changed.verify_email(now).unwrap().1.email, "ana@example.org");
    }

    #[test]
    fn a_search_finds_by_address_and_by_each_word_of_the_name() {
        let (ana, event) = ana().rename(DisplayName::parse("Zoë O’Neil").unwrap()).unwrap();
        assert_eq!(ana.search, ["ana@example.org", "ana", "example", "org", "zoe", "oneil", "o", "neil"]);
        assert_eq!(event.name.as_deref(), Some("Zoë O’Neil"));
    }

    #[test]
    fn an_account_of_an_earlier_build_is_brought_to_one_spelling() {
        let stored = |email: &str| {
            let email = serde_json::from_value(email.into()).unwrap();
            User { email, search: vec!["before".to_owned()], spelled: None, ..ana() }
        };
        let (right, told) = stored("ａnna@bücher.example").respelled();
        assert_eq!(told.unwrap().email, "anna@xn--bcher-kva.example");
        assert_eq!((right.email.as_str(), &right.search[0]), ("anna@xn--bcher-kva.example", &right.email_text()));
        assert_eq!(right.respelled(), (right.clone(), None), "once is enough");
        for kept in ["ana@example.org", "\"ana\"@example.org"] {
            let (right, told) = stored(kept).respelled();
            assert_eq!((right.email.as_str(), right.spelled, told), (kept, Some(SPELLED), None));
        }
        let colliding = stored("ａnna@bücher.example").colliding();
        assert_eq!((colliding.email.as_str(), colliding.spelled), ("ａnna@bücher.example", Some(SPELLED)));
        assert_eq!(colliding.collides.as_deref(), Some("anna@xn--bcher-kva.example"));
    }

    #[test]
    fn a_closed_admin_does_not_count_as_admin() {
        let (admin, _) = ana().change_role(Role::Admin).unwrap();
        assert!(admin.is_active_admin());
        assert!(!admin.disable(Time::from_millis(2)).unwrap().0.is_active_admin());
    }
}
