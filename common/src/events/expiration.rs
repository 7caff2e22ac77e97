//! Deadlines of holds.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::domain_events;
use crate::clock::Time;
use crate::id::OrderId;

domain_events! {
    /// What happens to a deadline.
    ExpirationEvent in "expiration" {
        Due(ExpirationDue) = "expiration.due", 2, upcast due_of_one;
    }
}

/// The time of these holds is over. Some of their orders may have come to their ends before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExpirationDue {
    /// The orders that hold.
    pub order_ids: Vec<OrderId>,
    /// When the last of the holds was to end.
    pub expires_at: Time,
}

/// Version 1 told of one order.
fn due_of_one(_: u16, payload: Value) -> Value {
    json!({ "orderIds": [payload["orderId"]], "expiresAt": payload["expiresAt"] })
}
