//! The fields of a listing. Each is parsed once, and right from then on.

use common::clock::Time;
use serde::{Deserialize, Serialize};
use url::Url;

const TITLE: usize = 200;
const DESCRIPTION: usize = 10_000;
const VENUE: usize = 200;
const IMAGE_URL: usize = 2_000;

/// Why a text or number is not what a field takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldFault {
    /// Empty, or too long.
    #[error("must be 1 to {0} characters long")]
    Length(usize),
    /// With a line break or another control character.
    #[error("must be one line of plain text")]
    NotPlain,
    /// Too small or too large.
    #[error("must be a whole number from {0} to {1}")]
    OutOfRange(u32, u32),
    /// Not an address that a browser may load an image from.
    #[error("must be an http or https address of at most {IMAGE_URL} characters")]
    NotAnAddress,
    /// Not a time at which a show may start.
    #[error("must be in 1970 or later")]
    OutOfTime,
}

fn bounded(text: &str, max: usize) -> Result<String, FieldFault> {
    let text = text.trim();
    if (1..=max).contains(&text.chars().count()) { Ok(text.to_owned()) } else { Err(FieldFault::Length(max)) }
}

fn one_line(text: &str, max: usize) -> Result<String, FieldFault> {
    let text = bounded(text, max)?;
    if text.chars().any(char::is_control) { Err(FieldFault::NotPlain) } else { Ok(text) }
}

fn many_lines(text: &str, max: usize) -> Result<String, FieldFault> {
    let text = bounded(text, max)?;
    let plain = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    if text.chars().all(plain) { Ok(text) } else { Err(FieldFault::NotPlain) }
}

fn address(text: &str, max: usize) -> Result<String, FieldFault> {
    let url = Url::parse(text.trim()).map_err(|_| FieldFault::NotAnAddress)?;
    let web = matches!(url.scheme(), "http" | "https") && url.host().is_some();
    let secret = !url.username().is_empty() || url.password().is_some();
    let url = String::from(url);
    if web && !secret && url.len() <= max { Ok(url) } else { Err(FieldFault::NotAnAddress) }
}

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident: $parse:ident, $max:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $name(String);

        impl $name {
            /// Reads it, without the white space around it.
            ///
            /// # Errors
            /// What is wrong with the text.
            pub fn parse(text: &str) -> Result<Self, FieldFault> {
                $parse(text, $max).map(Self)
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0
            }
        }
    )*};
}

texts! {
    /// What a listing is called: one line.
    Title: one_line, TITLE;
    /// What there is to say about it.
    Description: many_lines, DESCRIPTION;
    /// Where it takes place: one line.
    Venue: one_line, VENUE;
    /// The address of a picture on the web.
    ImageUrl: address, IMAGE_URL;
}

macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident: $min:literal to $max:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $name(u32);

        impl $name {
            /// Checks the bounds.
            ///
            /// # Errors
            /// If the number is out of them.
            pub fn parse(number: i64) -> Result<Self, FieldFault> {
                let within = u32::try_from(number).ok().filter(|count| ($min..=$max).contains(count));
                within.map(Self).ok_or(FieldFault::OutOfRange($min, $max))
            }

            /// The number.
            pub fn get(self) -> u32 {
                self.0
            }
        }
    )*};
}

counts! {
    /// How many places there are.
    Quantity: 1 to 1_000_000;
    /// The most places one order may hold.
    PerOrderLimit: 1 to 100;
}

impl Quantity {
    /// One place, where nothing else is said.
    pub const ONE: Self = Self(1);
}

/// When a show starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StartsAt(Time);

impl StartsAt {
    /// It may be in the past, but not before times are counted.
    ///
    /// # Errors
    /// If it is before 1970.
    pub fn parse(time: Time) -> Result<Self, FieldFault> {
        if time.millis() < 0 { Err(FieldFault::OutOfTime) } else { Ok(Self(time)) }
    }

    /// The time.
    pub fn time(self) -> Time {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_one_line_of_1_to_200_characters() {
        assert_eq!(Title::parse("  Jazz am Fluß ").unwrap().as_str(), "Jazz am Fluß");
        assert!(Title::parse(&"ß".repeat(200)).is_ok());
        for (text, fault) in [
            ("", FieldFault::Length(200)),
            (" \t ", FieldFault::Length(200)),
            (&*"x".repeat(201), FieldFault::Length(200)),
            ("two\nlines", FieldFault::NotPlain),
            ("nul\0", FieldFault::NotPlain),
        ] {
            assert_eq!(Title::parse(text), Err(fault), "{text:?}");
        }
    }

    #[test]
    fn a_description_has_many_lines() {
        assert_eq!(Description::parse(" a\r\n\tb ").unwrap().as_str(), "a\r\n\tb");
        assert_eq!(Description::parse("a\u{8}"), Err(FieldFault::NotPlain));
        assert!(Description::parse(&"x".repeat(10_000)).is_ok());
        assert_eq!(Description::parse(&"x".repeat(10_001)), Err(FieldFault::Length(10_000)));
    }

    #[test]
    fn counts_have_bounds() {
        assert_eq!(Quantity::parse(1), Ok(Quantity::ONE));
        assert_eq!(Quantity::parse(1_000_000).map(Quantity::get), Ok(1_000_000));
        for number in [0, -1, 1_000_001, i64::MAX, i64::MIN] {
            assert_eq!(Quantity::parse(number), Err(FieldFault::OutOfRange(1, 1_000_000)), "{number}");
        }
        assert_eq!(PerOrderLimit::parse(100).map(PerOrderLimit::get), Ok(100));
        assert_eq!(PerOrderLimit::parse(101), Err(FieldFault::OutOfRange(1, 100)));
    }

    #[test]
    fn an_image_is_on_the_web() {
        assert_eq!(ImageUrl::parse("https://example.org/a b.png").unwrap().as_str(), "https://example.org/a%20b.png");
        let long = format!("https://example.org/{}", "x".repeat(1_981));
        let refused = [
            "javascript:alert(1)",
            "data:image/png;base64,AA",
            "//example.org/a",
            "a.png",
            "http://",
            "ftp://example.org/a",
            "https://user:secret@example.org/",
            &long,
        ];
        for text in refused {
            assert_eq!(ImageUrl::parse(text), Err(FieldFault::NotAnAddress), "{text}");
        }
    }

    #[test]
    fn a_start_is_not_before_1970() {
        assert!(StartsAt::parse(Time::from_millis(0)).is_ok());
        assert_eq!(StartsAt::parse(Time::from_millis(-1)), Err(FieldFault::OutOfTime));
    }
}
