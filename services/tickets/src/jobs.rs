//! What time does to the catalogue, and what earlier builds left to be done.

use std::sync::Arc;

use common::service::JobError;

use crate::Tickets;

/// Moves shows whose sale has ended behind those that can be bought.
///
/// # Errors
/// If the store failed.
pub(crate) async fn shelve_ended(tickets: Arc<Tickets>) -> Result<(), JobError> {
    let moved = tickets.tickets.shelve_ended(tickets.clock.now()).await?;
    if moved > 0 {
        tickets.pages.reordered();
        tracing::debug!(moved, "sales have ended");
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

/// Goes on with taking listings of closed accounts off sale.
///
/// # Errors
/// If the store failed.
pub(crate) async fn suspend_listings(tickets: Arc<Tickets>) -> Result<(), JobError> {
    Ok(tickets.look_at_closed_accounts().await?)
}
