//! Amounts as people type them: as the pages print them to the same visitor, or plainly. Pure.
//!
//! Read is what has one meaning:
//!
//! * digits: ASCII's, full-width ones, and those that the visitor's language prints;
//! * digits, the visitor's decimal sign, and digits: however many decimals there are, they are decimals, so `1,234` where the comma
//!   is the decimal sign has three, which the API takes or refuses by the currency, and is never 1234;
//! * digits in groups as the language prints them, with or without decimals. Any space will do where groups are parted by spaces,
//!   and any apostrophe where they are by apostrophes;
//! * digits, one full stop or comma, and digits, where the sign is not the visitor's decimal sign: decimals, if it can be no sign of
//!   groups there: the language has none like it, or one or two digits follow.
//!
//! White space at the ends does not count. All else is refused: signs (`+5`, `-5`), powers (`1e2`), underscores (`5_0`), currencies,
//! a number that begins or ends with its decimal sign, groups of another length, and nothing at all.

use icu_decimal::DecimalFormatter;
use icu_decimal::input::Decimal;
use icu_decimal::options::GroupingStrategy;

use crate::format::Words;

/// What was typed is no amount.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an amount in digits, such as {example}")]
pub(crate) struct NotAnAmount {
    example: String,
}

/// How a language writes numbers.
struct Notation {
    digits: Vec<char>,
    decimal: char,
    /// What parts groups, and how many digits the last group and those before it have.
    group: Option<(char, usize, usize)>,
}

/// What a letter of a number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Digit(char),
    Decimal,
    Group,
    /// A full stop or comma without a meaning in the language.
    Other,
}

impl Words {
    /// An amount as it stands in a field, such as `1234,50`; `decimal` is one of the API's.
    pub(crate) fn amount(&self, decimal: &str) -> String {
        self.written(decimal, GroupingStrategy::Never).unwrap_or_else(|| decimal.to_owned())
    }

    /// The amount that somebody has typed, as the API takes it.
    ///
    /// # Errors
    /// If it is none by the rules of this module.
    pub(crate) fn read_amount(&self, typed: &str) -> Result<String, NotAnAmount> {
        let read = self.notation().and_then(|notation| notation.read(typed.trim()));
        read.ok_or_else(|| NotAnAmount { example: self.written("1234.50", GroupingStrategy::Auto).unwrap_or_default() })
    }

    fn written(&self, decimal: &str, grouping: GroupingStrategy) -> Option<String> {
        let value: Decimal = decimal.parse().ok()?;
        Some(self.decimals(grouping)?.format(&value).to_string())
    }

    fn notation(&self) -> Option<Notation> {
        let formatter = self.decimals(GroupingStrategy::Auto)?;
        let digits =
            (0..10).map(|digit: u32| formatter.format(&digit.into()).to_string().chars().find(|c| c.is_numeric()));
        let digits: Vec<char> = digits.collect::<Option<_>>()?;
        let decimal = sign_in(&formatter, "0.5", &digits)?;
        Some(Notation { decimal, group: groups(&formatter, &digits), digits })
    }
}

fn sign_in(formatter: &DecimalFormatter, number: &str, digits: &[char]) -> Option<char> {
    let shown = formatter.format(&number.parse().ok()?).to_string();
    shown.chars().find(|letter| !digits.contains(letter))
}

/// What parts groups, and their lengths, as a large number shows them.
fn groups(formatter: &DecimalFormatter, digits: &[char]) -> Option<(char, usize, usize)> {
    let large = "12345678901234";
    let sign = sign_in(formatter, large, digits)?;
    let shown = formatter.format(&large.parse().ok()?).to_string();
    let mut lengths = shown.rsplit(sign).map(|group| group.chars().count());
    Some((sign, lengths.next()?, lengths.next()?))
}

impl Notation {
    fn read(&self, typed: &str) -> Option<String> {
        let parts: Vec<Part> = typed.chars().map(|letter| self.part(letter)).collect::<Option<_>>()?;
        let pieces: Vec<String> = parts.split(|part| !matches!(part, Part::Digit(_))).map(digits_of).collect();
        if pieces.iter().any(String::is_empty) {
            return None;
        }
        let signs: Vec<Part> = parts.iter().copied().filter(|part| !matches!(part, Part::Digit(_))).collect();
        let groups = signs.iter().take_while(|sign| **sign == Part::Group).count();
        match &signs[groups..] {
            [] if groups == 0 => Some(pieces.concat()),
            [] if self.is_grouped(&pieces) => Some(pieces.concat()),
            [] if groups == 1 && pieces[1].len() <= 2 && self.groups_look_like_decimals() => Some(pieces.join(".")),
            [Part::Decimal] if groups == 0 || self.is_grouped(&pieces[..=groups]) => {
                Some(format!("{}.{}", pieces[..=groups].concat(), pieces[groups + 1]))
            }
            [Part::Other] if groups == 0 => Some(pieces.join(".")),
            _ => None,
        }
    }

    /// Whether others write decimals with what parts groups here.
    fn groups_look_like_decimals(&self) -> bool {
        self.group.is_some_and(|(sign, ..)| matches!(sign, '.' | ','))
    }

