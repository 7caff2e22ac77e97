//! Events in: one function per domain.

use std::sync::Arc;

use common::bus::{ListenError, Received};
use common::events::InventoryEvent;

use crate::Tickets;

/// Each event carries all counts, so only the newest matters.
pub(crate) fn older_counts(_: &str, _: &str) -> bool {
    true
}

/// Shows the counts that orders tells.
///
/// # Errors
/// If the store failed.
pub(crate) async fn on_inventory(tickets: Arc<Tickets>, received: Received<InventoryEvent>) -> Result<(), ListenError> {
    let InventoryEvent::Changed(counts) = received.event;
    tickets.tickets.recount(&received.record, &counts).await?;
    tickets.pages.counted(counts.ticket_id, received.record.version);
    Ok(())
}
