//! Messages for later, by JetStream's scheduler (nats-server 2.12 and newer): the broker keeps the time, no process needs to be up.

use crate::clock::Time;

use super::{Bus, BusError, EventRecord};

impl Bus {
    /// Has the broker publish `record` at `due`. A second schedule for the same aggregate replaces the first.
    ///
    /// # Errors
    /// If the broker does not accept it.
    pub async fn schedule(&self, record: &EventRecord, due: Time) -> Result<(), BusError> {
        let mut headers = record.headers();
        // The id stays free for the message that the scheduler will publish.
        headers
            .insert(async_nats::header::NATS_MESSAGE_ID, format!("schedule:{}:{}", record.id, due.millis()).as_str());
        headers.insert("Nats-Schedule", format!("@at {due}").as_str());
        headers.insert("Nats-Schedule-Target", self.namespace.subject(&record.domain, &record.aggregate).as_str());
        let subject = self.namespace.schedule_subject(&record.domain, &record.aggregate);
        let payload = bytes::Bytes::from(record.payload.clone());
        let sent = async { Ok(self.jetstream.publish_with_headers(subject, headers, payload).await?.await?) };
        let taken: Result<_, BusError> = sent.await;
        if self.is_connected() {
            self.publishing.note(&record.domain, u64::from(taken.is_ok()), u64::from(taken.is_err()));
        }
        taken.map(drop)
    }
}
