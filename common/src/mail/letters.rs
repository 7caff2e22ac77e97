//! Letters that stand in documents beside the state, until they are sent.

use std::marker::PhantomData;
use std::time::Duration;

use bson::{Document, doc};
use metrics::{Counter, counter};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Mail, MailError, Post};
use crate::backoff::Backoff;
use crate::clock::{SharedClock, Time};
use crate::each::each;
use crate::id::MailId;
use crate::store::{Aggregate, Collection, Database, StoreError};

/// The array beside the state, for [`Change::pushing`](crate::store::Change::pushing).
pub const LETTERS: &str = "letters";

/// How many documents are looked at in one turn, and how many mails are under way at once.
const BATCH: i64 = 200;
const CONCURRENT: usize = 8;

/// While one process sends a letter no other takes it up; longer than a conversation with the server may take.
const CLAIM: Duration = Duration::from_secs(60);

/// The longest pause between two tries: of a server that does not answer, and of one that refused.
const PAUSE: Duration = Duration::from_secs(60);
const PAUSE_AFTER_REFUSAL: Duration = Duration::from_secs(3600);

/// A letter that could not be sent for so long is given up: what it says is no longer true.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(24 * 3600);

/// A letter that waits. `L` says which.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Letter<L> {
    /// Its id, and that of the mail.
    #[serde(rename = "_id")]
    pub id: MailId,
    /// What is to be written.
    pub about: L,
    /// When it was wanted.
    pub at: Time,
    due_at: Time,
    tries: i32,
}

impl<L> Letter<L> {
    /// A letter that is to be sent at once.
    pub fn new(about: L, now: Time) -> Self {
        Self { id: MailId::generate(now), about, at: now, due_at: now, tries: 0 }
    }
}

/// The letters in the documents of one collection.
pub struct Letters<L> {
    collection: Collection<Document>,
    clock: SharedClock,
    post: Post,
    outcomes: Outcomes,
    about: PhantomData<fn() -> L>,
}

/// How many mails were sent, and how many were not.
struct Outcomes {
    sent: Counter,
    failed: Counter,
    given_up: Counter,
}

impl Outcomes {
    fn new() -> Self {
        Self {
            sent: counter!("mails_sent_total"),
            failed: counter!("mails_failed_total"),
            given_up: counter!("mails_given_up_total"),
        }
    }
}

#[derive(Deserialize)]
struct Row<L> {
    #[serde(rename = "_id")]
    document: String,
    letters: Vec<Letter<L>>,
}

impl<L: Serialize + DeserializeOwned + Unpin + Send + Sync> Letters<L> {
    /// The letters that stand beside the aggregates `A`.
    pub fn beside<A: Aggregate>(database: &Database, clock: SharedClock, post: Post) -> Self {
        Self {
            collection: database.collection::<Document>(A::COLLECTION).beside_states(),
            clock,
            post,
            outcomes: Outcomes::new(),
            about: PhantomData,
        }
    }

    /// The way out.
    pub fn post(&self) -> &Post {
        &self.post
    }

    /// Sends the letters whose time has come. `write` gives the mail for a letter that stands in the document with the
    /// given id, or `None` if nobody wants it any more.
    ///
    /// What fails is tried again later, and a crash between sending and noting that sends a mail twice: once at least,
    /// never not at all.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn deliver<F, Fut>(&self, write: F) -> Result<(), StoreError>
    where
        F: Fn(String, Letter<L>) -> Fut,
        Fut: Future<Output = Result<Option<Mail>, StoreError>>,
    {
        // None is broken off when another one fails, as it may have been sent.
        each(self.due().await?, CONCURRENT, |(document, letter)| self.take_up(document, letter, &write)).await
    }

    async fn due(&self) -> Result<Vec<(String, Letter<L>)>, StoreError> {
        let now = self.clock.now();
        let waiting = doc! { "letters.0": { "$exists": true }, "letters.dueAt": { "$lte": now } };
        let rows = self.collection.beside_states::<Row<L>>();
        let rows = rows.find(waiting).projection(doc! { LETTERS: 1 }).limit(BATCH).await?;
        let due = |Row { document, letters }: Row<L>| {
            let due = letters.into_iter().filter(move |letter| letter.due_at <= now);
            due.map(move |letter| (document.clone(), letter))
        };
        Ok(rows.into_iter().flat_map(due).collect())
    }

    async fn take_up<F, Fut>(&self, document: String, letter: Letter<L>, write: &F) -> Result<(), StoreError>
    where
        F: Fn(String, Letter<L>) -> Fut,
        Fut: Future<Output = Result<Option<Mail>, StoreError>>,
    {
        let now = self.clock.now();
        if !self.claim(&document, &letter, now).await? {
            return Ok(());
        }
        let (id, at, tries) = (letter.id, letter.at, letter.tries + 1);
        let sent = match write(document.clone(), letter).await? {
            Some(mail) => self.post.send(&mail).await.inspect(|()| self.outcomes.sent.increment(1)),
            None => Ok(()),
        };
        match sent {
            Ok(()) => self.remove(&document, id).await,
            Err(error) if now.since(at) >= GIVEN_UP_AFTER => {
                self.outcomes.given_up.increment(1);
                tracing::error!(%error, mail = %id, tries, "a mail could not be sent for a day and is given up");
                self.remove(&document, id).await
            }
            Err(error) => {
                self.outcomes.failed.increment(1);
                tracing::warn!(%error, mail = %id, tries, "a mail was not sent; trying again later");
                self.put_off(&document, id, now + pause(tries, &error)).await
            }
        }
    }

    /// Takes a letter out of others' sight for a while; false if another process was faster.
    async fn claim(&self, document: &str, letter: &Letter<L>, now: Time) -> Result<bool, StoreError> {
        let seen = doc! {
            "_id": document,
            LETTERS: { "$elemMatch": { "_id": letter.id, "dueAt": letter.due_at, "tries": letter.tries } },
        };
        let claimed = doc! { "$set": { "letters.$.dueAt": now + CLAIM, "letters.$.tries": letter.tries + 1 } };
        Ok(self.collection.update_one(seen, claimed).await?.modified_count == 1)
    }

    async fn put_off(&self, document: &str, id: MailId, until: Time) -> Result<(), StoreError> {
        let waiting = doc! { "_id": document, "letters._id": id };
        self.collection.update_one(waiting, doc! { "$set": { "letters.$.dueAt": until } }).await?;
        Ok(())
    }

    async fn remove(&self, document: &str, id: MailId) -> Result<(), StoreError> {
        self.collection.update_one(doc! { "_id": document }, doc! { "$pull": { LETTERS: { "_id": id } } }).await?;
        Ok(())
    }
}

/// Twice as long after each try. Who refused is left in peace for longer than who did not answer.
fn pause(tries: i32, error: &MailError) -> Duration {
    let longest = if error.is_refusal() { PAUSE_AFTER_REFUSAL } else { PAUSE };
    Backoff::new(Duration::from_secs(1), longest).after(u32::try_from(tries).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_bound() {
        let refusal = MailError::Message("no such address".into());
        let seconds = |tries, error| pause(tries, error).as_secs();
        assert_eq!([1, 2, 5, 6, 99].map(|tries| seconds(tries, &MailError::TimedOut)), [2, 4, 32, 60, 60]);
        assert_eq!([1, 6, 11, 12, 99].map(|tries| seconds(tries, &refusal)), [2, 64, 2048, 3600, 3600]);
    }
}
