//! What sellers see of their listings.

use common::clock::Time;
use common::events::payments::DisputeStanding;
use serde::Deserialize;

use super::OrderStatus;

/// How a listing of one's own sells.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Standing {
    pub(crate) ticket_id: String,
    pub(crate) title: String,
    pub(crate) venue: Option<String>,
    pub(crate) starts_at: Option<Time>,
    #[serde(default = "super::utc")]
    pub(crate) time_zone: String,
    pub(crate) on_sale: bool,
    /// Earlier builds of the API do not say it, and call nothing else "not on sale".
    #[serde(default)]
    pub(crate) withdrawn: Option<bool>,
    pub(crate) capacity: u32,
    pub(crate) held: u32,
    pub(crate) sold: u32,
    pub(crate) currency: String,
    pub(crate) revenue: String,
}

impl Standing {
    /// How many places nobody has.
    pub(crate) fn left(&self) -> u32 {
        self.capacity.saturating_sub(self.held).saturating_sub(self.sold)
    }

    /// Whether it was taken from sale, after which nothing of it changes.
    pub(crate) fn is_withdrawn(&self) -> bool {
        self.withdrawn.unwrap_or(!self.on_sale)
    }

    /// In a word or two.
    pub(crate) fn label(&self) -> &'static str {
        match self.left() {
            _ if self.is_withdrawn() => "Taken from sale",
            _ if !self.on_sale => "Sale ended",
            0 if self.held > 0 => "All held or sold",
            0 => "Sold out",
            _ => "On sale",
        }
    }

    /// Which colour it has: a class of the style sheet.
    pub(crate) fn tone(&self) -> &'static str {
        if self.on_sale { "good" } else { "quiet" }
    }
}

/// What came of a listing of one's own.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Sale {
    #[serde(flatten)]
    pub(crate) standing: Standing,
    pub(crate) orders: OrderCounts,
    #[serde(default)]
    pub(crate) disputes: Disputes,
    pub(crate) checked_in: u32,
    pub(crate) by_day: Vec<DaySales>,
}

/// How many orders there are of each kind.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct OrderCounts {
    pub(crate) held: u32,
    pub(crate) paid: u32,
    pub(crate) refunded: u32,
    pub(crate) ended: u32,
}

/// How many orders are disputed at the buyers' banks.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Disputes {
    pub(crate) open: u32,
    pub(crate) open_total: String,
    pub(crate) won: u32,
    pub(crate) lost: u32,
}

impl Disputes {
    /// Whether there ever was one.
    pub(crate) fn are_any(&self) -> bool {
        self.open + self.won + self.lost > 0
    }
}

/// What was sold on one day.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct DaySales {
    pub(crate) day: jiff::civil::Date,
    pub(crate) places: u32,
}

/// An order as the seller sees it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SoldOrder {
    pub(crate) id: String,
    pub(crate) status: OrderStatus,
    pub(crate) quantity: u32,
    pub(crate) total: String,
    pub(crate) refunded: String,
    pub(crate) currency: String,
    pub(crate) created_at: Time,
    pub(crate) checked_in: u32,
    pub(crate) dispute: Option<DisputeStanding>,
}

/// A pass that was just used at the door.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Admitted {
    pub(crate) order_id: String,
    pub(crate) pass_id: String,
    pub(crate) ticket_id: String,
    pub(crate) checked_in_at: Time,
    pub(crate) number: u32,
    pub(crate) of: u32,
    pub(crate) title: String,
    pub(crate) short_code: Option<String>,
}

/// A check-in that was undone.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Undone {
    pub(crate) number: u32,
    pub(crate) of: u32,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn standing(on_sale: bool, withdrawn: Value) -> Standing {
        let standing = json!({ "ticketId": "7", "title": "Jazz", "startsAt": null, "onSale": on_sale, "withdrawn": withdrawn,
            "capacity": 10, "held": 0, "sold": 10, "currency": "eur", "revenue": "15.00" });
        serde_json::from_value(standing).unwrap()
    }

    #[test]
    fn a_sale_that_has_ended_may_go_on_again_and_one_that_was_taken_away_may_not() {
        for (on_sale, withdrawn, label, changes) in [
            (true, json!(false), "Sold out", true),
            (false, json!(false), "Sale ended", true),
            (false, json!(true), "Taken from sale", false),
            (false, Value::Null, "Taken from sale", false),
        ] {
            let standing = standing(on_sale, withdrawn);
            assert_eq!((standing.label(), !standing.is_withdrawn()), (label, changes));
        }
    }
}
