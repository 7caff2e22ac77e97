//! Collections, indexes and queries.

use bson::{Bson, Document, doc};
use common::bus::EventRecord;
use common::clock::Time;
use common::each::each;
use common::events::inventory::InventoryChanged;
use common::events::{By, Raised, TicketEvent};
use common::id::{TicketId, UserId};
use common::store::{Aggregate, Aggregates, Change, ChangeError, Indexes, StoreError, Versioned};

use crate::catalogue::{Position, WORDS, Wanted};
use crate::closed_accounts::ClosedAccounts;
use crate::places::Places;
use crate::shelf::Shelf;
use crate::ticket::{Changed, Ticket};

impl Aggregate for Ticket {
    type Event = TicketEvent;
    const KIND: &'static str = "ticket";
    const COLLECTION: &'static str = "tickets";

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn snapshot(&self) -> Option<TicketEvent> {
        Some(self.told())
    }
}

/// How many listings get their words together, and how many of them at once.
const BATCH: i64 = 200;
const AT_ONCE: usize = 16;

/// The order of the catalogue, as the indexes have it.
fn shelf_order() -> Document {
    doc! { "shelf.rank": 1, "places.soldOut": 1, "shelf.order": 1, "_id": -1 }
}

/// Every index of the service.
pub(crate) fn indexes() -> Vec<Indexes> {
    let going_on = doc! { "shelf.rank": Shelf::OPEN };
    let by_seller: Document = doc! { "sellerId": 1 }.into_iter().chain(shelf_order()).collect();
    let indexes = Indexes::of(Ticket::COLLECTION).outbox().on(shelf_order()).on(by_seller).on(doc! { WORDS: 1 });
    vec![indexes.partial(doc! { "shelf.until": 1 }, going_on), ClosedAccounts::indexes()]
}

/// The listings.
#[derive(Clone)]
pub(crate) struct TicketStore {
    tickets: Aggregates<Ticket>,
}

impl TicketStore {
    /// The store over the aggregates.
    pub(crate) fn new(tickets: Aggregates<Ticket>) -> Self {
        Self { tickets }
    }

