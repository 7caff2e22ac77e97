//! Money is a whole number of minor units and a currency. A float never touches it.

use std::borrow::Cow;
use std::fmt;

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub mod charge;

/// The largest amount of minor units, a price or the total of an order. How much can be charged at once depends on the
/// currency ([`charge::check`]).
pub const MAX_MINOR_UNITS: i64 = 999_999_999_999;

/// A currency of ISO 4217, written in lower case as in Stripe's API.
///
/// What is read from an event or a document may be newer than this build's list: such a code is kept, and counts two decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Currency(Code);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Code {
    Known(iso_currency::Currency),
    /// Three letters in lower case.
    Unknown([u8; 3]),
}

/// How many decimals most currencies have.
const USUAL_EXPONENT: u32 = 2;

/// The schema of an amount of major units as somebody says it: a decimal text, or a number.
pub fn decimal_schema() -> utoipa::openapi::Schema {
    use utoipa::openapi::schema::{AnyOfBuilder, ObjectBuilder, Type};
    let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some(r"^\s*-?[0-9]+(\.[0-9]+)?\s*$"));
    let number = ObjectBuilder::new().schema_type(Type::Number).minimum(Some(0.0));
    let says = "A decimal number of major units, as text or as a number";
    AnyOfBuilder::new().item(text).item(number).description(Some(says)).examples(["19.99"]).build().into()
}

impl Currency {
    /// The US dollar, where nothing else is said.
    pub const USD: Self = Self(Code::Known(iso_currency::Currency::USD));

    /// Reads a three-letter code in any case.
    ///
    /// # Errors
    /// [`MoneyError::UnknownCurrency`] if ISO 4217 has no such currency or it has no minor unit.
    pub fn parse(code: &str) -> Result<Self, MoneyError> {
        iso_currency::Currency::from_code(&code.to_ascii_uppercase())
            .filter(|currency| currency.exponent().is_some())
            .map(|currency| Self(Code::Known(currency)))
            .ok_or(MoneyError::UnknownCurrency)
    }

    /// How many decimals a price in this currency has.
    pub fn exponent(self) -> u32 {
        match self.0 {
            Code::Known(currency) => currency.exponent().map_or(0, u32::from),
            Code::Unknown(_) => USUAL_EXPONENT,
        }
    }

    /// A code as another build wrote it.
    fn written(code: &str) -> Result<Self, MoneyError> {
        Self::parse(code).or_else(|unknown| match code.as_bytes().try_into() {
            Ok(letters) if code.bytes().all(|letter| letter.is_ascii_lowercase()) => Ok(Self(Code::Unknown(letters))),
            _ => Err(unknown),
        })
    }

    /// Minor units as a decimal number of major units. For sums, which may be larger than any [`Money`].
    pub fn decimal(self, minor: i64) -> String {
        Decimal::new(minor, self.exponent()).to_string()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Code::Known(currency) => f.write_str(&currency.code().to_ascii_lowercase()),
            Code::Unknown(letters) => f.write_str(str::from_utf8(letters).unwrap_or_default()),
        }
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = String::deserialize(deserializer)?;
        Self::written(&code).map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for Currency {
    fn schema_name() -> Cow<'static, str> {
        "Currency".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^[a-z]{3}$" })
    }
}

/// Why something is not an amount of money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// No such currency.
    #[error("must be a currency code of ISO 4217, such as usd")]
    UnknownCurrency,
    /// Not a decimal number.
    #[error("must be a decimal number, such as \"19.99\"")]
    NotANumber,
    /// Below zero.
    #[error("must not be negative")]
    Negative,
    /// More decimals than the currency has.
    #[error("must have at most {0} decimals in this currency")]
    TooPrecise(u32),
    /// Above [`MAX_MINOR_UNITS`].
    #[error("must be at most {MAX_MINOR_UNITS} minor units")]
    TooLarge,
}

/// An amount of money that is not negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Money {
    amount: i64,
    currency: Currency,
}

impl Money {
    /// An amount of minor units (cents).
    ///
    /// # Errors
    /// If the amount is negative or too large.
    pub fn from_minor(amount: i64, currency: Currency) -> Result<Self, MoneyError> {
        match amount {
            i64::MIN..=-1 => Err(MoneyError::Negative),
            0..=MAX_MINOR_UNITS => Ok(Self { amount, currency }),
            _ => Err(MoneyError::TooLarge),
        }
    }

