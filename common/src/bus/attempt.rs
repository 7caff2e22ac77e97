//! One try to handle one event. It has a limit of time, and a panic ends the try and nothing else.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use async_nats::HeaderMap;
use futures::FutureExt as _;

use super::meter::Meter;
use super::{EventRecord, ListenError, Listener};
use crate::clock::Time;
use crate::telemetry::stopwatch;

/// How long one try may take. What a try that was given up has done already, the next one finds done.
pub(super) const TRY: Duration = Duration::from_secs(20);

/// Tries to handle the event in a message. Answers when it was committed.
pub(super) async fn attempt(
    listener: &Listener,
    meter: &Meter,
    subject: &str,
    headers: &HeaderMap,
    payload: &[u8],
) -> Result<Time, ListenError> {
    let record = EventRecord::from_message(listener.domain, subject, headers, payload)?;
    let (committed, started) = (record.at, stopwatch());
    let handling = AssertUnwindSafe(async { (listener.handler)(record).await }).catch_unwind();
    let handled = tokio::time::timeout(TRY, handling).await;
    meter.tried(started.elapsed());
    match handled {
        Ok(Ok(handled)) => handled.map(|()| committed),
        Ok(Err(panic)) => {
            let cause = text_of(&*panic);
            meter.panicked();
            tracing::error!(cause, subject, "the handler of an event panicked");
            Err(ListenError::Panicked(cause.to_owned()))
        }
        Err(_) => Err(ListenError::transient(format!("not handled within {} s", TRY.as_secs()))),
    }
}

/// What a panic said.
fn text_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("it said nothing")
}