    fn part(&self, letter: char) -> Option<Part> {
        let own = self.digits.iter().position(|digit| *digit == letter).and_then(|digit| u32::try_from(digit).ok());
        // Full-width forms stand in the order of ASCII.
        let plain = match letter {
            '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(letter) - 0xfee0)?,
            letter => letter,
        };
        let digit = plain.to_digit(10).or(own).and_then(|digit| char::from_digit(digit, 10));
        let alike = |sign: char| {
            let both = |kind: fn(char) -> bool| kind(sign) && kind(plain);
            sign == plain || both(char::is_whitespace) || both(|sign| matches!(sign, '\'' | '\u{2019}' | '\u{2bc}'))
        };
        match plain {
            _ if digit.is_some() => digit.map(Part::Digit),
            _ if alike(self.decimal) => Some(Part::Decimal),
            _ if self.group.is_some_and(|(sign, ..)| alike(sign)) => Some(Part::Group),
            '.' | ',' => Some(Part::Other),
            _ => None,
        }
    }

    /// Whether whole digits are parted as the language does it. A number in groups does not begin with a zero.
    fn is_grouped(&self, groups: &[String]) -> bool {
        let (Some((_, last, others)), [first, middle @ .., end]) = (self.group, groups) else { return false };
        let leads = (1..=others).contains(&first.len()) && !first.starts_with('0');
        leads && end.len() == last && middle.iter().all(|group| group.len() == others)
    }
}

fn digits_of(parts: &[Part]) -> String {
    parts.iter().filter_map(|part| if let Part::Digit(digit) = part { Some(*digit) } else { None }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(language: &str, typed: &str) -> Option<String> {
        Words::for_languages(language).read_amount(typed).ok()
    }

    #[test]
    fn what_is_typed_is_read_as_the_pages_print_it() {
        for (language, typed, expected) in [
            ("en", "19.99", "19.99"),
            ("en", "1,234.50", "1234.50"),
            ("en", "1,234", "1234"),
            ("en", "1,234,567", "1234567"),
            ("en", "19,99", "19.99"),
            ("en", "  5 ", "5"),
            ("en", "\u{a0}5\u{202f}", "5"),
            ("en", "１９．９９", "19.99"),
            ("en", "1234.5678", "1234.5678"),
            ("en-IN", "12,34,567.50", "1234567.50"),
            ("de", "19,99", "19.99"),
            ("de", "1.234,50", "1234.50"),
            ("de", "1.234", "1234"),
            ("de", "1,234", "1.234"),
            ("de", "19.99", "19.99"),
            ("de", "１９，９９", "19.99"),
            ("fr", "1 234,50", "1234.50"),
            ("fr", "1\u{202f}234,50", "1234.50"),
            ("fr", "1\u{a0}234\u{a0}567", "1234567"),
            ("fr", "1.234", "1.234"),
            ("de-CH", "1’234.50", "1234.50"),
            ("de-CH", "1'234.50", "1234.50"),
            ("hu", "1234,98", "1234.98"),
            ("hu", "1 234,98", "1234.98"),
            ("es", "1.234,5", "1234.5"),
            ("ar-EG", "١٬٢٣٤٫٥٠", "1234.50"),
            ("ar-EG", "1234.50", "1234.50"),
            ("ja", "1,234", "1234"),
        ] {
            assert_eq!(read(language, typed).as_deref(), Some(expected), "{typed:?} in {language}");
        }
    }

    #[test]
    fn what_has_no_meaning_or_two_is_refused() {
        for language in ["en", "de", "fr", "de-CH", "hi", "ar-EG"] {
            for typed in [
                "",
                " ",
                "\u{a0}",
                "5_0",
                "1e2",
                "+5",
                "-5",
                "−5",
                "＋５",
                "½",
                "²",
                "five",
                "0x10",
                "5€",
                "$5",
                ".5",
                ",5",
                "5.",
                "5,",
                ".",
                "1..2",
                "1,,2",
                "1.2.3",
                "1,2,3",
                "1,23,4",
                "1.2345,6",
                "٣",
                "NaN",
                "∞",
                "5\u{200b}0",
                "1 2",
            ] {
                let own = language == "ar-EG" && typed == "٣";
                assert!(own || read(language, typed).is_none(), "{typed:?} in {language}: {:?}", read(language, typed));
            }
        }
        for (language, typed) in [
            ("en", "1,2345"),
            ("en", "0,123"),
            ("en", "1234,567"),
            ("de", "0.123"),
            ("de", "12.34,5"),
            ("fr", "12 34"),
            ("en", "1 234"),
        ] {
            assert_eq!(read(language, typed), None, "{typed:?} in {language}");
        }
        let refused = Words::for_languages("de").read_amount("1e2").unwrap_err();
        assert_eq!(refused.to_string(), "must be an amount in digits, such as 1.234,50");
    }

    #[test]
    fn what_stands_in_a_field_is_read_again_as_it_was() {
        for language in [
            "en", "en-IN", "de", "fr", "de-CH", "hu", "es", "pt-PT", "pl", "sv", "ja", "hi", "fa", "ar-EG", "ar-KW",
            "mr", "my",
        ] {
            let words = Words::for_languages(language);
            for amount in ["0.00", "0.005", "19.99", "1234.50", "1234.567", "999999.99", "1234567"] {
                assert_eq!(words.read_amount(&words.amount(amount)).as_deref(), Ok(amount), "{amount} in {language}");
                let printed = words.written(amount, GroupingStrategy::Auto).unwrap();
                assert_eq!(words.read_amount(&printed).as_deref(), Ok(amount), "{printed:?} in {language}");
            }
        }
    }
}
