//! Events out of version order: what a domain's listeners have not heard yet is published again, the last event first, and the
//! originals are taken out of the stream. The copies are there before the originals go, so no event is lost by this.

use std::collections::BTreeMap;

use async_nats::HeaderMap;
use async_nats::header::NATS_MESSAGE_ID;
use async_nats::jetstream::Context;
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::Stream;

use super::world::World;

/// No more than the last so many are turned around.
const MOST: u64 = 300;

/// The end of a stream at one time.
pub(super) struct Since {
    domain: &'static str,
    next: u64,
}

impl Since {
    /// From where on the events of a domain are to be turned around.
    pub(super) async fn of(world: &World, domain: &'static str) -> Result<Self, async_nats::Error> {
        let mut stream = stream(world, domain).await?.1;
        let last = stream.info().await?.state.last_sequence;
        Ok(Self { domain, next: last + 1 })
    }

    /// Turns around what came since. Answers how many events come later than a successor of the same aggregate.
    pub(super) async fn turn_around(self, world: &World) -> Result<usize, async_nats::Error> {
        let (jetstream, mut stream) = stream(world, self.domain).await?;
        let last = stream.info().await?.state.last_sequence;
        let first = self.next.max((last + 1).saturating_sub(MOST));
        let mut events = Vec::new();
        for sequence in first..=last {
            events.push(stream.get_raw_message(sequence).await?);
        }
        for event in events.iter().rev() {
            again(&jetstream, event).await?;
        }
        for event in &events {
            stream.delete_message(event.sequence).await?;
        }
        let mut of_aggregate: BTreeMap<&str, usize> = BTreeMap::new();
        events.iter().for_each(|event| *of_aggregate.entry(&event.subject).or_default() += 1);
        Ok(of_aggregate.into_values().map(|events| events - 1).sum())
    }
}

async fn stream(world: &World, domain: &str) -> Result<(Context, Stream), async_nats::Error> {
    let (jetstream, namespace) = world.jetstream().await?;
    let stream = jetstream.get_stream(namespace.stream(domain)).await?;
    Ok((jetstream, stream))
}

/// The same event as a message of its own: the broker drops a second one with the same id.
async fn again(jetstream: &Context, event: &StreamMessage) -> Result<(), async_nats::Error> {
    let mut headers = HeaderMap::new();
    for (name, values) in event.headers.iter().filter(|(name, _)| !name.to_string().starts_with("Nats-")) {
        values.iter().for_each(|value| headers.append(name.clone(), value.clone()));
    }
    headers.insert(NATS_MESSAGE_ID, format!("disorder:{}:{}", event.subject, event.sequence).as_str());
    jetstream.publish_with_headers(event.subject.clone(), headers, event.payload.clone()).await?.await?;
    Ok(())
}
