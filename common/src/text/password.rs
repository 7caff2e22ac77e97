//! Passwords, prepared as RFC 8265 says, so that one password is the same from every keyboard and system.

use icu_properties::props::{EnumeratedProperty as _, GeneralCategory};

use super::{TextFault, characters, composed};

/// The text is no password, because of a character in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub struct NotOpaque(#[from] TextFault);

/// The password by the profile OpaqueString: spaces of all kinds are the one of ASCII, and the rest is in NFC. Nothing else is
/// changed: case, width and the space around it are part of it.
///
/// The profile's class of characters is taken by the present Unicode, as people type its emoji too.
///
/// # Errors
/// If it has a control character, or one that nobody sees and no script needs.
pub fn opaque(text: &str) -> Result<String, NotOpaque> {
    if let Some(control) = text.chars().find(|c| c.is_control()) {
        return Err(TextFault::Control(control).into());
    }
    characters::check(text)?;
    let is_space = |c: char| GeneralCategory::for_char(c) == GeneralCategory::SpaceSeparator;
    Ok(composed(&text.replace(is_space, " ")))
}
