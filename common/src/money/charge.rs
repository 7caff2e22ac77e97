//! What Stripe charges: its own minor units, and which amounts it takes.
//!
//! In Docket an amount is in the minor units of ISO 4217. Stripe counts some currencies otherwise: krónur and Ugandan shillings
//! have two decimals there that are always zero, ariary have none, and the last digit of a currency with three is always zero. So
//! an amount is converted where Stripe is asked or answers, nowhere else; and a price is held against the same table when it is
//! listed, so that nobody holds places which cannot be paid for.
//!
//! The rules are those of <https://docs.stripe.com/currencies>: zero-decimal currencies, special cases, smallest and largest
//! charges. The smallest charge of a currency without one there depends on the account; Stripe refuses it when somebody pays.

use super::{Currency, Money};

/// How Stripe counts a currency.
#[derive(Clone, Copy)]
struct Rule {
    /// How many decimals its unit has.
    decimals: u32,
    /// An amount is a multiple of so many units.
    step: i64,
    /// The smallest amount of a charge.
    smallest: i64,
    /// The largest amount of a charge.
    largest: i64,
}

/// Why Stripe would not charge an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotChargeable {
    /// Nobody can be charged in this currency.
    #[error("must be a currency that buyers can pay in, such as usd")]
    Currency,
    /// The amount has a fraction that cannot be charged.
    #[error("must be a multiple of {0}, which is the smallest step that can be charged")]
    Step(Money),
    /// Too little, but not nothing.
    #[error("must be 0 or at least {0}, which is the smallest amount that can be charged")]
    TooSmall(Money),
    /// Too much.
    #[error("must be at most {0}, which is the largest amount that can be charged")]
    TooLarge(Money),
}

/// Whether buyers can be charged in a currency.
///
/// # Errors
/// [`NotChargeable::Currency`].
pub fn check_currency(currency: Currency) -> Result<(), NotChargeable> {
    rule(currency).map(drop).ok_or(NotChargeable::Currency)
}

/// Whether Stripe would charge an amount. Nothing is charged for what is free.
///
/// # Errors
/// [`NotChargeable`].
pub fn check(money: Money) -> Result<(), NotChargeable> {
    let rule = rule(money.currency).ok_or(NotChargeable::Currency)?;
    match rule.units(money)? {
        0 => Ok(()),
        units if units < rule.smallest => Err(NotChargeable::TooSmall(rule.money(rule.smallest, money.currency))),
        units if units > rule.largest => Err(NotChargeable::TooLarge(rule.money(rule.largest, money.currency))),
        _ => Ok(()),
    }
}

/// An amount in Stripe's units.
///
/// # Errors
/// [`NotChargeable::Currency`] and [`NotChargeable::Step`].
pub fn units(money: Money) -> Result<i64, NotChargeable> {
    rule(money.currency).ok_or(NotChargeable::Currency)?.units(money)
}

/// An amount that Stripe tells, which is never negative. A fraction of a minor unit, which Stripe does not charge, counts whole.
pub fn money(units: i64, currency: Currency) -> Money {
    rule(currency).map_or(Money { amount: units.max(0), currency }, |rule| rule.money(units, currency))
}

impl Rule {
    fn units(self, money: Money) -> Result<i64, NotChargeable> {
        let step = || NotChargeable::Step(self.money(self.step, money.currency));
        let (up, down) = self.factors(money.currency);
        let units = money.amount.checked_mul(up).filter(|raised| raised % down == 0).map(|raised| raised / down);
        units.filter(|units| units % self.step == 0).ok_or_else(step)
    }

    fn money(self, units: i64, currency: Currency) -> Money {
        let (up, down) = self.factors(currency);
        let amount = i128::from(units.max(0)) * i128::from(down);
        let amount = (amount + i128::from(up) - 1) / i128::from(up);
        Money { amount: i64::try_from(amount).unwrap_or(i64::MAX), currency }
    }

    /// A minor unit is `.0` of Stripe's units, divided by `.1`.
    fn factors(self, currency: Currency) -> (i64, i64) {
        let exponent = currency.exponent();
        (10_i64.pow(self.decimals.saturating_sub(exponent)), 10_i64.pow(exponent.saturating_sub(self.decimals)))
    }
}

