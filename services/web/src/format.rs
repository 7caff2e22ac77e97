//! Numbers, money and dates as the visitor writes them; dates in the time zone of what they belong to. The texts of the pages
//! are English, so where a browser names no language, the words of dates are too.

use common::clock::Time;
use icu_calendar::Iso;
use icu_datetime::DateTimeFormatter;
use icu_datetime::fieldsets::{YMD, YMDE};
use icu_datetime::input::DateTime;
use icu_decimal::DecimalFormatter;
use icu_decimal::input::Decimal;
use icu_decimal::options::GroupingStrategy;
use icu_experimental::dimension::currency::CurrencyType;
use icu_experimental::dimension::currency::formatter::CurrencyFormatter;
use icu_locale_core::{Locale, locale};
use jiff::Timestamp;
use jiff::civil;
use jiff::tz::TimeZone;
use jiff_icu::ConvertFrom as _;

use crate::model::is_nothing;

/// How a visitor writes things.
#[derive(Clone, Debug)]
pub(crate) struct Words {
    locale: Locale,
}

impl Words {
    /// By the languages that the browser prefers (RFC 9110, Accept-Language).
    pub(crate) fn for_languages(accepted: &str) -> Self {
        let preferred = accept_language::parse(accepted);
        let locale = preferred.iter().find_map(|language| language.parse().ok());
        Self { locale: locale.unwrap_or(locale!("en")) }
    }

    /// Money, such as `€1,234.50`; `amount` is a decimal number of the API's, whose digits are all shown. No line ends within it.
    pub(crate) fn money(&self, amount: &str, currency: &str) -> String {
        let shown = self.money_in_words(amount, currency);
        let shown = shown.unwrap_or_else(|| format!("{amount} {}", currency.to_uppercase()));
        let unbroken = |letter: char| if letter.is_whitespace() && letter != '\u{202f}' { '\u{a0}' } else { letter };
        shown.chars().map(unbroken).collect()
    }

    /// What somebody has to pay: money, or a word where it is nothing.
    pub(crate) fn price(&self, amount: &str, currency: &str) -> String {
        if is_nothing(amount) { "Free".to_owned() } else { self.money(amount, currency) }
    }

    /// The number, with what the language writes around one of this currency. That formatter's own number is rounded to the digits
    /// in everyday use, of which some currencies have fewer than are charged.
    fn money_in_words(&self, amount: &str, currency: &str) -> Option<String> {
        let value: Decimal = amount.parse().ok()?;
        let code = CurrencyType::try_from_str(&currency.to_ascii_lowercase()).ok()?;
        let formatter =
            CurrencyFormatter::try_new_symbol_narrow((&self.locale).into(), code, Default::default()).ok()?;
        let one = formatter.format_fixed_decimal(&Decimal::from(1)).to_string();
        let begins = one.find(char::is_numeric)?;
        let (ends, last) = one.char_indices().rfind(|(_, letter)| letter.is_numeric())?;
        let number = self.decimals(GroupingStrategy::Auto)?.format(&value).to_string();
        Some(format!("{}{number}{}", &one[..begins], &one[ends + last.len_utf8()..]))
    }

    /// What writes numbers.
    pub(crate) fn decimals(&self, grouping: GroupingStrategy) -> Option<DecimalFormatter> {
        DecimalFormatter::try_new((&self.locale).into(), grouping.into()).ok()
    }

    /// A whole number, such as `1,234`.
    pub(crate) fn number(&self, number: u32) -> String {
        let formatter = self.decimals(GroupingStrategy::Auto);
        formatter.map_or_else(|| number.to_string(), |formatter| formatter.format(&number.into()).to_string())
    }

    /// Day and time, such as `Fri, Nov 27, 2026, 8:00 PM`.
    pub(crate) fn moment(&self, at: Time, zone: &str) -> String {
        let formatter = DateTimeFormatter::try_new((&self.locale).into(), YMDE::medium().with_time_hm());
        formatter.map_or_else(|_| at.to_string(), |formatter| formatter.format(&local(at, zone)).to_string())
    }

    /// The day, such as `Nov 27, 2026`.
    pub(crate) fn day(&self, at: Time, zone: &str) -> String {
        let formatter = DateTimeFormatter::try_new((&self.locale).into(), YMD::medium());
        formatter.map_or_else(|_| at.to_string(), |formatter| formatter.format(&local(at, zone)).to_string())
    }
}

/// Whether an amount needs more room than amounts usually do.
pub(crate) fn is_long(amount: &str) -> bool {
    amount.chars().count() > 9
}

fn local(at: Time, zone: &str) -> DateTime<Iso> {
    DateTime::convert_from(civil_time(at, zone))
}

/// What clocks show there at that moment.
pub(crate) fn civil_time(at: Time, zone: &str) -> civil::DateTime {
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    let moment = Timestamp::from_millisecond(at.millis()).unwrap_or_default();
    zone.to_datetime(moment)
}

