//! What Stripe's page on currencies says of amounts: <https://docs.stripe.com/currencies>.
//!
//! Written from that page alone, and not from what the code that is tested with the stand-in believes.

use crate::error::ApiError;

/// "The charge and the amount are the same, without requiring multiplication."
const ZERO_DECIMAL: [&str; 15] =
    ["bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"];

/// Represented "as a two-decimal value, where the decimal amount is always 00".
const ALWAYS_00: [&str; 2] = ["isk", "ugx"];

/// "The least-significant (last) digit" has "to be 0".
const THREE_DECIMAL: [&str; 5] = ["bhd", "jod", "kwd", "omr", "tnd"];

/// The other presentment currencies.
const OTHERS: [&str; 118] = [
    "usd", "aed", "afn", "all", "amd", "ang", "aoa", "ars", "aud", "awg", "azn", "bam", "bbd", "bdt", "bgn", "bmd",
    "bnd", "bob", "brl", "bsd", "bwp", "byn", "bzd", "cad", "cdf", "chf", "cny", "cop", "crc", "cve", "czk", "dkk",
    "dop", "dzd", "egp", "etb", "eur", "fjd", "fkp", "gbp", "gel", "gip", "gmd", "gtq", "gyd", "hkd", "hnl", "htg",
    "huf", "idr", "ils", "inr", "jmd", "kes", "kgs", "khr", "kyd", "kzt", "lak", "lbp", "lkr", "lrd", "lsl", "mad",
    "mdl", "mkd", "mmk", "mnt", "mop", "mur", "mvr", "mwk", "mxn", "myr", "mzn", "nad", "ngn", "nio", "nok", "npr",
    "nzd", "pab", "pen", "pgk", "php", "pkr", "pln", "qar", "ron", "rsd", "rub", "sar", "sbd", "scr", "sek", "sgd",
    "shp", "sle", "sos", "srd", "std", "szl", "thb", "tjs", "top", "try", "ttd", "twd", "tzs", "uah", "uyu", "uzs",
    "wst", "xcd", "xcg", "yer", "zar", "zmw",
];

/// The minimum charge amounts, in major units as the page has them.
const MINIMUM: [(&str, &str); 32] = [
    ("usd", "0.50"),
    ("aed", "2.00"),
    ("ars", "0.50"),
    ("aud", "0.50"),
    ("bgn", "1.00"),
    ("brl", "0.50"),
    ("cad", "0.50"),
    ("chf", "0.50"),
    ("cop", "0.50"),
    ("czk", "15.00"),
    ("dkk", "2.50"),
    ("eur", "0.50"),
    ("gbp", "0.30"),
    ("hkd", "4.00"),
    ("huf", "175.00"),
    ("idr", "0.50"),
    ("ils", "0.50"),
    ("inr", "0.50"),
    ("jpy", "50"),
    ("krw", "50"),
    ("mxn", "10.00"),
    ("myr", "2.00"),
    ("nok", "3.00"),
    ("nzd", "0.50"),
    ("php", "0.50"),
    ("pln", "2.00"),
    ("ron", "2.00"),
    ("rub", "0.50"),
    ("sek", "3.00"),
    ("sgd", "0.50"),
    ("thb", "10.00"),
    ("zar", "0.50"),
];

/// Refuses a currency in which nobody can be charged.
pub(crate) fn check_currency(currency: &str) -> Result<(), ApiError> {
    let known = [&ZERO_DECIMAL[..], &ALWAYS_00, &THREE_DECIMAL, &OTHERS].concat();
    if known.contains(&currency) {
        return Ok(());
    }
    Err(ApiError::bad_param("parameter_invalid_string", "currency", &format!("Invalid currency: {currency}")))
}

/// Refuses an amount that nobody can be charged.
pub(crate) fn check_charge(amount: i64, currency: &str) -> Result<(), ApiError> {
    check_amount(amount, currency)?;
    let minimum = MINIMUM.iter().find(|(name, _)| *name == currency);
    if let Some((_, shown)) = minimum.filter(|(_, shown)| amount < in_units(shown)) {
        let message = format!("Amount must be at least {shown} {currency}");
        return Err(ApiError::bad_param("amount_too_small", "amount", &message));
    }
    let digits = most_digits(currency);
    if amount.to_string().len() > digits {
        let message = format!("Amount must be no more than {}", "9".repeat(digits));
        return Err(ApiError::bad_param("amount_too_large", "amount", &message));
    }
    Ok(())
}

/// Refuses an amount that the currency does not have. Refunds are held to this alone.
pub(crate) fn check_amount(amount: i64, currency: &str) -> Result<(), ApiError> {
    let invalid = |says: &str| Err(ApiError::bad_param("parameter_invalid_integer", "amount", says));
    if amount < 1 {
        return invalid("Invalid positive integer");
    }
    let digits = amount.to_string();
    if ALWAYS_00.contains(&currency) && !digits.ends_with("00") {
        return invalid("Amounts in this currency must be evenly divisible by 100");
    }
    if THREE_DECIMAL.contains(&currency) && !digits.ends_with('0') {
        return invalid("The last digit of amounts in this currency must be 0");
    }
    Ok(())
}

/// The amount without its point: a minimum is written with all the decimals of its currency.
fn in_units(shown: &str) -> i64 {
    shown.replace('.', "").parse().unwrap_or(i64::MAX)
}

fn most_digits(currency: &str) -> usize {
    match currency {
        "idr" => 12,
        "cop" => 10,
        "inr" => 9,
        _ => 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_those_of_the_page() {
        let taken =
            [("jpy", 500), ("isk", 500), ("kwd", 5_120), ("huf", 17_500), ("usd", 50), ("idr", 999_999_999_999)];
        for (currency, amount) in taken {
            assert!(check_charge(amount, currency).is_ok(), "{amount} {currency}");
        }
        let refused = [("isk", 550), ("ugx", 505), ("kwd", 5_124), ("huf", 17_499), ("usd", 49), ("usd", 100_000_000)];
        for (currency, amount) in refused {
            assert!(check_charge(amount, currency).is_err(), "{amount} {currency}");
        }
        assert!(check_amount(1, "usd").is_ok(), "a refund may be smaller than any charge");
        assert!(check_currency("irr").is_err() && check_currency("xcg").is_ok());
    }
}
