//! Passwords as people type them, and what is kept of them.

use std::fmt;

use common::text::{NotOpaque, fold, opaque, searchable_words};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use zxcvbn::Score;

/// The shortest and the longest password, in the characters of Unicode, as NIST SP 800-63B counts them.
const SHORTEST: usize = 8;
const LONGEST: usize = 128;

/// What every Docket has in its name.
const HOUSE: &str = "docket";

/// Why a text is no password.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAPassword {
    /// Too short, or too long.
    #[error("must be {SHORTEST} to {LONGEST} characters")]
    Length,
    /// It cannot be typed everywhere.
    #[error(transparent)]
    Character(#[from] NotOpaque),
    /// Who guesses begins with it.
    #[error(
        "is too easy to guess: many people have it, or it is made of your name or address; a few unusual words are better"
    )]
    Guessable,
}

/// A password that somebody gives as their own; it never shows in logs.
#[derive(Clone, Debug)]
pub struct Password {
    typed: SecretString,
    /// The same [from every keyboard](opaque), where that is another text.
    prepared: Option<SecretString>,
}

impl Password {
    /// Reads what somebody typed.
    ///
    /// # Errors
    /// If it can be nobody's password.
    pub fn parse(typed: SecretString) -> Result<Self, NotAPassword> {
        check_length(typed.expose_secret())?;
        let prepared = opaque(typed.expose_secret()).ok().filter(|prepared| prepared != typed.expose_secret());
        Ok(Self { typed, prepared: prepared.map(SecretString::from) })
    }

    /// What is compared with a hash: the prepared one, and what was typed, as hashes of earlier builds were made of that.
    pub(crate) fn forms(&self) -> impl Iterator<Item = &[u8]> {
        self.prepared.iter().chain([&self.typed]).map(|form| form.expose_secret().as_bytes())
    }
}

/// A password that may become somebody's; it never shows in logs.
#[derive(Clone, Debug)]
pub struct ChosenPassword(SecretString);

impl ChosenPassword {
    /// Reads what somebody typed.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(typed: &SecretString) -> Result<Self, NotAPassword> {
        check_length(typed.expose_secret())?;
        let prepared = opaque(typed.expose_secret())?;
        check_length(&prepared)?;
        Ok(Self(prepared.into()))
    }

    /// Refuses what many people have as their password, and what is made of `about` the person: their name and address.
    ///
    /// # Errors
    /// If who guesses would find it within a million tries.
    pub fn unlike(self, about: &[&str]) -> Result<Self, NotAPassword> {
        let of_person = about.iter().flat_map(|about| [vec![fold(about)], searchable_words(about)].concat());
        let known: Vec<String> = of_person.chain([HOUSE.to_owned()]).collect();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let guessed = [self.0.expose_secret().to_owned(), fold(self.0.expose_secret())];
        let score = guessed.iter().map(|guessed| zxcvbn::zxcvbn(guessed, &known).score()).min();
        if score.is_some_and(|score| score > Score::One) { Ok(self) } else { Err(NotAPassword::Guessable) }
    }

    pub(crate) fn expose(&self) -> &[u8] {
        self.0.expose_secret().as_bytes()
    }
}

fn check_length(text: &str) -> Result<(), NotAPassword> {
    if (SHORTEST..=LONGEST).contains(&text.chars().count()) { Ok(()) } else { Err(NotAPassword::Length) }
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

    fn new(text: &str, about: &[&str]) -> Result<ChosenPassword, NotAPassword> {
        ChosenPassword::parse(&text.into())?.unlike(about)
    }

    #[test]
    fn length_is_counted_in_characters() {
        assert_eq!(parse("1234567").unwrap_err(), NotAPassword::Length);
        assert!(parse("12345678").is_ok(), "it may be the one of an account of before");
        assert_eq!(parse("ééééééé").unwrap_err(), NotAPassword::Length);
        assert!(parse(&"é".repeat(128)).is_ok());
        assert_eq!(parse(&"x".repeat(129)).unwrap_err(), NotAPassword::Length);
        assert_eq!(new("e\u{301}".repeat(7).as_str(), &[]).unwrap_err(), NotAPassword::Length);
    }

    #[test]
    fn a_password_is_compared_as_it_is_kept_and_as_earlier_builds_kept_it() {
        let forms = |text: &str| parse(text).unwrap().forms().map(<[u8]>::to_vec).collect::<Vec<_>>();
        assert_eq!(forms("  hunter22  "), [b"  hunter22  "]);
        assert_eq!(forms("Zoe\u{308} Lee"), ["Zoë Lee".as_bytes(), "Zoe\u{308} Lee".as_bytes()]);
        assert_eq!(forms("tab\tulator"), [b"tab\tulator"]);
        assert_eq!(new("  hunters 22 moons  ", &[]).unwrap().expose(), b"  hunters 22 moons  ");
        assert!(matches!(new("tab\tulator of doom", &[]), Err(NotAPassword::Character(_))));
    }

    #[test]
    fn what_everybody_has_is_refused_and_so_is_what_one_is_called() {
        let about = ["anna.lee@xn--bcher-kva.example", "Zoë O’Connor"];
        for common in [
            "12345678",
            "password1",
            "P@ssw0rd",
            "qwertyuiop",
            "11223344",
            "aaaaaaaa",
            "iloveyou",
            "docket123",
            "DocketDocket",
            "anna.lee@xn--bcher-kva.example",
            "AnnaLee1",
            "oconnor1990",
            "zoeoconnor",
            "ｐａｓｓｗｏｒｄ１",
        ] {
            assert_eq!(new(common, &about).unwrap_err(), NotAPassword::Guessable, "{common}");
        }
        for good in ["docket-demo-2026", "correct horse battery", "kT7#pQ2x", "пароль зимой", "東京の夜は長いです"]
        {
            assert!(new(good, &about).is_ok(), "{good}");
        }
    }

    #[test]
    fn neither_a_password_nor_its_hash_shows() {
        let (typed, new) = (parse("hunter2hunter2").unwrap(), ChosenPassword::parse(&"hunter2hunter2".into()).unwrap());
        let shown = format!("{typed:?} {new:?} {:?}", PasswordHash::new("$argon2id$x".to_owned()));
        assert!(!shown.contains("hunter2") && !shown.contains("argon2id"));
    }
}
