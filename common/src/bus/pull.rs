//! Pulling: the broker is asked for messages in batches, over one subscription that a listener keeps until it has been told that
//! nothing more will come.
//!
//! The streams of async-nats end with their subscription, whatever the broker has sent by then; that would be kept from the other
//! replicas until the broker's patience is over.

use std::time::Duration;

use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::consumer::pull::BatchConfig;
use async_nats::jetstream::{Context, Message};
use async_nats::{Error, StatusCode, Subject, Subscriber};
use futures::StreamExt;
use tokio::sync::mpsc::{PermitIterator, Sender};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::Bus;
use super::unanswered::{Given, Unanswered};

/// For how long the broker is asked, and how much later than that it may say that it has no more. Whoever stops waits for that.
const EXPIRES: Duration = Duration::from_millis(500);
const LATE: Duration = Duration::from_secs(1);

/// Where consumers are replicated, messages are sent once most replicas know of it, and the end of a pull may overtake them.
const STRAGGLES: Duration = Duration::from_millis(200);

/// What a consumer is asked for, and the answers.
pub(super) struct Pulls<'c> {
    consumer: &'c PullConsumer,
    context: Context,
    inbox: String,
    answers: Subscriber,
    unanswered: Unanswered,
    /// How many pulls there were. Each has an inbox of its own within the subscription's, by which its end is known.
    asked: u64,
}

impl<'c> Pulls<'c> {
    /// Nothing is asked for yet. What comes is among the `unanswered` at once.
    pub(super) async fn new(bus: &Bus, consumer: &'c PullConsumer, unanswered: Unanswered) -> Result<Self, Error> {
        let context = bus.jetstream.clone();
        let inbox = context.client().new_inbox();
        let answers = context.client().subscribe(format!("{inbox}.*")).await?;
        Ok(Self { consumer, context, inbox, answers, unanswered, asked: 0 })
    }

    /// Pulls so many messages at a time, whenever there is room for them, until told to stop or an answer is a failure. In either
    /// case all that the broker has sent is in `room` then.
    pub(super) async fn run(
        mut self,
        batch: usize,
        room: Sender<Given>,
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        let pulled = self.pull(batch, &room, stop).await;
        while let Ok(Some(answer)) = timeout(STRAGGLES, self.answers.next()).await {
            if is_message(&answer) && room.send(self.message(answer)).await.is_err() {
                break;
            }
        }
        pulled
    }

    async fn pull(&mut self, batch: usize, room: &Sender<Given>, stop: &CancellationToken) -> Result<(), Error> {
        loop {
            let places = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                places = room.reserve_many(batch) => places?,
            };
            // Whether it ends by what it asked for or unheard, the next one begins.
            if let Ok(ended) = timeout(EXPIRES + LATE, self.fill(batch, places)).await {
                ended?;
            }
        }
    }

    /// Pulls once, and gives a place to each message until the pull has ended.
    async fn fill(&mut self, batch: usize, places: PermitIterator<'_, Given>) -> Result<(), Error> {
        self.asked += 1;
        let own = Subject::from(format!("{}.{}", self.inbox, self.asked));
        let ask = BatchConfig { batch, expires: Some(EXPIRES), ..BatchConfig::default() };
        self.consumer.request_batch(ask, own.clone()).await?;
        for place in places {
            let answer = self.answers.next().await.ok_or("the subscription has ended")?;
            match answer.status {
                None | Some(StatusCode::OK) => place.send(self.message(answer)),
                Some(StatusCode::TIMEOUT) if answer.subject == own => break,
                // The end of a pull that was given up.
                Some(StatusCode::TIMEOUT) => {}
                Some(status) => return Err(format!("{status} {}", answer.description.unwrap_or_default()).into()),
            }
        }
        Ok(())
    }

    fn message(&self, message: async_nats::Message) -> Given {
        self.unanswered.take(Message { message, context: self.context.clone() })
    }
}

fn is_message(answer: &async_nats::Message) -> bool {
    matches!(answer.status, None | Some(StatusCode::OK))
}
