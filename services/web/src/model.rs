//! What the APIs answer, as far as pages show it.

use common::clock::Time;
use common::events::payments::DisputeStanding;
use common::open_enum::open_enum;
use serde::Deserialize;

mod payment;
mod selling;
mod was;

pub(crate) use payment::{Payment, PaymentConfig, PaymentStatus, Refund};
pub(crate) use selling::{Admitted, DaySales, Sale, SoldOrder, Standing, Undone};
pub(crate) use was::Was;

/// A page of a list.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    pub(crate) next_cursor: Option<String>,
}

impl<T> Default for Page<T> {
    fn default() -> Self {
        Self { items: Vec::new(), next_cursor: None }
    }
}

/// Who is signed in.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CurrentUser {
    pub(crate) current_user: Option<Account>,
}

/// A person's own account.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Account {
    pub(crate) id: String,
    pub(crate) email: String,
    pub(crate) name: Option<String>,
    #[serde(default)]
    pub(crate) email_verified: bool,
}

impl Account {
    /// What to call them.
    pub(crate) fn called(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.email)
    }
}

/// A listing.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Ticket {
    pub(crate) id: String,
    pub(crate) version: i64,
    pub(crate) user_id: String,
    pub(crate) title: String,
    pub(crate) price: String,
    pub(crate) currency: String,
    pub(crate) quantity: u32,
    pub(crate) held: u32,
    pub(crate) sold: u32,
    pub(crate) available: u32,
    pub(crate) description: Option<String>,
    pub(crate) venue: Option<String>,
    pub(crate) starts_at: Option<Time>,
    #[serde(default = "utc")]
    pub(crate) time_zone: String,
    /// Where its seller has said when the sale ends; else it ends at the start.
    pub(crate) sale_ends_at: Option<Time>,
    pub(crate) per_order_limit: Option<u32>,
    pub(crate) image_url: Option<String>,
    pub(crate) refund_policy: RefundPolicy,
    pub(crate) on_sale: bool,
    #[serde(default)]
    pub(crate) sale_ended: bool,
}

/// At most this many places are offered in one order, where the seller has set no limit.
const USUAL_LIMIT: u32 = 10;

impl Ticket {
    /// How many places one order may have now.
    pub(crate) fn most(&self) -> u32 {
        self.per_order_limit.unwrap_or(USUAL_LIMIT).min(self.available)
    }

    /// Whether every place is paid.
    pub(crate) fn is_sold_out(&self) -> bool {
        self.is_full() && self.held == 0
    }

    /// Whether nobody can hold a place now. While some are only held, they may come back.
    pub(crate) fn is_full(&self) -> bool {
        self.on_sale && self.available == 0
    }

    pub(crate) fn is_free(&self) -> bool {
        is_nothing(&self.price)
    }

    /// The same as somebody knows it who was just refused, which the catalogue hears of a moment later: places that are gone by
    /// then are held, at first.
    pub(crate) fn with_available(mut self, available: u32) -> Self {
        self.held += self.available.saturating_sub(available);
        self.available = available;
        self
    }

    /// Whether so few are left that a visitor should know.
    pub(crate) fn is_scarce(&self) -> bool {
        self.on_sale && self.available > 0 && self.available <= (self.quantity / 10).max(5)
    }
}

/// Whether an amount of the API's is none.
pub(crate) fn is_nothing(amount: &str) -> bool {
    amount.bytes().all(|byte| matches!(byte, b'0' | b'.'))
}

/// An order.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Order {
    pub(crate) id: String,
    pub(crate) ticket_id: String,
    pub(crate) title: String,
    pub(crate) venue: Option<String>,
    pub(crate) starts_at: Option<Time>,
    #[serde(default = "utc")]
    pub(crate) time_zone: String,
    #[serde(default)]
    pub(crate) was: Was,
    pub(crate) quantity: u32,
    pub(crate) price: String,
    pub(crate) total: String,
    pub(crate) currency: String,
    pub(crate) status: OrderStatus,
    pub(crate) refund_policy: RefundPolicy,
    pub(crate) refund_reason: Option<RefundReason>,
    pub(crate) dispute: Option<DisputeStanding>,
    pub(crate) created_at: Time,
    pub(crate) expires_at: Time,
}

