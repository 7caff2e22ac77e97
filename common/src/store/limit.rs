//! The limit of every call to the database.

use std::io;
use std::time::Duration;

use mongodb::error::Error;

use super::away::away;
use crate::limits::COMMAND_WITHIN;

/// So long a command may take, with the wait for a connection, its answer, and what is read through its cursor.
///
/// What is given up here may still be done by the server: see
/// [`StoreError::may_have_been_done`](super::StoreError::may_have_been_done).
pub const PATIENCE: Duration = COMMAND_WITHIN;

/// Gives a call up after [`PATIENCE`].
pub(super) async fn in_time<T, E: From<Error>>(call: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    let late = || away(io::ErrorKind::TimedOut, format!("the database did not answer within {PATIENCE:?}"));
    tokio::time::timeout(PATIENCE, call).await.unwrap_or_else(|_| Err(late().into()))
}
