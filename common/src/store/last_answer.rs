//! When the server answered a command of this process last, as the driver's pool of connections tells it.
//!
//! A connection that comes back to the pool has had its answer, unless the pool closes it at once: then its command broke off
//! or was given up. A connection that gets ready was greeted by the server. Nothing is asked for this and nothing waits for it,
//! so it tells also of a pool whose connections are all in use whether the server answers.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mongodb::event::EventHandler;
use mongodb::event::cmap::{CmapEvent, ConnectionClosedReason};
use tokio::time::Instant;

use crate::telemetry::stopwatch;

/// The time of the last answer; one for all connections of a pool.
#[derive(Clone, Debug, Default)]
pub(super) struct LastAnswer(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    last: Option<Instant>,
    /// The connection that came back last, and what `last` was before that.
    returned: Option<(u32, Option<Instant>)>,
}

impl LastAnswer {
    /// What the driver tells of its pool's connections.
    pub(super) fn handler(&self) -> EventHandler<CmapEvent> {
        let this = self.clone();
        EventHandler::callback(move |event| this.note(&event))
    }

    /// How long ago it was; `None` before the first one.
    pub(super) fn ago(&self) -> Option<Duration> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.last.map(|last| last.elapsed())
    }

    fn note(&self, event: &CmapEvent) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            CmapEvent::ConnectionReady(_) => *seen = Seen { last: Some(stopwatch()), returned: None },
            CmapEvent::ConnectionCheckedIn(back) => {
                let returned = Some((back.connection_id, seen.last));
                *seen = Seen { last: Some(stopwatch()), returned };
            }
            CmapEvent::ConnectionClosed(closed) if is_broken(&closed.reason) => {
                if let Some((connection, before)) = seen.returned
                    && connection == closed.connection_id
                {
                    *seen = Seen { last: before, returned: None };
                }
            }
            _ => {}
        }
    }
}

fn is_broken(reason: &ConnectionClosedReason) -> bool {
    matches!(reason, ConnectionClosedReason::Error | ConnectionClosedReason::Dropped)
}