/// A zone as people say it, such as `New York`.
pub(crate) fn zone_name(zone: &str) -> String {
    zone.rsplit('/').next().unwrap_or(zone).replace('_', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(languages: &str) -> Words {
        Words::for_languages(languages)
    }

    #[test]
    fn money_is_written_as_the_visitor_does() {
        for (languages, expected) in [
            ("en-US,en;q=0.9", "€1,234.50"),
            ("de-DE,de;q=0.9,en;q=0.8", "1.234,50\u{a0}€"),
            ("", "€1,234.50"),
            ("no such thing, *", "€1,234.50"),
        ] {
            assert_eq!(words(languages).money("1234.50", "eur"), expected, "{languages}");
        }
        assert_eq!(words("en").money("500", "jpy"), "¥500");
    }

    /// Languages that differ in digits, signs, groups, and where the currency stands.
    const LANGUAGES: [&str; 22] = [
        "en-US", "en-IN", "de-DE", "de-CH", "de-AT", "fr-FR", "fr-CH", "es-ES", "es-CL", "pt-PT", "hu-HU", "is-IS",
        "pl-PL", "sv-SE", "ja-JP", "zh-TW", "id-ID", "ar-EG", "ar-KW", "fa-IR", "hi-IN", "he-IL",
    ];
    const AMOUNTS: [(&str, &str); 14] = [
        ("1234.98", "huf"),
        ("1234567", "isk"),
        ("1234.50", "isk"),
        ("1234.567", "kwd"),
        ("0.005", "kwd"),
        ("1234", "jpy"),
        ("1234.98", "usd"),
        ("0.01", "usd"),
        ("999999.99", "usd"),
        ("123456", "clp"),
        ("12345.67", "idr"),
        ("1234.56", "twd"),
        ("1234567.89", "ugx"),
        ("1234.56", "xaf"),
    ];

    /// The digits in what is shown, as ASCII, and how many of them stand behind the last sign between digits.
    fn digits_and_decimals(shown: &str) -> (String, usize) {
        let zeros = ['0', '٠', '۰', '०'];
        let value = |letter: char| {
            let value = |zero: char| u32::from(letter).checked_sub(u32::from(zero)).filter(|value| *value < 10);
            zeros.into_iter().find_map(value).and_then(|value| char::from_digit(value, 10))
        };
        let first = shown.find(|letter| value(letter).is_some()).unwrap();
        let digits: String = shown.chars().filter_map(value).collect();
        let number: Vec<Option<char>> = shown[first..].chars().map(value).collect();
        let last = number.iter().rposition(Option::is_some).unwrap();
        (digits, number[..=last].iter().rev().take_while(|digit| digit.is_some()).count())
    }

    #[test]
    fn money_is_shown_to_the_last_digit_in_every_language_and_never_breaks() {
        for language in LANGUAGES {
            for (amount, currency) in AMOUNTS {
                let shown = words(language).money(amount, currency);
                let (digits, behind) = digits_and_decimals(&shown);
                let expected: String = amount.chars().filter(char::is_ascii_digit).collect();
                assert_eq!(digits, expected, "{shown:?} for {amount} {currency} in {language}");
                if let Some((_, decimals)) = amount.split_once('.') {
                    assert_eq!(behind, decimals.len(), "{shown:?} for {amount} {currency} in {language}");
                }
                let breaks = |letter: char| letter.is_whitespace() && !['\u{a0}', '\u{202f}'].contains(&letter);
                assert!(!shown.contains(breaks), "{shown:?} in {language}");
            }
        }
        for (language, amount, currency, expected) in [
            ("hu", "1234.98", "huf", "1234,98\u{a0}Ft"),
            ("en", "1234.567", "kwd", "KWD\u{a0}1,234.567"),
            ("de-CH", "1234.50", "chf", "Fr.\u{a0}1'234.50"),
        ] {
            assert_eq!(words(language).money(amount, currency), expected, "{amount} {currency} in {language}");
        }
        assert_eq!(words("en").money("a lot", "eur"), "a lot EUR".replace(' ', "\u{a0}"));
    }

    #[test]
    fn dates_are_those_of_the_place_in_the_words_of_the_visitor() {
        let at: Time = "2026-11-27T19:00:00Z".parse().unwrap();
        let shown = |languages, zone| words(languages).moment(at, zone).replace('\u{202f}', " ");
        assert_eq!(shown("en-GB", "Europe/Rome"), "Fri, 27 Nov 2026, 20:00");
        assert_eq!(shown("en-US", "America/New_York"), "Fri, Nov 27, 2026, 2:00 PM");
        assert_eq!(shown("de", "Europe/Berlin"), "Fr., 27.11.2026, 20:00");
        assert_eq!(words("en-GB").day(at, "Asia/Tokyo"), "28 Nov 2026");
    }

    #[test]
    fn zones_have_names_for_people() {
        assert_eq!(zone_name("America/New_York"), "New York");
        assert_eq!(zone_name("UTC"), "UTC");
    }
}
