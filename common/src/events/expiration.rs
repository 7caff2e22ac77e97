//! Deadlines of holds.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::domain_events;
use crate::clock::Time;
use crate::id::OrderId;

domain_events! {
    /// What happens to a deadline.
    ExpirationEvent in "expiration" {
        Due(ExpirationDue) = "expiration.due", 1;
    }
}

/// The time of a hold is over.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExpirationDue {
    /// The order that holds.
    pub order_id: OrderId,
    /// When the hold was to end.
    pub expires_at: Time,
}
