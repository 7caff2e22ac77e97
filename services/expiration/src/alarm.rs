//! Has the broker tell what is due, many deadlines in a message.

use std::sync::Arc;

use common::bus::{Bus, BusError, EventRecord};
use common::clock::SharedClock;
use common::events::expiration::ExpirationDue;
use common::events::{By, ExpirationEvent};
use common::id::DeadlinesId;
use futures::future::try_join_all;

use crate::deadline::{Deadline, together};

const KIND: &str = "expiration";

/// Why the broker will not tell of a deadline.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotSet {
    /// It did not accept the message.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// There is no message.
    #[error("the event has no JSON form: {0}")]
    Encode(#[from] serde_json::Error),
}

#[derive(Clone)]
pub(crate) struct Alarm {
    bus: Bus,
    clock: SharedClock,
}

impl Alarm {
    pub(crate) fn new(bus: Bus, clock: SharedClock) -> Self {
        Self { bus, clock }
    }

    /// Sets deadlines, and answers for each. If some could not be set, none counts as set: they come again, and what is told
    /// twice of an order ends its hold once.
    pub(crate) async fn set_all(self, deadlines: Vec<Deadline>) -> Vec<Result<(), Arc<NotSet>>> {
        let count = deadlines.len();
        let outcome = self.set(deadlines).await.map_err(Arc::new);
        vec![outcome; count]
    }

    /// What is over already is told at once: the broker does not wait for a time that has passed.
    async fn set(&self, deadlines: Vec<Deadline>) -> Result<(), NotSet> {
        let told = together(deadlines).into_iter().map(async |due| {
            let at = due.expires_at;
            Ok::<_, NotSet>(self.bus.schedule(&self.record(due)?, at).await?)
        });
        try_join_all(told).await.map(drop)
    }

    /// The event, as it will be when its time has come. Each has an id of its own, so that none replaces another: deadlines
    /// that come again do so in other company.
    fn record(&self, due: ExpirationDue) -> Result<EventRecord, serde_json::Error> {
        let (id, at) = (DeadlinesId::generate(self.clock.now()), due.expires_at);
        EventRecord::new(KIND, &id.to_string(), 1, &ExpirationEvent::from(due).by_system(), at)
    }
}
