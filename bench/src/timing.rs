//! Moments and waiting.

use std::time::Duration;

use common::clock::{Clock, SystemClock, Time};
use tokio::time::Instant;

use crate::Result;

const POLL: Duration = Duration::from_millis(50);

/// A monotonic moment.
#[expect(clippy::disallowed_methods, reason = "a measured duration is no business time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The time of day, for tokens.
pub(crate) fn wall_clock() -> Time {
    SystemClock.now()
}

/// Asks again and again until `probe` answers something, for `limit` at the most; an error says what was waited for.
pub(crate) async fn eventually<T, F>(what: &str, limit: Duration, mut probe: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Option<T>>,
{
    let waiting = async {
        loop {
            if let Some(found) = probe().await {
                return found;
            }
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::time::timeout(limit, waiting).await.map_err(|_| format!("not within {limit:?}: {what}").into())
}
