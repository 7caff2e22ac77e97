//! Events in: one function per domain.

use std::sync::Arc;

use common::bus::{BusError, EventRecord, ListenError, Received};
use common::events::expiration::ExpirationDue;
use common::events::{By, DomainEvent, ExpirationEvent, OrderEvent};

use crate::Expiration;
use crate::deadline::Deadline;

const KIND: &str = "expiration";

/// Sets and lifts the deadline of a hold.
///
/// # Errors
/// If the broker does not answer.
pub(crate) async fn on_order(expiration: Arc<Expiration>, received: Received<OrderEvent>) -> Result<(), ListenError> {
    match Deadline::after(&received.event) {
        Deadline::Set(due) => expiration.set(due).await,
        Deadline::Lifted(order) => Ok(expiration.bus.unschedule(ExpirationEvent::DOMAIN, &order.to_string()).await?),
        Deadline::Kept => Ok(()),
    }
}

impl Expiration {
    async fn set(&self, due: ExpirationDue) -> Result<(), ListenError> {
        let record = due_record(due).map_err(ListenError::permanent)?;
        if Deadline::is_over(&due, self.clock.now()) {
            return Ok(self.tell(record).await?);
        }
        Ok(self.bus.schedule(&record, due.expires_at).await?)
    }

    async fn tell(&self, record: EventRecord) -> Result<(), BusError> {
        self.bus.publish_all(&[&record]).await.into_iter().collect()
    }
}

/// The event, as it will be when its time has come: a deadline happens once, at its time.
fn due_record(due: ExpirationDue) -> Result<EventRecord, serde_json::Error> {
    let raised = ExpirationEvent::from(due).by_system();
    EventRecord::new(KIND, &due.order_id.to_string(), 1, &raised, due.expires_at)
}
