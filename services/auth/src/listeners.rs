//! Events in.

use std::sync::Arc;

use common::bus::{ListenError, Received};
use common::events::UserEvent;

use crate::Auth;

/// Writes the audit trail.
///
/// # Errors
/// If the database does not answer.
pub(crate) async fn on_user(auth: Arc<Auth>, received: Received<UserEvent>) -> Result<(), ListenError> {
    Ok(auth.audit.write(&received.into()).await?)
}
