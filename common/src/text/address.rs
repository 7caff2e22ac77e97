//! Addresses of mail: one person, one spelling.
//!
//! The part before the `@` is in NFKC and in lower case, as no mail system of our days tells `Ana` from `ana`; what is written
//! in full width is the same in normal width. The domain is in its ASCII form by UTS #46, in which DNS knows it. What RFC 5321
//! gives no way to deliver to is refused: a name without a dot, an address of the network in brackets, more than 64 bytes before
//! the `@` or 254 in all. A quoted part before the `@` is refused too, since each such address has any number of spellings.
//! Letters of all scripts may stand there (RFC 6531): whether they are delivered is up to the mail server.

use icu_normalizer::ComposingNormalizerBorrowed;
use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

use super::characters;

/// As RFC 5321 bounds them, in bytes.
const LOCAL: usize = 64;
const WHOLE: usize = 254;

/// What may stand before the `@` beside letters and digits (RFC 5322, atext).
const SYMBOLS: &str = "!#$%&'*+-/=?^_`{|}~";

/// Why a text is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressFault {
    /// It has not the form of one.
    #[error("must be an e-mail address, such as ana@example.org")]
    Form,
    /// What stands before the `@` cannot be there.
    #[error("must have only letters, digits, dots between them and {SYMBOLS} before the @")]
    Local,
    /// What stands after the `@` is no domain in the DNS.
    #[error("must have the name of a domain, such as example.org, after the @")]
    Domain,
    /// It is longer than mail servers take.
    #[error("must have at most {LOCAL} bytes before the @, and {WHOLE} in all")]
    Length,
}

/// Reads an address.
///
/// # Errors
/// Why it is none.
pub fn mail_address(text: &str) -> Result<String, AddressFault> {
    let text = text.trim();
    // What is far too long is not worth the work, and only what is folded into other characters becomes shorter.
    if text.len() > WHOLE * 4 {
        return Err(AddressFault::Length);
    }
    let text = compatible(&compatible(text).to_lowercase());
    let (local, domain) = text.rsplit_once('@').ok_or(AddressFault::Form)?;
    if local.is_empty() || domain.is_empty() {
        return Err(AddressFault::Form);
    }
    if !local.split('.').all(is_atom) || characters::check(local).is_err() {
        return Err(AddressFault::Local);
    }
    let domain = ascii_domain(domain)?;
    let address = format!("{local}@{domain}");
    if local.len() > LOCAL || address.len() > WHOLE { Err(AddressFault::Length) } else { Ok(address) }
}

fn compatible(text: &str) -> String {
    ComposingNormalizerBorrowed::new_nfkc().normalize(text).into_owned()
}

fn is_atom(atom: &str) -> bool {
    let fits = |c: char| if c.is_ascii() { c.is_ascii_alphanumeric() || SYMBOLS.contains(c) } else { is_letter(c) };
    !atom.is_empty() && atom.chars().all(fits)
}

/// A letter, digit or mark, or what joins them.
fn is_letter(c: char) -> bool {
    c.is_alphanumeric() || characters::is_mark(c) || matches!(c, '\u{200C}' | '\u{200D}')
}

fn ascii_domain(domain: &str) -> Result<String, AddressFault> {
    let (deny, hyphens) = (AsciiDenyList::STD3, Hyphens::CheckFirstLast);
    let domain = Uts46::new().to_ascii(domain.as_bytes(), deny, hyphens, DnsLength::Verify);
    let domain = domain.map_err(|_| AddressFault::Domain)?.into_owned();
    // The last label of a name is never a number (RFC 3696): that would be an address of the network.
    let (_, last) = domain.rsplit_once('.').ok_or(AddressFault::Domain)?;
    if last.bytes().all(|byte| byte.is_ascii_digit()) { Err(AddressFault::Domain) } else { Ok(domain) }
}
