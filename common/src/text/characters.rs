//! Which characters may stand in a text, and next to what.

use icu_properties::props::{
    Alphabetic, BidiControl, BinaryProperty as _, CanonicalCombiningClass, DefaultIgnorableCodePoint, Emoji,
    EmojiModifier, EnumeratedProperty as _, ExtendedPictographic, GeneralCategory, GeneralCategoryGroup,
    IndicSyllabicCategory, JoiningType, LineBreak, NoncharacterCodePoint, PrependedConcatenationMark, Script,
    UnifiedIdeograph,
};

use super::TextFault;

const ZERO_WIDTH_SPACE: char = '\u{200B}';
const NON_JOINER: char = '\u{200C}';
const JOINER: char = '\u{200D}';

/// It takes as much room as a space and looks like one, but is a symbol.
const BLANK_BRAILLE: char = '\u{2800}';

/// The flags of England, Scotland and Wales: all that Unicode recommends of what is written with invisible letters (UTS #51).
const FLAGS: [&str; 3] = [
    "\u{1F3F4}\u{E0067}\u{E0062}\u{E0065}\u{E006E}\u{E0067}\u{E007F}",
    "\u{1F3F4}\u{E0067}\u{E0062}\u{E0073}\u{E0063}\u{E0074}\u{E007F}",
    "\u{1F3F4}\u{E0067}\u{E0062}\u{E0077}\u{E006C}\u{E0073}\u{E007F}",
];

/// Whether people see it, by itself.
pub(super) fn is_seen(c: char) -> bool {
    !(c.is_whitespace() || DefaultIgnorableCodePoint::for_char(c) || is_mark(c) || c == BLANK_BRAILLE)
}

/// Looks at each character and at those beside it.
///
/// # Errors
/// The first one that may not stand where it does.
pub(super) fn check(text: &str) -> Result<(), TextFault> {
    let mut place = Place::default();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let flag = FLAGS.iter().find(|flag| rest.starts_with(*flag));
        let length = flag.map_or(c.len_utf8(), |flag| flag.len());
        rest = &rest[length..];
        place.after = rest.chars().next();
        place.check(c)?;
        place.pass(c);
    }
    Ok(())
}

/// What stands around a character.
#[derive(Default)]
struct Place {
    before: Option<char>,
    /// The last character that is more than an addition to the one before it.
    base: Option<char>,
    after: Option<char>,
}

impl Place {
    fn pass(&mut self, c: char) {
        self.before = Some(c);
        if !is_mark(c) && !EmojiModifier::for_char(c) {
            self.base = Some(c);
        }
    }

    fn check(&self, c: char) -> Result<(), TextFault> {
        match GeneralCategory::for_char(c) {
            GeneralCategory::Control if c == '\t' || c == '\n' => Ok(()),
            GeneralCategory::Control => Err(TextFault::Control(c)),
            _ if BidiControl::for_char(c) => Err(TextFault::Control(c)),
            GeneralCategory::PrivateUse => Err(TextFault::Undefined(c)),
            _ if NoncharacterCodePoint::for_char(c) => Err(TextFault::Undefined(c)),
            GeneralCategory::Format if PrependedConcatenationMark::for_char(c) => Ok(()),
            GeneralCategory::Format if !self.is_needed(c) => Err(TextFault::Invisible(c)),
            _ if DefaultIgnorableCodePoint::for_char(c) && !self.is_needed(c) => Err(TextFault::Invisible(c)),
            _ => Ok(()),
        }
    }

    /// Whether a script or an emoji needs the invisible character `c` in this place.
    fn is_needed(&self, c: char) -> bool {
        match c {
            NON_JOINER | JOINER => self.joins_letters() || (c == JOINER && self.joins_emoji()),
            ZERO_WIDTH_SPACE => self.between(|c| LineBreak::for_char(c) == LineBreak::ComplexContext),
            '\u{FE0E}' | '\u{FE0F}' => self.shows_emoji(),
            '\u{FE00}'..='\u{FE0D}' | '\u{E0100}'..='\u{E01EF}' => self.before.is_some_and(UnifiedIdeograph::for_char),
            '\u{180B}'..='\u{180F}' => self.base.is_some_and(|base| Script::for_char(base) == Script::Mongolian),
            _ => false,
        }
    }

    fn between(&self, fits: impl Fn(char) -> bool) -> bool {
        self.before.is_some_and(&fits) && self.after.is_some_and(&fits)
    }

    /// Behind a virama, as RFC 5892 has it, or between letters of a script that joins them.
    fn joins_letters(&self) -> bool {
        let virama = |c| CanonicalCombiningClass::for_char(c) == CanonicalCombiningClass::Virama;
        self.before.is_some_and(virama) || (self.base.is_some_and(joins) && self.after.is_some_and(joins))
    }

    fn joins_emoji(&self) -> bool {
        self.base.is_some_and(ExtendedPictographic::for_char) && self.after.is_some_and(ExtendedPictographic::for_char)
    }

    /// Behind an emoji; digits are emoji only in a keycap.
    fn shows_emoji(&self) -> bool {
        self.before.is_some_and(|c| Emoji::for_char(c) && (!c.is_ascii() || self.after == Some('\u{20E3}')))
    }
}

/// Whether it is of a script whose letters change by what stands next to them.
fn joins(c: char) -> bool {
    let cursive = [JoiningType::DualJoining, JoiningType::LeftJoining, JoiningType::RightJoining];
    let in_syllables = IndicSyllabicCategory::for_char(c) != IndicSyllabicCategory::Other;
    cursive.contains(&JoiningType::for_char(c)) || (in_syllables && (Alphabetic::for_char(c) || is_mark(c)))
}

/// Whether it is an addition to the character before it. What chooses among forms of one is a mark too.
pub(super) fn is_mark(c: char) -> bool {
    GeneralCategoryGroup::Mark.contains(GeneralCategory::for_char(c))
}