impl Order {
    /// Whether there is nothing to pay, and so nothing to give back.
    pub(crate) fn is_free(&self) -> bool {
        is_nothing(&self.total)
    }

    /// Whether the buyer's bank has the money until it decides.
    pub(crate) fn is_with_the_bank(&self) -> bool {
        self.dispute == Some(DisputeStanding::Open)
    }

    /// Whether the buyer's bank took the money back, whoever else wanted that too.
    pub(crate) fn was_charged_back(&self) -> bool {
        let is_lost = self.status == OrderStatus::Refunded && self.dispute == Some(DisputeStanding::Lost);
        is_lost || self.refund_reason == Some(RefundReason::ChargedBack)
    }

    /// How it stands, in a word or two.
    pub(crate) fn label(&self) -> &'static str {
        self.status.label_of(&self.total)
    }
}

open_enum! {
    /// Until when a paid order may be given back.
    pub(crate) enum RefundPolicy {
        /// Until the show starts.
        UntilStart = "until_start",
        /// At any time.
        Always = "always",
        /// Not at all.
        Never = "never",
    }
}

impl RefundPolicy {
    /// What a buyer is promised, in a word or two.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::UntilStart => "Until it begins",
            Self::Always => "At any time",
            Self::Never => "None",
            Self::Unknown(_) => "Ask the seller",
        }
    }

    /// What a buyer may do by themselves. Nothing is offered where this build does not know what was promised.
    pub(crate) fn offer(self, is_free: bool) -> Option<&'static str> {
        match (self, is_free) {
            (Self::UntilStart, false) => Some("You can have your money back until it begins."),
            (Self::Always, false) => Some("You can have your money back at any time."),
            (Self::UntilStart, true) => Some("You can give the places back until it begins."),
            (Self::Always, true) => Some("You can give the places back at any time."),
            (Self::Never | Self::Unknown(_), _) => None,
        }
    }
}

open_enum! {
    /// Why an order is refunded, as far as a page tells it apart.
    pub(crate) enum RefundReason {
        /// The payment came after the places were given to others.
        SoldOutMeanwhile = "sold_out_meanwhile",
        /// The buyer's bank took the money back.
        ChargedBack = "charged_back",
    }
}

open_enum! {
    /// How an order stands.
    pub(crate) enum OrderStatus {
        /// Its places are held.
        Created = "created",
        /// The buyer has begun to pay.
        AwaitingPayment = "awaiting_payment",
        /// The deadline is over, and the bank is asked.
        Expiring = "expiring",
        /// It ended unpaid.
        Expired = "expired",
        /// The buyer gave it up.
        Cancelled = "cancelled",
        /// Money came late.
        Reacquiring = "reacquiring",
        /// It is paid.
        Complete = "complete",
        /// The money is going back.
        Refunding = "refunding",
        /// The money went back.
        Refunded = "refunded",
    }
}

impl OrderStatus {
    /// Whether its places are held and it can be paid.
    pub(crate) fn is_payable(self) -> bool {
        matches!(self, Self::Created | Self::AwaitingPayment)
    }

    /// Whether it will change by itself. What this build does not know is looked at again.
    pub(crate) fn is_moving(self) -> bool {
        !matches!(self, Self::Expired | Self::Cancelled | Self::Complete | Self::Refunded)
    }

