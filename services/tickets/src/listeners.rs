//! Events in: one function per domain.

use std::sync::Arc;

use common::bus::{ListenError, Received};
use common::events::users::{UserDisabled, UserSnapshot};
use common::events::{InventoryEvent, UserEvent};

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

/// Takes the listings off sale of a seller whose account was closed.
///
/// # Errors
/// If the store failed.
pub(crate) async fn on_user(tickets: Arc<Tickets>, received: Received<UserEvent>) -> Result<(), ListenError> {
    match received.event {
        UserEvent::Disabled(UserDisabled { user_id })
        | UserEvent::Snapshot(UserSnapshot { user_id, disabled: true, .. }) => {
            Ok(tickets.close_account(user_id).await?)
        }
        _ => Ok(()),
    }
}
