//! Money in and out.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::domain_events;
use crate::id::{OrderId, RefundId, UserId};
use crate::money::Money;
use crate::open_enum::open_enum;

domain_events! {
    /// What happens to the payment of an order.
    PaymentEvent in "payments", snapshot: "payment.snapshot" {
        Created(PaymentCreated) = "payment.created", 1;
        RequiresAction(PaymentRequiresAction) = "payment.requires-action", 1;
        Processing(PaymentProcessing) = "payment.processing", 1;
        Failed(PaymentFailed) = "payment.failed", 1;
        Succeeded(PaymentSucceeded) = "payment.succeeded", 1;
        Cancelled(PaymentCancelled) = "payment.cancelled", 1;
        Cancelling(PaymentCancelling) = "payment.cancelling", 1;
        RefundStarted(PaymentRefundStarted) = "payment.refund-started", 1;
        RefundFailed(PaymentRefundFailed) = "payment.refund-failed", 1;
        Refunded(PaymentRefunded) = "payment.refunded", 1;
        Disputed(PaymentDisputed) = "payment.disputed", 1;
        DisputeWon(PaymentDisputeWon) = "payment.dispute-won", 1;
        DisputeLost(PaymentDisputeLost) = "payment.dispute-lost", 1;
        Snapshot(PaymentSnapshot) = "payment.snapshot", 1;
    }
}

macro_rules! payment_events {
    ($($(#[doc = $doc:literal])* $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "camelCase")]
        pub struct $name {
            /// The order, whose id is the payment's id too.
            pub order_id: OrderId,
            /// Who pays.
            pub buyer_id: UserId,
            /// The whole amount of the order.
            pub amount: Money,
            $($(#[$field_meta])* pub $field: $type,)*
        }
    )*};
}

payment_events! {
    /// A payment was begun; no money has moved.
    PaymentCreated {}
    /// The buyer must authenticate (3-D Secure).
    PaymentRequiresAction {}
    /// The bank has not decided yet.
    PaymentProcessing {}
    /// An attempt was declined; another may be made while the hold lasts.
    PaymentFailed {
        /// Stripe's decline or error code.
        code: String,
    }
    /// The money came in.
    PaymentSucceeded {}
    /// The order ended; no money can come in any more, once the payment provider confirms it.
    PaymentCancelling {}
    /// No money came in, and none can any more.
    PaymentCancelled {}
    /// Money is going back.
    PaymentRefundStarted {
        /// The refund.
        refund_id: RefundId,
        /// How much.
        refund: Money,
    }
    /// The provider refused a refund.
    PaymentRefundFailed {
        /// The refund.
        refund_id: RefundId,
        /// Stripe's reason.
        code: String,
        /// How much of the payment has gone back by now, without this refund.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        returned: Option<Money>,
    }
    /// Money went back.
    PaymentRefunded {
        /// The refund.
        refund_id: RefundId,
        /// How much went back with it.
        refund: Money,
        /// Whether with it the whole amount has gone back.
        in_full: bool,
        /// How much of the payment has gone back by now, with this refund.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        returned: Option<Money>,
    }
    /// The buyer's bank disputes the payment.
    PaymentDisputed {
        /// Stripe's reason.
        reason: String,
        /// How the payment's disputes stand together; earlier builds did not say it, and meant an open one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        standing: Option<DisputeStanding>,
    }
    /// A dispute was decided for the seller: the money stays.
    PaymentDisputeWon {
        /// Stripe's reason.
        reason: String,
        /// How the payment's disputes stand together.
        standing: DisputeStanding,
    }
    /// A dispute was decided for the buyer: the bank keeps the money.
    PaymentDisputeLost {
        /// Stripe's reason.
        reason: String,
        /// How the payment's disputes stand together.
        standing: DisputeStanding,
        /// How much went back with it.
        lost: Money,
        /// Whether with it the whole amount has gone back.
        in_full: bool,
        /// How much of the payment has gone back by now, with this dispute.
        returned: Money,
    }
    /// The present state of a payment.
    PaymentSnapshot {
        /// Where the payment stands.
        status: PaymentStatus,
        /// How much of the payment has gone back by now.
        returned: Money,
        /// How the payment's disputes stand together, if there are any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dispute: Option<DisputeStanding>,
    }
}

open_enum! {
    /// How a dispute stands.
    pub enum DisputeStanding {
        /// The bank has the money until it decides; none can be given back.
        Open = "open",
        /// The bank only asks; money can still be given back, which ends it.
        Inquiry = "inquiry",
        /// Decided for the seller.
        Won = "won",
        /// Decided for the buyer.
        Lost = "lost",
    }
}

open_enum! {
    /// Where a payment stands.
    pub enum PaymentStatus {
        /// Begun; nothing has been charged.
        Initiated = "initiated",
        /// The buyer must authenticate (3-D Secure).
        RequiresAction = "requires_action",
        /// The bank has not decided yet.
        Processing = "processing",
        /// The last attempt was declined; another may follow.
        Failed = "failed",
        /// The money came in.
        Succeeded = "succeeded",
        /// The order ended; it is not sure yet that no money came in.
        Cancelling = "cancelling",
        /// No money came in and none can any more.
        Cancelled = "cancelled",
        /// Part of the money went back.
        PartiallyRefunded = "partially_refunded",
        /// All the money went back.
        Refunded = "refunded",
    }
}
