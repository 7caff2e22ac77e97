//! Passwords as people type them, and what is kept of them.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

/// The text is no password.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 8 to 128 characters")]
pub struct NotAPassword;

/// A password of 8 to 128 characters; it never shows in logs.
#[derive(Clone, Debug)]
pub struct Password(SecretString);

impl Password {
    /// Reads what somebody typed, taken as it is.
    ///
    /// # Errors
    /// [`NotAPassword`].
    pub fn parse(text: SecretString) -> Result<Self, NotAPassword> {
        let valid = (8..=128).contains(&text.expose_secret().chars().count());
        valid.then_some(Self(text)).ok_or(NotAPassword)
    }

    pub(crate) fn expose(&self) -> &[u8] {
        self.0.expose_secret().as_bytes()
    }
}

/// An argon2id hash in PHC form; it never shows in logs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PasswordHash(String);

impl PasswordHash {
    pub(crate) fn new(phc: String) -> Self {
        Self(phc)
    }

    pub(crate) fn as_phc(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Password, NotAPassword> {
        Password::parse(text.into())
    }

    #[test]
    fn length_is_counted_in_characters() {
        assert_eq!(parse("1234567").unwrap_err(), NotAPassword);
        assert!(parse("12345678").is_ok());
        assert_eq!(parse("ééééééé").unwrap_err(), NotAPassword);
        assert!(parse(&"é".repeat(128)).is_ok());
        assert_eq!(parse(&"x".repeat(129)).unwrap_err(), NotAPassword);
    }

    #[test]
    fn space_around_a_password_is_part_of_it() {
        assert_eq!(parse("  hunter22  ").unwrap().expose(), b"  hunter22  ");
    }

    #[test]
    fn neither_a_password_nor_its_hash_shows() {
        let shown = format!("{:?} {:?}", parse("hunter2hunter2").unwrap(), PasswordHash::new("$argon2id$x".to_owned()));
        assert!(!shown.contains("hunter2") && !shown.contains("argon2id"));
    }
}
