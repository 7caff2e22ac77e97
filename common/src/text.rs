//! What people type. Every such field of every service is read here, once, into a type of its own; inner code never looks again.
//!
//! - Text is in NFC, without white space around it, so that what looks the same is the same. Of what nobody sees, only that
//!   may stand in it which a script or an emoji needs, where it needs it; nothing turns the direction of what comes after.
//! - Its length is counted in what people take for characters (extended grapheme clusters), and in bytes, as one such
//!   character may have any number of them.
//! - A line stays one line; where several are welcome, each of them ends with a line feed.
//!
//! Addresses, passwords and what is searched for have rules of their own: [`mail_address`], [`opaque`], [`searchable_words`].

use icu_normalizer::ComposingNormalizerBorrowed;
use unicode_segmentation::UnicodeSegmentation as _;

mod address;
mod characters;
mod password;
mod search;

pub use address::{AddressFault, mail_address};
pub use password::{NotOpaque, opaque};
pub use search::{TooLong, fold, search, searchable_words, searched_words};

/// What names a type for a field that people type: see [`text_fields`](crate::text_fields).
pub use crate::text_fields;

/// For each character that people see a text may have so many bytes.
const BYTES_OF_ONE: usize = 8;

/// Why a text is not what a field takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextFault {
    /// Nothing that can be seen, or too many characters.
    #[error("must be 1 to {0} characters long")]
    Length(usize),
    /// Few characters of very many bytes.
    #[error("must have at most {0} bytes")]
    Bytes(usize),
    /// Several lines where there is one.
    #[error("must be one line")]
    Lines,
    /// A control character, or one that turns the direction of the text.
    #[error("must be plain text, without the control character U+{:04X}", u32::from(*.0))]
    Control(char),
    /// A character that nobody sees, where no script needs it.
    #[error("must not have the invisible character U+{:04X}", u32::from(*.0))]
    Invisible(char),
    /// A character that Unicode does not say anything about.
    #[error("must not have U+{:04X}, which is no character", u32::from(*.0))]
    Undefined(char),
}

/// Reads one line of at most `most` characters.
///
/// # Errors
/// What is wrong with it.
pub fn one_line(text: &str, most: usize) -> Result<String, TextFault> {
    if text.trim().chars().any(is_line_end) {
        return Err(TextFault::Lines);
    }
    read(text, most)
}

/// Reads lines that have at most `most` characters together. Whatever ends them becomes a line feed.
///
/// # Errors
/// What is wrong with it.
pub fn many_lines(text: &str, most: usize) -> Result<String, TextFault> {
    read(&text.replace("\r\n", "\n").replace(is_line_end, "\n"), most)
}

/// A code that is scanned or pasted, without what scanners and people leave around it.
pub fn code(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || c.is_control())
}

/// The text in NFC.
pub(crate) fn composed(text: &str) -> String {
    ComposingNormalizerBorrowed::new_nfc().normalize(text).into_owned()
}

fn read(text: &str, most: usize) -> Result<String, TextFault> {
    let text = text.trim();
    let bytes = most.saturating_mul(BYTES_OF_ONE);
    if text.len() > bytes {
        let long = text.graphemes(true).nth(most).is_some();
        return Err(if long { TextFault::Length(most) } else { TextFault::Bytes(bytes) });
    }
    characters::check(text)?;
    let text = composed(text);
    let seen = text.chars().any(characters::is_seen) && text.graphemes(true).nth(most).is_none();
    if seen { Ok(text) } else { Err(TextFault::Length(most)) }
}

/// What Unicode ends lines with (UAX #14), but for the tab and form feed of old printers.
fn is_line_end(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Declares a type for each field that people type: `Title: one_line, 200;`. Each has one `parse`, and is right from then on.
/// What is stored is read as it stands: it was right when it was written.
#[macro_export]
macro_rules! text_fields {
    ($($(#[$doc:meta])* $name:ident: $parse:ident, $most:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, ::serde::Serialize, ::serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Reads what somebody typed.
            ///
            /// # Errors
            /// What is wrong with it.
            pub fn parse(text: &str) -> Result<Self, $crate::text::TextFault> {
                $crate::text::$parse(text, $most).map(Self)
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

#[cfg(test)]
mod tests;
