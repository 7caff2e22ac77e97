//! Keys of a keyboard.

use serde_json::{Value, json};

/// A key, with Shift where the name says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are named as on the keyboard")]
pub enum Key {
    Tab,
    /// Shift and Tab: back.
    ShiftTab,
    Enter,
    Space,
    Escape,
    Backspace,
    Delete,
    Home,
    End,
    ArrowUp,
    ArrowDown,
    ArrowLeft,
    ArrowRight,
    /// What this character is written with.
    Character(char),
}

impl Key {
    /// Name, code of the key's place, number, and what it writes.
    fn parts(self) -> (String, &'static str, u32, String) {
        let named = |name: &'static str, number, text: &str| (name.to_owned(), name, number, text.to_owned());
        match self {
            Self::Tab | Self::ShiftTab => named("Tab", 9, ""),
            Self::Enter => named("Enter", 13, "\r"),
            Self::Space => (" ".to_owned(), "Space", 32, " ".to_owned()),
            Self::Escape => named("Escape", 27, ""),
            Self::Backspace => named("Backspace", 8, ""),
            Self::Delete => named("Delete", 46, ""),
            Self::Home => named("Home", 36, ""),
            Self::End => named("End", 35, ""),
            Self::ArrowUp => named("ArrowUp", 38, ""),
            Self::ArrowDown => named("ArrowDown", 40, ""),
            Self::ArrowLeft => named("ArrowLeft", 37, ""),
            Self::ArrowRight => named("ArrowRight", 39, ""),
            Self::Character(character) => (character.to_string(), "", 0, character.to_string()),
        }
    }

    pub(super) fn down(self) -> Value {
        let (name, code, number, text) = self.parts();
        let kind = if text.is_empty() { "rawKeyDown" } else { "keyDown" };
        json!({
            "type": kind, "key": name, "code": code, "windowsVirtualKeyCode": number, "text": text,
            "modifiers": self.modifiers(),
        })
    }

    pub(super) fn up(self) -> Value {
        let (name, code, number, _) = self.parts();
        json!({ "type": "keyUp", "key": name, "code": code, "windowsVirtualKeyCode": number, "modifiers": self.modifiers() })
    }

    /// 8 is Shift.
    fn modifiers(self) -> u32 {
        if self == Self::ShiftTab { 8 } else { 0 }
    }
}
