//! The messages that this process was given and has not answered for.
//!
//! The broker hears of each of them again and again that it is worked on, wherever in this process it waits: for room, behind
//! others of its aggregate, for the database. So the broker gives none of them to another replica while this process lives,
//! however long the work before it takes. After its answer a message gets no word any more, which would undo the answer's
//! delay; neither does one that is dropped without an answer, so the broker gives it again.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::jetstream::{AckKind, Message};
use async_nats::{Client, Subject};

/// How often the broker hears that a message is worked on: well within its patience.
const WORD_EVERY: Duration = Duration::from_secs(10);

/// The messages, in the order in which they came: the subjects to which their answers go.
#[derive(Clone, Debug, Default)]
pub(super) struct Unanswered(Arc<Mutex<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    replies: BTreeMap<u64, Subject>,
}

/// One of them, until it is answered for or dropped.
#[derive(Debug)]
pub(super) struct Given {
    message: Message,
    number: u64,
    unanswered: Unanswered,
}

impl Unanswered {
    /// Takes a message that the broker has just given.
    pub(super) fn take(&self, message: Message) -> Given {
        let mut waiting = self.lock();
        let number = waiting.next;
        waiting.next += 1;
        if let Some(reply) = &message.reply {
            waiting.replies.insert(number, reply.clone());
        }
        Given { message, number, unanswered: self.clone() }
    }

    /// Gives word for all that is here, for ever.
    pub(super) async fn keep_giving_word(&self, client: &Client) -> Infallible {
        loop {
            tokio::time::sleep(WORD_EVERY).await;
            let here: Vec<u64> = self.lock().replies.keys().copied().collect();
            for number in here {
                // It may have been answered for since.
                let Some(reply) = self.lock().replies.get(&number).cloned() else { continue };
                if let Err(error) = client.publish(reply, AckKind::Progress.into()).await {
                    tracing::debug!(%error, "the broker was not told that work goes on");
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Given {
    /// Answers for the message.
    pub(super) async fn answer(&self, kind: AckKind) {
        self.no_more_words();
        if let Err(error) = self.message.ack_with(kind).await {
            tracing::warn!(error, "acknowledgement not sent; the event will come again");
        }
    }

    fn no_more_words(&self) {
        self.unanswered.lock().replies.remove(&self.number);
    }
}

impl Deref for Given {
    type Target = Message;

    fn deref(&self) -> &Message {
        &self.message
    }
}

impl Drop for Given {
    fn drop(&mut self) {
        self.no_more_words();
    }
}
