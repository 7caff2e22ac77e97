//! The limits of every call to the database.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use mongodb::error::Error;
use tokio::sync::Semaphore;

use super::away::away;
use crate::limits::COMMAND_WITHIN;

/// So long a command may take, with the wait for a connection, its answer, and what is read through its cursor.
///
/// What is given up here may still be done by the server: what is stored tells, and that an old state is stored does not tell
/// that it will stay.
pub const PATIENCE: Duration = COMMAND_WITHIN;

/// How long a call waits for its turn, also while those before it wait for a primary. The rest of its time is for the driver:
/// one that had no time left when its turn came would be given up there.
pub(super) const TURN_WITHIN: Duration = Duration::from_secs(3);

/// The calls that are with the driver: not more than there may be connections, so who has to wait waits here.
///
/// The driver keeps the place of a call that was given up while it waited for a connection. Once it has thousands of them, each
/// new call waits behind them, gives up and leaves one more, and a database that has nothing to do answers nobody for minutes.
#[derive(Clone, Debug)]
pub(super) struct Calls(Arc<Semaphore>);

impl Calls {
    /// As many at a time as there may be connections.
    pub(super) fn over(connections: u32) -> Self {
        Self(Arc::new(Semaphore::new(usize::try_from(connections).unwrap_or(Semaphore::MAX_PERMITS))))
    }

    /// Makes a call in its turn, and gives it up after [`PATIENCE`] in all.
    pub(super) async fn in_time<T, E: From<Error>>(&self, call: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        in_time(async {
            let Ok(_turn) = tokio::time::timeout(TURN_WITHIN, self.0.acquire()).await else {
                let late =
                    format!("no turn at the database within {TURN_WITHIN:?}: it is away, slow, or asked too much");
                return Err(away(io::ErrorKind::ResourceBusy, late).into());
            };
            call.await
        })
        .await
    }
}

/// Gives up after [`PATIENCE`].
pub(super) async fn in_time<T, E: From<Error>>(call: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    let late = || away(io::ErrorKind::TimedOut, format!("the database did not answer within {PATIENCE:?}"));
    tokio::time::timeout(PATIENCE, call).await.unwrap_or_else(|_| Err(late().into()))
}
