//! What goes on by itself: letters that wait, sessions whose end a crash came in between, and addresses of earlier builds.

use std::sync::Arc;

use common::service::JobError;

use crate::Auth;

/// Finds out who of those that forgot their password have an account, and sends the letters that wait.
pub(crate) async fn send_mail(auth: Arc<Auth>) -> Result<(), JobError> {
    let answered = auth.answer_reset_requests().await;
    auth.letters.deliver(|user, letter| auth.write(user, letter)).await?;
    Ok(answered?)
}

/// Ends the sessions that a replaced password was to end.
pub(crate) async fn end_forgotten_sessions(auth: Arc<Auth>) -> Result<(), JobError> {
    Ok(auth.end_forgotten_sessions().await?)
}

/// Brings addresses that earlier builds stored to their one spelling.
pub(crate) async fn spell_addresses(auth: Arc<Auth>) -> Result<(), JobError> {
    Ok(auth.spell_addresses().await?)
}
