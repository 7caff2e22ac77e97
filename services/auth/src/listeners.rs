//! Events in.

use std::sync::Arc;

use common::bus::{ListenError, Received};
use common::events::UserEvent;

use crate::Auth;

/// Writes the audit trail, of everything that happens.
///
/// # Errors
/// If the database does not answer.
pub(crate) async fn on_user(auth: Arc<Auth>, received: Received<UserEvent>) -> Result<(), ListenError> {
    // What is told once more has not happened once more.
    if matches!(received.event, UserEvent::Snapshot(_)) {
        return Ok(());
    }
    Ok(auth.audit.write(&received.into()).await?)
}
