//! E-mail addresses: one person, one spelling.

use email_address::{EmailAddress, Options};
use serde::{Deserialize, Serialize};

const LONGEST: usize = 254;

/// The text is no e-mail address.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an e-mail address of at most 254 characters, such as ana@example.org")]
pub struct NotAnEmail;

/// An e-mail address without space around it and in lower case, so that equal addresses are equal texts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Email(String);

impl Email {
    /// Reads what somebody typed.
    ///
    /// # Errors
    /// [`NotAnEmail`].
    pub fn parse(text: &str) -> Result<Self, NotAnEmail> {
        let plain = Options::default().without_display_text().without_domain_literal();
        let normal = text.trim().to_lowercase();
        let valid = normal.len() <= LONGEST && EmailAddress::parse_with_options(&normal, plain).is_ok();
        valid.then_some(Self(normal)).ok_or(NotAnEmail)
    }

    /// The address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Email {
    type Error = NotAnEmail;

    fn try_from(text: String) -> Result<Self, NotAnEmail> {
        Self::parse(&text)
    }
}

impl From<Email> for String {
    fn from(email: Email) -> Self {
        email.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_address_are_one_address() {
        let email = Email::parse("  Ana.Lee@Example.ORG ").unwrap();
        assert_eq!(email.as_str(), "ana.lee@example.org");
        assert_eq!(Email::parse(email.as_str()).unwrap(), email);
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let too_long = format!("{}@example.org", "a.".repeat(130));
        for text in [
            "",
            "ana",
            "ana@",
            "@example.org",
            "a b@example.org",
            "Ana <ana@example.org>",
            "ana@[127.0.0.1]",
            &too_long,
        ] {
            assert_eq!(Email::parse(text), Err(NotAnEmail), "{text:?}");
        }
    }
}
