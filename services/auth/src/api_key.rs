//! API keys: a machine's way in, exchanged for short access tokens that can do no more than the key's scopes say.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use common::clock::Time;
use common::events::users::{ApiKeyCreated, SessionRevoked};
use common::id::{ApiKeyId, SessionId, UserId};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::display_name::DisplayName;
use crate::secret::{Secret, SecretHash};
use crate::user::User;

const PREFIX: &str = "dkt";

/// A key as it is kept: without its secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiKey {
    /// The key's id.
    #[serde(rename = "_id")]
    pub id: ApiKeyId,
    /// In whose name the machine acts.
    pub user_id: UserId,
    /// What its owner calls it.
    pub name: DisplayName,
    /// What it is limited to.
    pub scopes: BTreeSet<Scope>,
    secret_hash: SecretHash,
    /// When it was made.
    pub created_at: Time,
    /// When its owner took it back.
    pub revoked_at: Option<Time>,
    /// When an access token was last taken for it, as far as is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Time>,
    /// How often the password had been replaced when it was made; `None` in builds before, as if it had never been.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    password_changes: Option<i64>,
}

impl ApiKey {
    /// A new key, and the text that its owner sees this once.
    pub fn create(
        owner: &User,
        name: DisplayName,
        scopes: BTreeSet<Scope>,
        now: Time,
    ) -> (Self, ApiKeyCreated, SecretString) {
        let (id, secret) = (ApiKeyId::generate(now), Secret::generate());
        let shown = format!("{PREFIX}_{id}_{}", secret.expose());
        let event = ApiKeyCreated { api_key_id: id, user_id: owner.id, name: name.as_str().to_owned() };
        let key = Self {
            id,
            user_id: owner.id,
            name,
            scopes,
            secret_hash: secret.hash(),
            created_at: now,
            revoked_at: None,
            last_used_at: None,
            password_changes: Some(owner.password_changes),
        };
        (key, event, shown.into())
    }

    /// Takes it back, with all access tokens that came of it; `None` if it was taken back already.
    pub fn revoke(&self, now: Time) -> Option<(Self, SessionRevoked)> {
        let event = SessionRevoked { session_id: self.session(), user_id: self.user_id };
        self.revoked_at.is_none().then(|| (Self { revoked_at: Some(now), ..self.clone() }, event))
    }

    /// Whether this is the key that was presented, and it is still good.
    pub fn admits(&self, presented: &PresentedKey) -> bool {
        self.revoked_at.is_none() && self.id == presented.id && self.secret_hash == presented.secret.hash()
    }

    /// Whether it was made for the password that its owner has now: what was granted for an earlier one is void.
    pub fn is_of(&self, owner: &User) -> bool {
        self.password_changes.unwrap_or_default() == owner.password_changes
    }

    /// The session of all its access tokens.
    pub fn session(&self) -> SessionId {
        self.id.uuid().into()
    }

    /// Its scopes as a token's claim has them.
    pub fn scope_claim(&self) -> String {
        self.scopes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }
}

/// A key as a machine presents it: `dkt_<id>_<secret>`.
#[derive(Clone, Debug)]
pub struct PresentedKey {
    /// Which key it claims to be.
    pub id: ApiKeyId,
    secret: Secret,
}

impl PresentedKey {
    /// Reads what a machine presents; `None` if it cannot be a key.
    pub fn parse(text: &str) -> Option<Self> {
        let (id, secret) = text.strip_prefix(PREFIX)?.strip_prefix('_')?.split_once('_')?;
        Some(Self { id: id.parse().ok()?, secret: Secret::parse(secret)? })
    }
}

/// The text is no scope.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 20 scopes such as tickets:read, orders:write or *:read")]
pub struct NotScopes;

/// One thing that a key may do: read or write in an area of the API, or (`*`) in all of them. Writing includes reading.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Scope(String);

impl Scope {
    /// Reads a list of scopes.
    ///
    /// # Errors
    /// [`NotScopes`].
    pub fn parse_all(texts: &[String]) -> Result<BTreeSet<Self>, NotScopes> {
        if !(1..=20).contains(&texts.len()) {
            return Err(NotScopes);
        }
        texts.iter().map(|text| text.parse()).collect()
    }
}

impl FromStr for Scope {
    type Err = NotScopes;

    fn from_str(text: &str) -> Result<Self, NotScopes> {
        let (area, access) = text.split_once(':').ok_or(NotScopes)?;
        let plain = |c: char| c.is_ascii_lowercase() || c == '-';
        let area_is_known = area == "*" || ((1..=32).contains(&area.len()) && area.chars().all(plain));
        (area_is_known && matches!(access, "read" | "write")).then(|| Self(text.to_owned())).ok_or(NotScopes)
    }
}

impl TryFrom<String> for Scope {
    type Error = NotScopes;

    fn try_from(text: String) -> Result<Self, NotScopes> {
        text.parse()
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.0
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use common::http::Role;
    use secrecy::ExposeSecret;

    use super::*;
    use crate::email::Email;
    use crate::password::PasswordHash;
    use crate::user::NewUser;

    const NOW: Time = Time::from_millis(1_795_000_000_000);

    fn owner() -> User {
        let (email, password_hash) =
            (Email::parse("ana@example.org").unwrap(), PasswordHash::new("$argon2id$".to_owned()));
        User::sign_up(NewUser { email, name: None, password_hash, role: Role::Member }, NOW).0
    }

    fn key() -> (ApiKey, SecretString) {
        let scopes = Scope::parse_all(&["tickets:write".to_owned(), "*:read".to_owned()]).unwrap();
        let (key, _, shown) = ApiKey::create(&owner(), DisplayName::parse("till").unwrap(), scopes, NOW);
        (key, shown)
    }

    #[test]
    fn a_key_is_known_again_by_what_was_shown() {
        let (key, shown) = key();
        assert!(key.admits(&PresentedKey::parse(shown.expose_secret()).unwrap()));
        let forged = format!("dkt_{}_{}", key.id, Secret::generate().expose());
        assert!(!key.admits(&PresentedKey::parse(&forged).unwrap()));
        for garbage in ["", "dkt", "dkt__", "dkt_x_y", shown.expose_secret().trim_start_matches("dkt_")] {
            assert!(PresentedKey::parse(garbage).is_none(), "{garbage}");
        }
    }

    #[test]
    fn a_revoked_key_admits_nobody_and_ends_its_session() {
        let (key, shown) = key();
        let (revoked, event) = key.revoke(NOW).unwrap();
        assert_eq!(event.session_id, key.session());
        assert!(!revoked.admits(&PresentedKey::parse(shown.expose_secret()).unwrap()));
        assert!(revoked.revoke(NOW).is_none());
    }

    #[test]
    fn a_key_is_of_the_password_it_was_made_for() {
        let changed = owner().change_password(PasswordHash::new("$argon2id$new".to_owned())).0;
        let older = ApiKey { password_changes: None, ..key().0 };
        assert!(key().0.is_of(&owner()) && !key().0.is_of(&changed));
        assert!(older.is_of(&owner()) && !older.is_of(&changed), "nobody knows which password it was made for");
    }

    #[test]
    fn scopes_name_an_area_and_an_access() {
        assert_eq!(key().0.scope_claim(), "*:read tickets:write");
        for wrong in ["", "tickets", "tickets:", ":read", "tickets:delete", "Tickets:read", "a b:read", "*:*"] {
            assert_eq!(wrong.parse::<Scope>(), Err(NotScopes), "{wrong}");
        }
        assert_eq!(Scope::parse_all(&[]), Err(NotScopes));
    }
}
