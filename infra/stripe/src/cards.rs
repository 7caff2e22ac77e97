//! The test cards, and how a payment with each of them ends.

use serde::{Deserialize, Serialize};

use crate::charges::Kind;

/// How the bank answers a payment with a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Behaviour {
    Approve,
    Decline(Decline),
    Authenticate,
    Process,
}

/// Why a bank declines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Decline {
    Generic,
    InsufficientFunds,
    LostCard,
    StolenCard,
    ExpiredCard,
    IncorrectCvc,
    ProcessingError,
    Fraudulent,
    AuthenticationRequired,
}

impl Decline {
    /// The error's `code`, the coarse answer.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::ExpiredCard => "expired_card",
            Self::IncorrectCvc => "incorrect_cvc",
            Self::ProcessingError => "processing_error",
            Self::AuthenticationRequired => "authentication_required",
            _ => "card_declined",
        }
    }

    /// The error's `decline_code`, the bank's own answer.
    pub(crate) fn decline_code(self) -> &'static str {
        match self {
            Self::Generic => "generic_decline",
            Self::InsufficientFunds => "insufficient_funds",
            Self::LostCard => "lost_card",
            Self::StolenCard => "stolen_card",
            Self::ExpiredCard => "expired_card",
            Self::IncorrectCvc => "incorrect_cvc",
            Self::ProcessingError => "processing_error",
            Self::Fraudulent => "fraudulent",
            Self::AuthenticationRequired => "authentication_required",
        }
    }

    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::InsufficientFunds => "Your card has insufficient funds.",
            Self::ExpiredCard => "Your card has expired.",
            Self::IncorrectCvc => "Your card's security code is incorrect.",
            Self::ProcessingError => "An error occurred while processing your card. Try again in a little bit.",
            Self::AuthenticationRequired => "Your card was declined. This transaction requires authentication.",
            _ => "Your card was declined.",
        }
    }
}

/// One row of the table: `pm_card_{name}` and `tok_{name}` are this card.
pub(crate) struct Card {
    pub(crate) name: &'static str,
    pub(crate) number: &'static str,
    pub(crate) brand: &'static str,
    pub(crate) behaviour: Behaviour,
    pub(crate) kind: Kind,
}

impl Card {
    pub(crate) fn last4(&self) -> &'static str {
        self.number.get(self.number.len().saturating_sub(4)..).unwrap_or(self.number)
    }
}

const fn card(name: &'static str, number: &'static str, brand: &'static str, behaviour: Behaviour) -> Card {
    Card { name, number, brand, behaviour, kind: Kind::Card }
}

const fn declined(name: &'static str, number: &'static str, decline: Decline) -> Card {
    card(name, number, "visa", Behaviour::Decline(decline))
}

static CARDS: &[Card] = &[
    card("visa", "4242424242424242", "visa", Behaviour::Approve),
    card("visa_debit", "4000056655665556", "visa", Behaviour::Approve),
    card("mastercard", "5555555555554444", "mastercard", Behaviour::Approve),
    card("amex", "378282246310005", "amex", Behaviour::Approve),
    declined("chargeDeclined", "4000000000000002", Decline::Generic),
    declined("chargeDeclinedInsufficientFunds", "4000000000009995", Decline::InsufficientFunds),
    declined("chargeDeclinedLostCard", "4000000000009987", Decline::LostCard),
    declined("chargeDeclinedStolenCard", "4000000000009979", Decline::StolenCard),
    declined("chargeDeclinedExpiredCard", "4000000000000069", Decline::ExpiredCard),
    declined("chargeDeclinedIncorrectCvc", "4000000000000127", Decline::IncorrectCvc),
    declined("chargeDeclinedProcessingError", "4000000000000119", Decline::ProcessingError),
    declined("chargeDeclinedFraudulent", "4100000000000019", Decline::Fraudulent),
    card("authenticationRequired", "4000002500003155", "visa", Behaviour::Authenticate),
    card("threeDSecure2Required", "4000002760003184", "visa", Behaviour::Authenticate),
    card("threeDSecureRequired", "4000000000003220", "visa", Behaviour::Authenticate),
    card("processing", "4000000000007809", "visa", Behaviour::Process),
];

/// The card that a typed-in number belongs to; blanks and dashes do not count.
pub(crate) fn by_number(number: &str) -> Option<&'static Card> {
    let digits: String = number.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
    CARDS.iter().find(|card| card.number == digits)
}

/// What else than a card one can pay with: Stripe's test account whose debit works. The bank's answer takes days.
static BANK_ACCOUNT: Card = Card {
    name: "usBankAccount_success",
    number: "000123456789",
    brand: "bank",
    behaviour: Behaviour::Process,
    kind: Kind::UsBankAccount,
};

/// The bank account behind `pm_usBankAccount_success`.
pub(crate) fn bank_account(id: &str) -> Option<&'static Card> {
    id.strip_prefix("pm_").filter(|name| *name == BANK_ACCOUNT.name).map(|_| &BANK_ACCOUNT)
}

/// The card behind `pm_card_…` or `tok_…`. Stripe's own names put `visa_` before `chargeDeclined`; both spellings work.
pub(crate) fn by_token(token: &str) -> Option<&'static Card> {
    let name = token.strip_prefix("pm_card_").or_else(|| token.strip_prefix("tok_"))?;
    let short = name.strip_prefix("visa_").filter(|rest| rest.starts_with("charge")).unwrap_or(name);
    CARDS.iter().find(|card| card.name == short)
}