    /// In a word or two, for an order of this total: where there is nothing to pay, nothing is said of paying.
    pub(crate) fn label_of(self, total: &str) -> &'static str {
        match self {
            Self::Created | Self::AwaitingPayment if is_nothing(total) => "Being confirmed",
            Self::Complete if is_nothing(total) => "Confirmed",
            Self::Created | Self::AwaitingPayment => "Waiting for payment",
            Self::Expiring => "Time is up",
            Self::Expired => "Expired",
            Self::Cancelled => "Cancelled",
            Self::Reacquiring => "Being completed",
            Self::Complete => "Paid",
            Self::Refunding => "Refund on its way",
            Self::Refunded => "Refunded",
            Self::Unknown(_) => "In progress",
        }
    }

    /// Which colour it has: a class of the style sheet.
    pub(crate) fn tone(self) -> &'static str {
        match self {
            Self::Created | Self::AwaitingPayment | Self::Expiring | Self::Reacquiring | Self::Unknown(_) => "waiting",
            Self::Complete => "good",
            Self::Expired | Self::Cancelled | Self::Refunding | Self::Refunded => "quiet",
        }
    }
}

/// One pass.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Pass {
    pub(crate) number: u32,
    pub(crate) code: String,
    /// What people can read out; passes of earlier builds have none.
    pub(crate) short_code: Option<String>,
    pub(crate) qr: String,
    pub(crate) checked_in_at: Option<Time>,
    pub(crate) place: Option<String>,
}

/// A list that has no further pages.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Items<T> {
    pub(crate) items: Vec<T>,
}

fn utc() -> String {
    "UTC".to_owned()
}

#[cfg(test)]
mod tests {
    use common::open_enum::OpenEnum;
    use serde_json::json;

    use super::*;

    fn newer<T: OpenEnum + serde::de::DeserializeOwned>() -> T {
        serde_json::from_value(json!("from-the-future")).unwrap()
    }

    #[test]
    fn an_order_of_a_newer_build_is_in_progress_and_offers_nothing() {
        let status: OrderStatus = newer();
        assert_eq!((status.label_of("5.00"), status.tone()), ("In progress", "waiting"));
        assert!(!status.is_payable() && status.is_moving());
        assert_eq!(status.to_string(), "from-the-future");
    }

    fn ticket(available: u32, held: u32) -> Ticket {
        let sold = 10 - available - held;
        let ticket = json!({ "id": "7", "version": 1, "userId": "8", "title": "Jazz", "price": "5.00", "currency": "eur", "quantity": 10,
            "held": held, "sold": sold, "available": available, "refundPolicy": "never", "onSale": true });
        serde_json::from_value(ticket).unwrap()
    }

    #[test]
    fn sold_out_is_what_is_sold_and_not_what_is_held() {
        let states = |ticket: Ticket| (ticket.is_full(), ticket.is_sold_out());
        assert_eq!(states(ticket(1, 2)), (false, false));
        assert_eq!(states(ticket(0, 2)), (true, false));
        assert_eq!(states(ticket(0, 0)), (true, true));
        assert_eq!(states(ticket(3, 0).with_available(0)), (true, false), "what is gone since is held at first");
        assert_eq!(states(Ticket { on_sale: false, ..ticket(0, 0) }), (false, false));
    }

    #[test]
    fn nothing_is_said_of_paying_where_there_is_nothing_to_pay() {
        for amount in ["0", "0.00", "0.000"] {
            assert_eq!(OrderStatus::Complete.label_of(amount), "Confirmed");
        }
        assert_eq!(OrderStatus::Complete.label_of("0.01"), "Paid");
        assert!(RefundPolicy::Always.offer(true).is_some_and(|offer| !offer.contains("money")));
    }

    #[test]
    fn a_refund_policy_of_a_newer_build_promises_nothing() {
        let policy: RefundPolicy = newer();
        assert_eq!((policy.label(), policy.offer(false)), ("Ask the seller", None));
        assert!(RefundPolicy::Always.offer(false).is_some() && RefundPolicy::Never.offer(false).is_none());
    }
}
