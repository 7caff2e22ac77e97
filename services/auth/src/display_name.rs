//! Names that people give themselves and their keys.

use serde::{Deserialize, Serialize};

const LONGEST: usize = 100;

/// The text is no name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 100 characters, without line breaks")]
pub struct NotAName;

/// A name of 1 to 100 characters on one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DisplayName(String);

impl DisplayName {
    /// Reads what somebody typed; space around it does not count.
    ///
    /// # Errors
    /// [`NotAName`].
    pub fn parse(text: &str) -> Result<Self, NotAName> {
        let name = text.trim();
        let valid = (1..=LONGEST).contains(&name.chars().count()) && !name.chars().any(char::is_control);
        valid.then(|| Self(name.to_owned())).ok_or(NotAName)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for DisplayName {
    type Error = NotAName;

    fn try_from(text: String) -> Result<Self, NotAName> {
        Self::parse(&text)
    }
}

impl From<DisplayName> for String {
    fn from(name: DisplayName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_is_counted_in_characters() {
        assert_eq!(DisplayName::parse(" Zoë ").unwrap().as_str(), "Zoë");
        assert!(DisplayName::parse(&"ë".repeat(100)).is_ok());
        assert_eq!(DisplayName::parse(&"e".repeat(101)), Err(NotAName));
        assert_eq!(DisplayName::parse("   "), Err(NotAName));
        assert_eq!(DisplayName::parse("Ana\nLee"), Err(NotAName));
    }
}