    /// Reads a decimal number of major units, such as `19.99`: digits of ASCII, with more of them behind a point if there is
    /// one. White space around it does not count, a no-break space neither. A minus sign says what is wrong; all else is no
    /// number here: a plus sign, a comma, an exponent, signs between the digits, digits of other scripts.
    ///
    /// # Errors
    /// If it is no number, negative, too large, or not exact in the currency's minor unit.
    pub fn parse(text: &str, currency: Currency) -> Result<Self, MoneyError> {
        let text = text.trim();
        let digits = text.strip_prefix('-').unwrap_or(text);
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|digit| digit.is_ascii_digit());
        if !is_number(whole) || !is_number(fraction) {
            return Err(MoneyError::NotANumber);
        }
        // All that is left to go wrong is that it has more digits than any amount of money.
        let decimal = Decimal::from_str_exact(digits).map_err(|_| MoneyError::TooLarge)?.normalize();
        if digits.len() < text.len() && !decimal.is_zero() {
            return Err(MoneyError::Negative);
        }
        if decimal.scale() > currency.exponent() {
            return Err(MoneyError::TooPrecise(currency.exponent()));
        }
        let factor = Decimal::from(10_i64.pow(currency.exponent()));
        let minor = decimal.checked_mul(factor).ok_or(MoneyError::TooLarge)?;
        Self::from_minor(i64::try_from(minor).map_err(|_| MoneyError::TooLarge)?, currency)
    }

    /// Minor units (cents).
    pub fn minor(self) -> i64 {
        self.amount
    }

    /// The currency.
    pub fn currency(self) -> Currency {
        self.currency
    }

    /// This amount `count` times.
    ///
    /// # Errors
    /// [`MoneyError::TooLarge`] if the product is above [`MAX_MINOR_UNITS`].
    pub fn times(self, count: u32) -> Result<Self, MoneyError> {
        let product = self.amount.checked_mul(i64::from(count)).ok_or(MoneyError::TooLarge)?;
        Self::from_minor(product, self.currency)
    }

    /// The amount as a decimal number of major units, with all the currency's decimals.
    pub fn decimal(self) -> String {
        self.currency.decimal(self.amount)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.decimal(), self.currency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usd(text: &str) -> Result<i64, MoneyError> {
        Money::parse(text, Currency::USD).map(Money::minor)
    }

    #[test]
    fn decimals_are_exact() {
        assert_eq!(usd("19.99"), Ok(1999));
        assert_eq!(usd("0"), Ok(0));
        assert_eq!(usd("19.990"), Ok(1999));
        assert_eq!(usd("19.999"), Err(MoneyError::TooPrecise(2)));
        assert_eq!(usd("-1"), Err(MoneyError::Negative));
        assert_eq!(usd("-0.00"), Ok(0));
        assert_eq!(usd("9999999999.99"), Ok(MAX_MINOR_UNITS));
        assert_eq!(usd("10000000000"), Err(MoneyError::TooLarge));
        assert_eq!(usd("79228162514264337593543950335"), Err(MoneyError::TooLarge));
        assert_eq!(usd("99999999999999999999999999999999"), Err(MoneyError::TooLarge));
    }

    #[test]
    fn what_else_looks_like_a_number_is_none() {
        for text in [
            "1e3", "5_0", "+5", ".5", "5.", "1,5", "1 000", "\u{ff15}", "\u{665}", "0x5", "--5", "", "-", "\u{a0}",
            "NaN",
        ] {
            assert_eq!(usd(text), Err(MoneyError::NotANumber), "{text}");
        }
        assert_eq!(usd("\u{a0}5.00\u{a0}\n"), Ok(500));
    }

    #[test]
    fn currencies_have_their_own_decimals() {
        let yen = Currency::parse("JPY").unwrap();
        assert_eq!(Money::parse("500", yen).unwrap().minor(), 500);
        assert_eq!(Money::parse("500.5", yen), Err(MoneyError::TooPrecise(0)));
        assert_eq!(Money::from_minor(1234, Currency::USD).unwrap().decimal(), "12.34");
        assert!(Currency::parse("xyz").is_err());
    }

    #[test]
    fn a_currency_of_tomorrow_is_kept() {
        let text = r#"{"amount":1234,"currency":"xyz"}"#;
        let money: Money = serde_json::from_str(text).unwrap();
        assert_eq!((serde_json::to_string(&money).unwrap().as_str(), money.decimal().as_str()), (text, "12.34"));
        for broken in ["", "usdollar", "XYZ", "x\u{e9}", "12$"] {
            let text = format!(r#"{{"amount":1234,"currency":"{broken}"}}"#);
            assert!(serde_json::from_str::<Money>(&text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_product_that_is_too_large_is_refused() {
        let price = Money::from_minor(MAX_MINOR_UNITS, Currency::USD).unwrap();
        assert_eq!(price.times(2), Err(MoneyError::TooLarge));
        assert_eq!(price.times(1), Ok(price));
    }
}