fn rule(currency: Currency) -> Option<Rule> {
    let code = currency.to_string();
    let (decimals, step) = match code.as_str() {
        "bif" | "clp" | "djf" | "gnf" | "jpy" | "kmf" | "krw" | "mga" | "pyg" | "rwf" | "vnd" | "vuv" | "xaf"
        | "xof" | "xpf" => (0, 1),
        "isk" | "ugx" => (2, 100),
        "bhd" | "jod" | "kwd" | "omr" | "tnd" => (3, 10),
        code if TWO_DECIMALS.split_ascii_whitespace().any(|known| known == code) => (2, 1),
        _ => return None,
    };
    Some(Rule { decimals, step, smallest: smallest(&code).unwrap_or(step), largest: largest(&code) / step * step })
}

const TWO_DECIMALS: &str = "\
    aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bmd bnd bob brl bsd bwp byn bzd cad cdf chf cny cop crc cve czk \
    dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gtq gyd hkd hnl htg huf idr ils inr jmd kes kgs khr kyd kzt lak lbp lkr \
    lrd lsl mad mdl mkd mmk mnt mop mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd pab pen pgk php pkr pln qar ron rsd rub \
    sar sbd scr sek sgd shp sle sos srd szl thb tjs top try ttd twd tzs uah usd uyu uzs wst xcd xcg yer zar zmw";

/// Of those currencies that have one in Stripe's table, in Stripe's units.
fn smallest(code: &str) -> Option<i64> {
    Some(match code {
        "gbp" => 30,
        "ars" | "aud" | "brl" | "cad" | "chf" | "cop" | "eur" | "idr" | "ils" | "inr" | "jpy" | "krw" | "nzd"
        | "php" | "rub" | "sgd" | "usd" | "zar" => 50,
        "bgn" => 100,
        "aed" | "myr" | "pln" | "ron" => 200,
        "dkk" => 250,
        "nok" | "sek" => 300,
        "hkd" => 400,
        "mxn" | "thb" => 1_000,
        "czk" => 1_500,
        "huf" => 17_500,
        _ => return None,
    })
}

/// Eight digits, which every means of payment takes, but for three currencies.
fn largest(code: &str) -> i64 {
    match code {
        "idr" => 999_999_999_999,
        "cop" => 9_999_999_999,
        "inr" => 999_999_999,
        _ => 99_999_999,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn currency(code: &str) -> Currency {
        Currency::parse(code).unwrap()
    }

    fn price(decimal: &str, code: &str) -> Money {
        Money::parse(decimal, currency(code)).unwrap()
    }

    #[test]
    fn stripe_has_minor_units_of_its_own() {
        let documented = [
            ("10", "usd", 1_000),
            ("500", "jpy", 500),
            ("5", "isk", 500),
            ("5", "ugx", 500),
            ("5", "mga", 5),
            ("5.12", "kwd", 5_120),
            ("10.45", "huf", 1_045),
            ("800.45", "twd", 80_045),
            ("9999999999.99", "idr", 999_999_999_999),
        ];
        for (decimal, code, expected) in documented {
            let price = price(decimal, code);
            assert_eq!(units(price), Ok(expected), "{price}");
            assert_eq!(money(expected, currency(code)), price);
        }
    }

    #[test]
    fn a_price_that_cannot_be_charged_says_what_would_be_right() {
        let refused = [
            ("5.123", "kwd", "must be a multiple of 0.010 kwd, which is the smallest step that can be charged"),
            ("5.50", "mga", "must be a multiple of 1.00 mga, which is the smallest step that can be charged"),
            ("0.49", "usd", "must be 0 or at least 0.50 usd, which is the smallest amount that can be charged"),
            ("174.99", "huf", "must be 0 or at least 175.00 huf, which is the smallest amount that can be charged"),
            ("1000000", "eur", "must be at most 999999.99 eur, which is the largest amount that can be charged"),
            ("1000000", "isk", "must be at most 999999 isk, which is the largest amount that can be charged"),
            ("10000000", "inr", "must be at most 9999999.99 inr, which is the largest amount that can be charged"),
            ("5", "irr", "must be a currency that buyers can pay in, such as usd"),
        ];
        for (decimal, code, says) in refused {
            assert_eq!(check(price(decimal, code)).map_err(|refused| refused.to_string()), Err(says.to_owned()));
        }
    }

    #[test]
    fn what_can_be_charged_is_not_refused() {
        for (decimal, code) in
            [("0", "usd"), ("0.50", "usd"), ("175", "huf"), ("1", "isk"), ("0.01", "ngn"), ("0", "kwd")]
        {
            assert_eq!(check(price(decimal, code)), Ok(()), "{decimal} {code}");
        }
    }

    #[test]
    fn what_stripe_tells_is_never_lost() {
        assert_eq!(money(1_050, currency("isk")).decimal(), "11");
        assert_eq!(money(-5, currency("usd")).minor(), 0);
        assert_eq!(money(7, currency("irr")).minor(), 7);
    }
}
