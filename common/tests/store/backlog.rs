//! What waits in outboxes, with a real database and a real broker.

use std::time::Duration;

use common::clock::{Clock as _, ManualClock, SharedClock, Time};
use common::events::expiration::ExpirationDue;
use common::events::{By as _, ExpirationEvent, Raised};
use common::id::OrderId;
use common::store::{Aggregate, Backlog, Change, Versioned};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::outboxes::relayed;
use crate::database::TestDatabase;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Deadline {
    pub(super) order: OrderId,
    pub(super) at: Time,
}

impl Aggregate for Deadline {
    type Event = ExpirationEvent;
    const KIND: &'static str = "deadline";
    const COLLECTION: &'static str = "deadlines";

    fn id(&self) -> String {
        self.order.to_string()
    }
}

impl Deadline {
    pub(super) fn raised(&self) -> Raised<ExpirationEvent> {
        ExpirationEvent::from(ExpirationDue { order_ids: vec![self.order], expires_at: self.at }).by_system()
    }
}

#[actix_web::test]
async fn a_backlog_has_what_the_broker_has_not_and_the_time_of_the_oldest() {
    let (database, clock) = (TestDatabase::new().await, ManualClock::at(Time::from_millis(1_790_000_000_000)));
    let (shared, stop): (SharedClock, _) = (clock.clone(), CancellationToken::new());
    let (deadlines, relay, work) = relayed::<Deadline>(&database, shared).await;
    let begun = clock.now();
    assert_eq!(relay.backlog().await.unwrap(), Backlog::default());

    let store = async || {
        let deadline = Deadline { order: OrderId::generate(clock.now()), at: clock.now() };
        let stored: Versioned<Deadline> = deadlines.insert(deadline.clone(), deadline.raised()).await.unwrap();
        clock.advance(Duration::from_secs(60));
        stored
    };
    let first = store().await;
    store().await;
    assert_eq!(relay.backlog().await.unwrap(), Backlog { events: 2, oldest: Some(begun) });
    let again = Change::new(first.value.clone(), first.value.raised());
    deadlines.save(&first, again).await.unwrap();
    assert_eq!(relay.backlog().await.unwrap(), Backlog { events: 3, oldest: Some(begun) }, "two of one document");

    // Told to stop, the relay first publishes what it was handed.
    stop.cancel();
    work.run(stop).await;
    assert_eq!(relay.backlog().await.unwrap(), Backlog::default());
    database.leave().await;
}
