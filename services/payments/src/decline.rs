//! What a buyer is told about a decline. Pure.

use crate::payment::UNANSWERED;

/// What Stripe's decline or error code means for the buyer.
///
/// Of a card that was lost, stolen or looks like fraud no more is said than of any other: whoever holds it need not know.
pub(crate) fn message(code: &str) -> &'static str {
    match code {
        "insufficient_funds" | "withdrawal_count_limit_exceeded" | "card_velocity_exceeded" => {
            "The account has not enough money left for this, or its limit is reached. Pay with another card."
        }
        "expired_card" => "The card has expired. Pay with another one.",
        "incorrect_cvc" | "invalid_cvc" => "The security code is not that of the card. Check it and try again.",
        "incorrect_number" | "invalid_number" => "The card number is not right. Check it and try again.",
        "invalid_expiry_month" | "invalid_expiry_year" => "The expiry date is not right. Check it and try again.",
        "incorrect_zip" | "incorrect_address" => "The address is not that of the card. Check it and try again.",
        "authentication_required" | "payment_intent_authentication_failure" => {
            "The bank could not make sure that it is you. Try again and confirm the payment with your bank."
        }
        "currency_not_supported" | "card_not_supported" => "The card cannot pay this. Pay with another one.",
        UNANSWERED | "processing_error" | "try_again_later" | "issuer_not_available" | "reenter_transaction" => {
            "The bank could not be reached. Nothing was charged; try again."
        }
        _ => "The bank declined the payment. Pay with another card, or ask your bank.",
    }
}

/// The code that clients are told: Stripe's, where [`message`] says what it means, else the one that says no more than that.
pub(crate) fn told(code: &str) -> &str {
    if message(code) == message(GENERIC) { GENERIC } else { code }
}

/// "The card was declined for an unknown reason."
const GENERIC: &str = "generic_decline";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thief_learns_nothing() {
        for code in ["lost_card", "stolen_card", "fraudulent", "merchant_blacklist", "pickup_card", "one_of_tomorrow"] {
            assert_eq!((message(code), told(code)), (message("generic_decline"), "generic_decline"), "{code}");
        }
        assert_ne!(message("expired_card"), message("generic_decline"));
        assert_eq!(told("insufficient_funds"), "insufficient_funds");
    }
}
