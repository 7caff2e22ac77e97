//! What is searched for, and found, whatever case, accents and apostrophes it is written with.
//!
//! Both the text and what is looked for become words, each of them folded; a word is found by its beginning.

use std::collections::HashSet;

use icu_casemap::CaseMapper;
use icu_normalizer::DecomposingNormalizerBorrowed;
use icu_properties::props::{
    BinaryProperty as _, CanonicalCombiningClass, DefaultIgnorableCodePoint, EnumeratedProperty as _,
};
use unicode_segmentation::UnicodeSegmentation as _;

use super::{characters, composed};

/// So many characters of a word are looked at, and not more.
const LONGEST_WORD: usize = 40;

const APOSTROPHE: char = '\'';

/// What people write an apostrophe with.
const APOSTROPHES: [char; 9] =
    [APOSTROPHE, '\u{2019}', '\u{2018}', '\u{2BC}', '\u{2BB}', '\u{B4}', '`', '\u{FF07}', '\u{2032}'];

/// The text in which neither case nor accents nor apostrophes are told apart.
pub fn fold(text: &str) -> String {
    let plain: String = text.chars().filter(|c| !APOSTROPHES.contains(c)).collect();
    let decomposed = DecomposingNormalizerBorrowed::new_nfkd().normalize(&plain).into_owned();
    let bare: String = decomposed.chars().filter(|c| !is_accent(*c)).collect();
    let folded = CaseMapper::new().fold_string(&bare).into_owned();
    composed(&folded.chars().map(|c| base_letter(c).map_or_else(|| c.to_string(), str::to_owned)).collect::<String>())
}

/// The words by which a text is found, folded, each once, in their order. A word with an apostrophe in it counts as a whole and
/// by its parts.
pub fn searchable_words(text: &str) -> Vec<String> {
    words(text, |word| {
        let whole = word.contains(APOSTROPHE).then_some(word);
        whole.into_iter().chain(parts(word)).map(fold).collect()
    })
}

/// The most characters of what somebody looks for.
const LONGEST_SEARCH: usize = 200;

/// What somebody types to look for is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be at most {LONGEST_SEARCH} characters")]
pub struct TooLong;

/// What somebody types to look for: each word of it costs the database work.
///
/// # Errors
/// [`TooLong`].
pub fn search(typed: &str) -> Result<&str, TooLong> {
    if typed.chars().count() > LONGEST_SEARCH { Err(TooLong) } else { Ok(typed) }
}

/// The words that somebody looks for, folded: a text is found if one of its words begins with each of them.
pub fn searched_words(text: &str) -> Vec<String> {
    words(text, |word| if word.contains(APOSTROPHE) { vec![fold(word)] } else { parts(word).map(fold).collect() })
}

fn parts(word: &str) -> impl Iterator<Item = &str> {
    word.split(|c: char| !c.is_alphanumeric() && !characters::is_mark(c))
}

/// What `folded` makes of each word (UAX #29), each once.
fn words(text: &str, folded: impl Fn(&str) -> Vec<String>) -> Vec<String> {
    let plain: String = text.chars().map(|c| if APOSTROPHES.contains(&c) { APOSTROPHE } else { c }).collect();
    let short = |word: String| word.chars().take(LONGEST_WORD).collect::<String>();
    let mut known = HashSet::new();
    let words = plain.unicode_words().flat_map(folded).map(short);
    words.filter(|word| !word.is_empty() && known.insert(word.clone())).collect()
}

/// A mark above, below or through a letter, or a point of Hebrew, Arabic or Syriac; and what nobody sees. Marks that make
/// another syllable, as in the scripts of India, are none of these.
fn is_accent(c: char) -> bool {
    let class = CanonicalCombiningClass::for_char(c);
    matches!(class.0, 1 | 10..=36 | 200..=240) || DefaultIgnorableCodePoint::for_char(c)
}

/// Letters with a stroke or of two letters, which do not come apart by decomposition, as CLDR's `Latin-ASCII` has them.
fn base_letter(c: char) -> Option<&'static str> {
    Some(match c {
        'ı' => "i",
        'ø' => "o",
        'ł' => "l",
        'đ' | 'ð' => "d",
        'ħ' => "h",
        'ŧ' => "t",
        'þ' => "th",
        'æ' => "ae",
        'œ' => "oe",
        'ŋ' => "n",
        'ĸ' => "q",
        _ => return None,
    })
}
