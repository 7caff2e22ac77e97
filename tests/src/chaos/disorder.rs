//! Events out of version order. The consumers of a domain are paused for a while; what was published meanwhile is published again,
//! the last event first, and the originals are taken out of the stream. The copies are there before the originals go, so no event
//! is lost by this, and a pause ends by itself should nobody end it.

use std::collections::BTreeMap;
use std::future::ready;
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::header::NATS_MESSAGE_ID;
use async_nats::jetstream::Context;
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::response::Response;
use common::clock::{Clock, SystemClock};
use futures::TryStreamExt;
use futures::future::try_join_all;
use serde_json::{Value, json};

use super::world::{LISTENING, World};

/// No more than the last so many are turned around.
const MOST: u64 = 100;

/// So long after it was to be over, a pause ends by itself.
const ENDS_AFTER: Duration = Duration::from_secs(10);

/// A domain whose consumers are paused.
pub(super) struct Paused {
    jetstream: Context,
    stream: String,
    consumers: Vec<String>,
    next: u64,
}

impl Paused {
    /// Pauses all who listen to a domain, for about so long.
    pub(super) async fn begin(world: &World, domain: &str, length: Duration) -> Result<Self, async_nats::Error> {
        let (jetstream, namespace) = world.jetstream().await?;
        let stream = namespace.stream(domain);
        let found = jetstream.get_stream(&stream).await?;
        let durable = |name: &String| LISTENING.contains(&name.as_str());
        let consumers: Vec<String> =
            found.consumer_names().try_filter(|name| ready(durable(name))).try_collect().await?;
        let next = found.cached_info().state.last_sequence + 1;
        let paused = Self { jetstream, stream, consumers, next };
        paused.pause(json!({ "pause_until": (SystemClock.now() + length + ENDS_AFTER).to_string() })).await?;
        Ok(paused)
    }

    /// Lets them go on.
    pub(super) async fn end(&self) -> Result<(), async_nats::Error> {
        self.pause(json!({})).await
    }

    async fn pause(&self, until: Value) -> Result<(), async_nats::Error> {
        for consumer in &self.consumers {
            let subject = format!("CONSUMER.PAUSE.{}.{consumer}", self.stream);
            let _: Response<Value> = self.jetstream.request(subject, &until).await?;
        }
        Ok(())
    }

    /// Turns around what came since. Answers how many events come later than a successor of the same aggregate.
    pub(super) async fn turn_around(&self) -> Result<usize, async_nats::Error> {
        let jetstream = &self.jetstream;
        let stream = jetstream.get_stream(&self.stream).await?;
        let last = stream.cached_info().state.last_sequence;
        let first = self.next.max((last + 1).saturating_sub(MOST));
        let events = try_join_all((first..=last).map(|sequence| stream.get_raw_message(sequence))).await?;
        for event in events.iter().rev() {
            again(jetstream, event).await?;
        }
        try_join_all(events.iter().map(|event| take_out(jetstream, &self.stream, event))).await?;
        let mut of_aggregate: BTreeMap<&str, usize> = BTreeMap::new();
        events.iter().for_each(|event| *of_aggregate.entry(&event.subject).or_default() += 1);
        Ok(of_aggregate.into_values().map(|events| events - 1).sum())
    }
}

/// Without overwriting what the disk has of it, which takes long.
async fn take_out(jetstream: &Context, stream: &str, event: &StreamMessage) -> Result<(), async_nats::Error> {
    let wish = json!({ "seq": event.sequence, "no_erase": true });
    let _: Response<Value> = jetstream.request(format!("STREAM.MSG.DELETE.{stream}"), &wish).await?;
    Ok(())
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
