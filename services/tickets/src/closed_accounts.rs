//! Sellers whose accounts were closed: nothing of theirs is on sale.
//!
//! That an account was closed is noted first, then its listings are taken off sale, one event each, page by page. Who lists something
//! looks at the note after the listing is stored. So whichever comes second, the note or the listing, finds the other. If the
//! process dies in between, or there is more to do than a listener has time for, a job goes on: for as long as a request that
//! was let in before may still store a listing, it looks again and again. Closing an account is final, and so is the note.

use std::time::Duration;

use bson::doc;
use common::clock::Time;
use common::each::each;
use common::id::UserId;
use common::store::{Collection, Database, Indexes, StoreError, Table, Versioned};
use serde::{Deserialize, Serialize};

use crate::Tickets;
use crate::ticket::Ticket;

/// For how long listings are looked for. Access tokens of before live ten minutes, and a request with a key is worked on for less
/// than a minute more; clocks differ.
const LOOKED_FOR: Duration = Duration::from_secs(30 * 60);

/// How many listings are read at once, and how many of them are taken off sale at once.
const PAGE: i64 = 200;
const AT_ONCE: usize = 16;

/// How many pages a listener deals with before it leaves the rest to the job, and how many the job in a turn.
const PAGES_HEARD: usize = 5;
const PAGES_IN_A_TURN: usize = 100;

/// How many accounts the job looks at in a turn.
const ACCOUNTS: i64 = 100;

/// What is kept of an account that was closed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ClosedAccount {
    #[serde(rename = "_id")]
    id: UserId,
    /// Until when its listings are looked for; none once that is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    look_until: Option<Time>,
}

/// The accounts that were closed.
pub(crate) struct ClosedAccounts {
    table: Table,
}

impl ClosedAccounts {
    /// The collection's name.
    pub(crate) const COLLECTION: &str = "closed_accounts";

    /// Those in the database of tickets.
    pub(crate) fn new(database: &Database) -> Self {
        Self { table: Table::new(database, Self::COLLECTION) }
    }

    /// The indexes of the collection.
    pub(crate) fn indexes() -> Indexes {
        Indexes::of(Self::COLLECTION).partial(doc! { "lookUntil": 1 }, looked_at())
    }

    /// Notes that an account was closed; that it is noted already is no error.
    async fn note(&self, id: UserId, now: Time) -> Result<(), StoreError> {
        match self.table.insert(&ClosedAccount { id, look_until: Some(now + LOOKED_FOR) }).await {
            Ok(()) | Err(StoreError::Exists) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn has(&self, id: UserId) -> Result<bool, StoreError> {
        Ok(self.table.get::<ClosedAccount>(id.to_string()).await?.is_some())
    }

    async fn looked_at(&self) -> Result<Vec<ClosedAccount>, StoreError> {
        let accounts: Collection<ClosedAccount> = self.table.documents();
        accounts.find(looked_at()).sort(doc! { "lookUntil": 1 }).limit(ACCOUNTS).await
    }

    async fn look_no_more(&self, id: UserId) -> Result<(), StoreError> {
        self.table.update(doc! { "_id": id }, doc! { "$unset": { "lookUntil": "" } }).await
    }
}

fn looked_at() -> bson::Document {
    doc! { "lookUntil": { "$exists": true } }
}

impl Tickets {
    /// Takes a seller's listings off sale whose account was closed. Of a great many, the job takes the rest.
    pub(crate) async fn close_account(&self, seller: UserId) -> Result<(), StoreError> {
        self.closed_accounts.note(seller, self.clock.now()).await?;
        self.suspend_listings_of(seller, PAGES_HEARD).await.map(drop)
    }

    /// A listing that was just stored, off sale if the account of its seller was closed meanwhile.
    pub(crate) async fn suspended_if_closed(&self, made: Versioned<Ticket>) -> Result<Versioned<Ticket>, StoreError> {
        if !self.closed_accounts.has(made.value.seller_id).await? {
            return Ok(made);
        }
        Ok(self.tickets.suspend(made.value.id).await?.unwrap_or(made))
    }

    /// Goes on with the accounts that were closed in the last while.
    pub(crate) async fn look_at_closed_accounts(&self) -> Result<(), StoreError> {
        let mut outcome = Ok(());
        for account in self.closed_accounts.looked_at().await? {
            // One that cannot be looked at keeps the others waiting no longer.
            outcome = self.look_at(account).await.and(outcome);
        }
        outcome
    }

    async fn look_at(&self, account: ClosedAccount) -> Result<(), StoreError> {
        let all = self.suspend_listings_of(account.id, PAGES_IN_A_TURN).await?;
        if all && account.look_until.is_none_or(|until| until < self.clock.now()) {
            self.closed_accounts.look_no_more(account.id).await?;
        }
        Ok(())
    }

    /// Takes up to so many pages of a seller's listings off sale. Answers whether these were all.
    async fn suspend_listings_of(&self, seller: UserId, pages: usize) -> Result<bool, StoreError> {
        for _ in 0..pages {
            let listings = self.tickets.on_sale_of(seller, PAGE).await?;
            let are_last = (listings.len() as i64) < PAGE;
            each(listings, AT_ONCE, |listing| self.suspend(listing)).await?;
            if are_last {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn suspend(&self, listing: Versioned<Ticket>) -> Result<(), StoreError> {
        let suspended = self.tickets.suspend(listing.value.id).await?;
        suspended.inspect(|ticket| self.pages.written(ticket));
        Ok(())
    }
}
