//! The fields of a listing. Each is parsed once, and right from then on.

use common::clock::Time;
use common::text::text_fields;
use serde::{Deserialize, Serialize};
use url::Url;

/// The most characters of an image's address.
pub(crate) const IMAGE_URL: usize = 2_000;

/// Why a number, a time or an address is not what a field takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldFault {
    /// Too small or too large.
    #[error("must be a whole number from {0} to {1}")]
    OutOfRange(u32, u32),
    /// Not an address that a browser may load an image from.
    #[error("must be an http or https address of at most {IMAGE_URL} characters")]
    NotAnAddress,
    /// Not a time at which a show may start or a sale may end.
    #[error("must be in 1970 or later")]
    OutOfTime,
    /// The end of a sale that nobody could buy in.
    #[error("must be in the future, or nobody could buy a ticket")]
    Over,
}

text_fields! {
    /// What a listing is called.
    Title: one_line, 200;
    /// What there is to say about it.
    Description: many_lines, 10_000;
    /// Where it takes place.
    Venue: one_line, 200;
}

/// The address of a picture on the web.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ImageUrl(String);

impl ImageUrl {
    /// Reads it as browsers do.
    ///
    /// # Errors
    /// If it is no address on the web, or one with a secret.
    pub fn parse(text: &str) -> Result<Self, FieldFault> {
        let url = Url::parse(text.trim()).map_err(|_| FieldFault::NotAnAddress)?;
        let web = matches!(url.scheme(), "http" | "https") && url.host().is_some();
        let secret = !url.username().is_empty() || url.password().is_some();
        let url = String::from(url);
        if web && !secret && url.len() <= IMAGE_URL { Ok(Self(url)) } else { Err(FieldFault::NotAnAddress) }
    }
}

impl From<ImageUrl> for String {
    fn from(url: ImageUrl) -> Self {
        url.0
    }
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

macro_rules! moments {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub struct $name(Time);

        impl $name {
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

            /// The same, where it must be later than `now`, as the end of the sale of a listing that is made then.
            ///
            /// # Errors
            /// [`FieldFault::Over`].
            pub fn after(self, now: Time) -> Result<Self, FieldFault> {
                if self.0 > now { Ok(self) } else { Err(FieldFault::Over) }
            }
        }
    )*};
}

moments! {
    /// When a show starts.
    StartsAt;
    /// When a sale ends. It may end before the show starts or after that.
    SaleEndsAt;
}

#[cfg(test)]
mod tests {
    use common::text::TextFault;

    use super::*;

    #[test]
    fn a_title_is_one_line_and_a_description_has_many() {
        assert_eq!(Title::parse("  Jazz am Flu\u{DF} ").unwrap().as_str(), "Jazz am Fluß");
        assert!(Title::parse(&"ß".repeat(200)).is_ok());
        assert_eq!(Title::parse(&"x".repeat(201)), Err(TextFault::Length(200)));
        assert_eq!(Title::parse("two\nlines"), Err(TextFault::Lines));
        assert_eq!(Venue::parse(""), Err(TextFault::Length(200)));
        assert_eq!(Description::parse(" a\r\n\tb ").unwrap().as_str(), "a\n\tb");
        assert_eq!(Description::parse(&"x".repeat(10_001)), Err(TextFault::Length(10_000)));
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
        assert_eq!(
            String::from(ImageUrl::parse("https://example.org/a b.png").unwrap()),
            "https://example.org/a%20b.png"
        );
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

    #[test]
    fn a_sale_does_not_end_before_it_begins() {
        let (now, end) = (Time::from_millis(5), |millis| SaleEndsAt::parse(Time::from_millis(millis)).unwrap());
        assert_eq!((end(5).after(now), end(6).after(now)), (Err(FieldFault::Over), Ok(end(6))));
    }
}