    /// Reads a listing.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn get(&self, id: TicketId) -> Result<Option<Versioned<Ticket>>, StoreError> {
        self.tickets.get(id).await
    }

    /// Stores a new listing.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn insert(&self, (ticket, event): Changed) -> Result<Versioned<Ticket>, StoreError> {
        let seller = ticket.seller_id;
        self.tickets.insert(ticket, event.by(seller)).await
    }

    /// Does to a listing what `rule` decides, in the name of `actor`.
    ///
    /// # Errors
    /// What the rule refuses; the store's.
    pub(crate) async fn change<E>(
        &self,
        id: TicketId,
        actor: UserId,
        mut rule: impl FnMut(&Versioned<Ticket>) -> Result<Option<Changed>, E>,
    ) -> Result<Versioned<Ticket>, ChangeError<E>> {
        let written = |(next, event): Changed| -> Change<Ticket> {
            let event: Raised<TicketEvent> = event.by(actor);
            Change::new(next, event)
        };
        self.tickets.change(id, |current| Ok(rule(current)?.map(written))).await
    }

    /// Takes a listing off sale whose seller's account was closed; `None` if there is none.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn suspend(&self, id: TicketId) -> Result<Option<Versioned<Ticket>>, StoreError> {
        let suspended = |current: &Versioned<Ticket>| {
            let (next, event) = current.value.suspend()?;
            Some(Change::new(next, event.by_system()))
        };
        self.tickets.advance(id, suspended).await
    }

    /// Up to `limit` listings of a seller that are on sale. Each that is taken off sale stands elsewhere in the index, so asking
    /// again finds the next ones.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn on_sale_of(&self, seller: UserId, limit: i64) -> Result<Vec<Versioned<Ticket>>, StoreError> {
        let on_sale = doc! { "sellerId": seller, "shelf.rank": { "$in": [Shelf::OPEN, Shelf::ENDED] } };
        self.tickets.find_work(on_sale, Document::new(), limit).await
    }

    /// Up to `limit` of what is wanted, behind `after`, in the order of the shelves.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn list(
        &self,
        wanted: &Wanted,
        after: Option<Position>,
        limit: i64,
    ) -> Result<Vec<Versioned<Ticket>>, StoreError> {
        self.tickets.find(wanted.filter(after), shelf_order(), limit).await
    }

    /// Takes in the counts that the authority tells. They stand beside the version, and the newest win.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn recount(&self, record: &EventRecord, counts: &InventoryChanged) -> Result<(), StoreError> {
        let places = common::store::to_document(&Places::told(counts, record.version))?;
        let older = doc! { "_id": counts.ticket_id, "places.version": { "$lt": record.version } };
        self.tickets.table().update(older, doc! { "$set": { "places": places } }).await
    }

    /// Gives their words to the listings that have none, of builds that knew of none. Answers how many there were.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn add_words(&self) -> Result<usize, StoreError> {
        let mut all = 0;
        loop {
            let wordless = self.tickets.find_work(doc! { WORDS: Bson::Null }, Document::new(), BATCH).await?;
            let found = wordless.len();
            each(wordless, AT_ONCE, |ticket| self.add_words_to(ticket)).await?;
            all += found;
            if found as i64 != BATCH {
                return Ok(all);
            }
        }
    }

    /// What follows from the rest is no change of a listing: no version is made. One that was changed meanwhile has its words
    /// from that, or is found again.
    async fn add_words_to(&self, Versioned { version, value: ticket }: Versioned<Ticket>) -> Result<(), StoreError> {
        let same = doc! { "_id": ticket.id, "version": version };
        let words = ticket.offer.findable().words;
        self.tickets.table().update(same, doc! { "$set": { WORDS: words } }).await
    }

    /// Moves that whose sale has ended by `now` to its part of the catalogue. Answers how many listings there were.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn shelve_ended(&self, now: Time) -> Result<u64, StoreError> {
        let ended = doc! { "shelf.rank": Shelf::OPEN, "shelf.until": { "$lte": now } };
        // Of builds that knew of no end but the start.
        let started = doc! {
            "shelf.rank": Shelf::OPEN,
            "places.soldOut": { "$in": [false, true] },
            "shelf.order": { "$lte": now.millis() },
            "shelf.until": Bson::Null,
        };
        let (ended, started) = tokio::try_join!(self.shelve(ended), self.shelve(started))?;
        Ok(ended + started)
    }

    async fn shelve(&self, ended: Document) -> Result<u64, StoreError> {
        let undated = doc! { "$eq": ["$shelf.order", Shelf::UNDATED] };
        let behind = doc! { "$multiply": ["$shelf.order", -1_i64] };
        let order = doc! { "$cond": [undated, Shelf::UNDATED, behind] };
        // `$set` of the whole shelf would keep the fields that it has.
        let moved = vec![
            doc! { "$unset": "shelf.until" },
            doc! { "$set": { "shelf.rank": Shelf::ENDED, "shelf.order": order } },
        ];
        Ok(self.tickets.collection().update_many(ended, moved).await?.modified_count)
    }
}

#[cfg(test)]
mod tests {
    use common::store::fixtures::{Fixtures, element};

    use super::*;
    use crate::closed_accounts::ClosedAccount;

    #[test]
    fn stored_documents_of_every_version_are_read() {
        let fixtures =
            Fixtures::of(env!("CARGO_MANIFEST_DIR"), indexes()).aggregate::<Ticket>(&[("places", element::<Places>)]);
        let fixtures = fixtures.documents::<ClosedAccount>(ClosedAccounts::COLLECTION);
        assert_eq!(fixtures.wrong(), Vec::<String>::new());
    }
}
