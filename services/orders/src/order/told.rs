//! What payments tells of an order's money beside its state. It stands in the order and the newest word wins. Pure.

use common::events::PaymentEvent;
use common::events::payments::{DisputeStanding, PaymentRefunded};
use common::id::OrderId;
use serde::{Deserialize, Serialize};

/// What of an order's money went back, as payments last told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Returned {
    /// How much, in minor units.
    #[serde(default)]
    pub amount: i64,
    /// The version of the payment that says so.
    #[serde(default)]
    pub version: i64,
}

impl Returned {
    /// What an event of its payment, in this version of it, tells of an order's money, if anything.
    pub fn told_by(event: &PaymentEvent, version: i64) -> Option<(OrderId, Self)> {
        let (order, returned) = match event {
            PaymentEvent::Refunded(PaymentRefunded { order_id, amount, in_full: true, returned, .. }) => {
                (order_id, returned.unwrap_or(*amount))
            }
            PaymentEvent::Refunded(PaymentRefunded { order_id, refund, returned, .. }) => {
                (order_id, returned.unwrap_or(*refund))
            }
            PaymentEvent::RefundFailed(failed) => (&failed.order_id, failed.returned?),
            PaymentEvent::DisputeLost(lost) => (&lost.order_id, lost.returned),
            PaymentEvent::Snapshot(snapshot) => (&snapshot.order_id, snapshot.returned),
            _ => return None,
        };
        Some((*order, Self { amount: returned.minor(), version }))
    }
}

/// How the payment of an order is disputed, as payments last told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Disputing {
    /// How its disputes stand together; none if there never was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<DisputeStanding>,
    /// The version of the payment that says so.
    #[serde(default)]
    pub version: i64,
}

impl Disputing {
    /// What an event of its payment, in this version of it, tells of an order's disputes, if anything.
    pub fn told_by(event: &PaymentEvent, version: i64) -> Option<(OrderId, Self)> {
        let (order, standing) = match event {
            PaymentEvent::Disputed(disputed) => (disputed.order_id, disputed.standing.unwrap_or(DisputeStanding::Open)),
            PaymentEvent::DisputeWon(won) => (won.order_id, won.standing),
            PaymentEvent::DisputeLost(lost) => (lost.order_id, lost.standing),
            PaymentEvent::Snapshot(snapshot) => (snapshot.order_id, snapshot.dispute?),
            _ => return None,
        };
        Some((order, Self { standing: Some(standing), version }))
    }

    /// Whether the bank has the money until it decides. What a newer build means by its word may be that too.
    pub(super) fn is_open(self) -> bool {
        matches!(self.standing, Some(DisputeStanding::Open | DisputeStanding::Unknown(_)))
    }
}
