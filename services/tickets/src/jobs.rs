//! What time does to the catalogue, and what earlier builds left to be done.

use std::sync::Arc;

use common::service::JobError;

use crate::Tickets;

/// Moves shows that have started behind those that are still to come.
///
/// # Errors
/// If the store failed.
pub(crate) async fn shelve_started(tickets: Arc<Tickets>) -> Result<(), JobError> {
    let moved = tickets.tickets.shelve_started(tickets.clock.now()).await?;
    if moved > 0 {
        tickets.pages.reordered();
        tracing::debug!(moved, "shows have started");
    }
    Ok(())
}

/// Has listings of earlier builds found by their words.
///
/// # Errors
/// If the store failed.
pub(crate) async fn add_words(tickets: Arc<Tickets>) -> Result<(), JobError> {
    if tickets.tickets.add_words().await? > 0 {
        tickets.pages.reordered();
    }
    Ok(())
}
