//! Browsers in which the owner of an account has signed in before.
//!
//! Strangers who guess a password are made to wait, from wherever they come; the owner must not wait with them. A browser in which
//! somebody has signed in keeps a secret, of which the hash stands here together with the address that was signed in to. Whoever
//! presents it is counted by itself: it may guess as often as one place may, and waits for nobody else. It lets nobody in without the
//! password, and it ends when the password is replaced.

use std::time::Duration;

use common::clock::Time;
use common::http::ClientAddress;
use serde::{Deserialize, Serialize};

use crate::email::TypedEmail;
use crate::secret::{Secret, SecretHash};
use crate::user::User;

/// How long a browser is known after a sign-in.
pub const LIVES: Duration = Duration::from_secs(180 * 24 * 3600);

/// Who wants in: from where, and with which browser.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Where they come from.
    pub place: ClientAddress,
    /// What the browser keeps, if it keeps something.
    pub browser: Option<Secret>,
}

/// What is kept of a browser and an address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KnownBrowser {
    /// The hash of both.
    #[serde(rename = "_id")]
    pub hash: SecretHash,
    /// How often the password had been replaced at the sign-in.
    pub password_changes: i64,
    /// When it is forgotten.
    pub expires_at: Time,
}

impl KnownBrowser {
    /// A browser in which somebody has just signed in.
    pub fn of(browser: &Secret, user: &User, now: Time) -> Self {
        let hash = Self::hash(browser, &TypedEmail::from(&user.email));
        Self { hash, password_changes: user.password_changes, expires_at: now + LIVES }
    }

    /// Under which hash a browser is known for an address, however it is spelled.
    pub fn hash(browser: &Secret, email: &TypedEmail) -> SecretHash {
        browser.hash_for(&email.one_spelling())
    }

    /// Whether it is known for the account as it is now.
    pub fn is_of(&self, user: &User, now: Time) -> bool {
        self.password_changes == user.password_changes && now < self.expires_at
    }
}
