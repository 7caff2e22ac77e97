//! Events in: one function per domain.

use std::sync::Arc;

use common::bus::{ListenError, Received};
use common::events::OrderEvent;

use crate::Expiration;
use crate::deadline::Deadline;

/// Sets the deadline of a hold.
///
/// # Errors
/// If the broker does not answer.
pub(crate) async fn on_order(expiration: Arc<Expiration>, received: Received<OrderEvent>) -> Result<(), ListenError> {
    let Some(deadline) = Deadline::set_by(&received.event) else { return Ok(()) };
    match expiration.deadlines.ask(deadline).await {
        Some(set) => set.map_err(ListenError::transient),
        None => Err(ListenError::transient("the deadline was not set")),
    }
}
