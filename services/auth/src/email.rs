//! E-mail addresses: one person, one spelling.

use common::text::{AddressFault, mail_address};
use serde::{Deserialize, Serialize};

/// An e-mail address in its [one spelling](mail_address), so that equal addresses are equal texts. One that was stored may still
/// have the spelling of an earlier build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Email(String);

impl Email {
    /// Reads what somebody typed.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, AddressFault> {
        mail_address(text).map(Self)
    }

    /// The address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Email> for String {
    fn from(email: Email) -> Self {
        email.0
    }
}

/// What somebody gives as the address of an account that there may or may not be, in the spelling of earlier builds: without
/// space around it, and in lower case. By that alone an account is found whose address is not in its one spelling: it has not
/// been brought to it yet, or another account has that one, or it is none by the rules of today.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TypedEmail(String);

/// The longest address of earlier builds, in bytes.
const LONGEST: usize = 254;

impl TypedEmail {
    /// Reads what somebody typed.
    ///
    /// # Errors
    /// If it can be nobody's address.
    pub fn parse(text: &str) -> Result<Self, AddressFault> {
        let typed = text.trim().to_lowercase();
        match mail_address(text) {
            Err(fault) if !typed.contains('@') || typed.len() > LONGEST => Err(fault),
            _ => Ok(Self(typed)),
        }
    }

    /// The spellings by which the account is looked for. The first is the one that was typed: of two accounts of one address,
    /// each is found as its owner has always written it.
    pub fn spellings(&self) -> Vec<String> {
        let Ok(normal) = mail_address(&self.0) else { return vec![self.0.clone()] };
        let readable = normal.rsplit_once('@').map(|(local, domain)| format!("{local}@{}", readable(domain)));
        let mut spellings = vec![self.0.clone(), normal];
        spellings.extend(readable);
        spellings.dedup();
        spellings
    }

    /// The one spelling, by which tries are counted: another one gives nobody more of them.
    pub fn one_spelling(&self) -> String {
        mail_address(&self.0).unwrap_or_else(|_| self.0.clone())
    }
}

impl From<&Email> for TypedEmail {
    fn from(email: &Email) -> Self {
        Self(email.0.clone())
    }
}

/// The name of a domain in its own script, as earlier builds kept it.
fn readable(domain: &str) -> String {
    idna::domain_to_unicode(domain).0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_read_as_it_stands() {
        let stored: Email = serde_json::from_str("\"\u{FF41}nna@bücher\"").unwrap();
        assert_eq!(stored.as_str(), "\u{FF41}nna@bücher");
    }

    #[test]
    fn an_account_is_looked_for_as_it_was_typed_and_in_its_one_spelling() {
        for (typed, spellings) in [
            (" Ana@Example.org ", &["ana@example.org"][..]),
            ("Ａnna@Bücher.example", &["ａnna@bücher.example", "anna@xn--bcher-kva.example", "anna@bücher.example"]),
            ("anna@xn--bcher-kva.example", &["anna@xn--bcher-kva.example", "anna@bücher.example"]),
            ("\"Ana\"@example.org", &["\"ana\"@example.org"]),
        ] {
            assert_eq!(TypedEmail::parse(typed).unwrap().spellings(), spellings, "{typed}");
        }
        let counted = |typed: &str| TypedEmail::parse(typed).unwrap().one_spelling();
        assert_eq!(counted("Ａnna@Bücher.example"), counted("anna@xn--bcher-kva.example"));
        assert!(TypedEmail::parse("ana").is_err());
        assert!(TypedEmail::parse(&format!("{}@example.org", "\u{1F600}".repeat(100))).is_err());
    }
}
