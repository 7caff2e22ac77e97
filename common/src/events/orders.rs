//! Orders: a hold of places, and what becomes of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::domain_events;
use crate::clock::Time;
use crate::id::{OrderId, PassId, TicketId, UserId};
use crate::money::Money;
use crate::open_enum::open_enum;

domain_events! {
    /// What happens to an order and its passes.
    OrderEvent in "orders", snapshot: "order.snapshot" {
        Created(OrderCreated) = "order.created", 1;
        AwaitingPayment(OrderAwaitingPayment) = "order.awaiting-payment", 1;
        Expiring(OrderExpiring) = "order.expiring", 1;
        Expired(OrderExpired) = "order.expired", 1;
        Cancelled(OrderCancelled) = "order.cancelled", 1;
        Completed(OrderCompleted) = "order.completed", 1;
        PlacesRequested(OrderPlacesRequested) = "order.places-requested", 1;
        RefundRequested(OrderRefundRequested) = "order.refund-requested", 1;
        Refunded(OrderRefunded) = "order.refunded", 1;
        PassCheckedIn(PassCheckedIn) = "pass.checked-in", 1;
        PassCheckInUndone(PassCheckInUndone) = "pass.check-in-undone", 1;
        Snapshot(OrderSnapshot) = "order.snapshot", 1;
    }
}

/// What every event of an order says about it.
#[derive(Clone, Debug, PartialEq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrderFacts {
    /// The order.
    pub order_id: OrderId,
    /// The listing its places are of.
    pub ticket_id: TicketId,
    /// Who buys.
    pub buyer_id: UserId,
    /// Who sells.
    pub seller_id: UserId,
    /// How many places.
    pub quantity: u32,
    /// What the places cost together, fixed when they were held.
    pub total: Money,
}

macro_rules! order_events {
    ($($(#[doc = $doc:literal])* $name:ident { $($(#[doc = $field_doc:literal])* $field:ident: $type:ty,)* })*) => {$(
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "camelCase")]
        pub struct $name {
            /// The order.
            #[serde(flatten)]
            pub order: OrderFacts,
            $($(#[doc = $field_doc])* pub $field: $type,)*
        }
    )*};
}

order_events! {
    /// Places are held for a buyer.
    OrderCreated {
        /// What the listing was called.
        title: String,
        /// When the hold ends.
        expires_at: Time,
    }
    /// The buyer began to pay.
    OrderAwaitingPayment {}
    /// The deadline passed; payments must now say whether money came in.
    OrderExpiring {}
    /// The hold ended unpaid and the places are free again.
    OrderExpired {}
    /// The buyer gave the hold up and the places are free again.
    OrderCancelled {}
    /// The order is paid and its passes are valid.
    OrderCompleted {
        /// One for each place.
        passes: Vec<PassId>,
    }
    /// Money came in after the places were given up; they are wanted back if any are left.
    OrderPlacesRequested {}
    /// The money is to go back in full.
    OrderRefundRequested {
        /// Why.
        reason: RefundReason,
    }
    /// The money went back in full and the passes are void.
    OrderRefunded {}
    /// A pass was used.
    PassCheckedIn {
        /// The pass.
        pass_id: PassId,
        /// When.
        at: Time,
        /// By whom.
        by: UserId,
        /// At which entrance, if said.
        place: Option<String>,
    }
    /// The use of a pass was undone: somebody was admitted by accident, or has left for good.
    PassCheckInUndone {
        /// The pass.
        pass_id: PassId,
        /// When it was undone.
        at: Time,
        /// By whom.
        by: UserId,
        /// When the pass was used.
        checked_in_at: Time,
        /// Who scanned it then.
        checked_in_by: UserId,
        /// At which entrance, if said.
        place: Option<String>,
    }
    /// The present state of an order.
    OrderSnapshot {
        /// What the listing was called when the places were held.
        title: String,
        /// When the hold ends, or was to end.
        expires_at: Time,
        /// Where the order stands.
        status: OrderStatus,
    }
}

open_enum! {
    /// Where an order stands.
    pub enum OrderStatus {
        /// Places are held until the deadline.
        Created = "created",
        /// Places are held and the buyer has begun to pay.
        AwaitingPayment = "awaiting_payment",
        /// The deadline has passed; payments must say whether money came in.
        Expiring = "expiring",
        /// The hold ended unpaid.
        Expired = "expired",
        /// The buyer gave it up.
        Cancelled = "cancelled",
        /// Money came after the places were given up; they are wanted back.
        Reacquiring = "reacquiring",
        /// Paid, with valid passes.
        Complete = "complete",
        /// The money is to go back in full.
        Refunding = "refunding",
        /// The money went back in full.
        Refunded = "refunded",
    }
}

open_enum! {
    /// Why an order is refunded.
    pub enum RefundReason {
        /// The buyer asked, and the policy allows it.
        BuyerRequest = "buyer_request",
        /// Payment came after the places were given to others.
        SoldOutMeanwhile = "sold_out_meanwhile",
        /// Payment came after the buyer had cancelled.
        CancelledMeanwhile = "cancelled_meanwhile",
        /// The seller or an administrator gave the money back.
        SellerGranted = "seller_granted",
        /// The buyer's bank took the money back after a dispute.
        ChargedBack = "charged_back",
    }
}
