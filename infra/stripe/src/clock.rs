//! Where the stand-in gets its time from.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since the Unix epoch, as Stripe writes all its times.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The clock of the machine.
#[expect(clippy::disallowed_methods, reason = "this is where the stand-in's injected clock begins")]
pub fn system_clock() -> Clock {
    Arc::new(|| {
        let now = SystemTime::now();
        now.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
    })
}
