//! Numbers, money and dates as the visitor writes them; dates in the time zone of what they belong to. The texts of the pages
//! are English, so where a browser names no language, the words of dates are too.

use common::clock::Time;
use icu_calendar::Iso;
use icu_datetime::DateTimeFormatter;
use icu_datetime::fieldsets::{YMD, YMDE};
use icu_datetime::input::DateTime;
use icu_decimal::DecimalFormatter;
use icu_decimal::input::Decimal;
use icu_experimental::dimension::currency::CurrencyType;
use icu_experimental::dimension::currency::formatter::CurrencyFormatter;
use icu_locale_core::{Locale, locale};
use jiff::Timestamp;
use jiff::civil;
use jiff::tz::TimeZone;
use jiff_icu::ConvertFrom as _;

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

    /// Money, such as `€1,234.50`; `amount` is a decimal number of the API's.
    pub(crate) fn money(&self, amount: &str, currency: &str) -> String {
        let plain = || format!("{amount} {}", currency.to_uppercase());
        let (Ok(value), Ok(code)) =
            (amount.parse::<Decimal>(), CurrencyType::try_from_str(&currency.to_ascii_lowercase()))
        else {
            return plain();
        };
        let formatter = CurrencyFormatter::try_new_symbol_narrow((&self.locale).into(), code, Default::default());
        formatter.map_or_else(|_| plain(), |formatter| formatter.format_fixed_decimal(&value).to_string())
    }

    /// A whole number, such as `1,234`.
    pub(crate) fn number(&self, number: u32) -> String {
        let formatter = DecimalFormatter::try_new((&self.locale).into(), Default::default());
        formatter.map_or_else(|_| number.to_string(), |formatter| formatter.format(&number.into()).to_string())
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
        assert_eq!(words("en").money("a lot", "eur"), "a lot EUR");
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
