//! The orders that hold places, by their deadlines and by their buyers.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use bson::{Document, doc};
use common::clock::Time;
use common::id::{OrderId, TicketId, UserId};
use common::store::{Aggregates, StoreError, Together};
use futures::future::try_join_all;
use futures::{Stream, TryStreamExt};
use serde::Deserialize;

use super::OrderStore;
use crate::hold_limits::Standing;
use crate::order::Order;

/// The orders that hold places until their deadline.
pub(super) fn holding() -> Document {
    doc! { "state": { "$in": ["created", "awaiting_payment"] } }
}

/// Of the orders that the limits count: they let nobody have many of a listing at a time. Those that a person has paid are not in
/// it, and what was let go more than an hour ago is out of the range that is read: however many there are, they cost the next
/// hold nothing.
pub(super) fn index_of_counted() -> Document {
    doc! { "buyerId": 1, "ticketId": 1, "countsUntil": 1 }
}

pub(super) fn counted() -> Document {
    doc! { "countsUntil": { "$exists": true } }
}

/// Those who want places of a listing.
#[derive(Clone, Debug)]
pub(crate) struct Wanting {
    pub(crate) ticket: TicketId,
    pub(crate) buyers: HashSet<UserId>,
    /// Until when that counts which is of interest.
    pub(crate) counting: Range<Time>,
}

/// What the limits count of the orders that they have of the listing.
pub(super) type Counted = Together<Wanting, Vec<Standing>>;

/// The way to ask for it.
pub(super) fn ask_for_counted(orders: Aggregates<Order>) -> Counted {
    Together::new(move |wanting| counted_of(orders.clone(), wanting))
}

async fn counted_of(orders: Aggregates<Order>, wanting: Vec<Wanting>) -> Result<Vec<Vec<Standing>>, StoreError> {
    let tickets: Vec<TicketId> = wanting.iter().map(|one| one.ticket).collect();
    let buyers: HashSet<UserId> = wanting.iter().flat_map(|one| one.buyers.iter().copied()).collect();
    let wanted = doc! {
        "buyerId": { "$in": Vec::from_iter(buyers) }, "ticketId": { "$in": tickets },
        "countsUntil": {
            "$gte": wanting.iter().map(|one| one.counting.start).min(),
            "$lt": wanting.iter().map(|one| one.counting.end).max(),
        },
    };
    let fields = doc! { "ticketId": 1, "buyerId": 1, "state": 1, "quantity": 1, "unitPrice": 1, "createdAt": 1, "expiresAt": 1, "paidAt": 1,
    "givenUpLateAt": 1, "givenUpSoonAt": 1, "countsUntil": 1 };
    // Read in whatever schema, as `OrderStore::stored_of` does, and by this index: the planner would also take one that has all
    // orders of the listings, or all of a buyer.
    let collection = orders.collection().beside_states::<Standing>();
    let mut of_listing = HashMap::<TicketId, Vec<Standing>>::new();
    for order in collection.find(wanted).projection(fields).hint(index_of_counted()).await? {
        of_listing.entry(order.ticket_id).or_default().push(order);
    }
    let theirs = |Wanting { ticket, buyers, .. }: &Wanting| {
        let of_listing = of_listing.get(ticket).into_iter().flatten();
        of_listing.filter(|order| buyers.contains(&order.buyer_id)).cloned().collect()
    };
    Ok(wanting.iter().map(theirs).collect())
}

#[derive(Deserialize)]
struct Row {
    #[serde(rename = "_id")]
    id: OrderId,
}

impl OrderStore {
    /// Those of the given orders that hold places until their deadline.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn holding_of(&self, orders: Vec<OrderId>) -> Result<Vec<OrderId>, StoreError> {
        let mut wanted = holding();
        wanted.insert("_id", doc! { "$in": orders });
        let collection = self.orders.states::<Row>();
        let rows = collection.find(wanted).projection(doc! { "_id": 1 }).await?;
        Ok(rows.into_iter().map(|row| row.id).collect())
    }

    /// All orders that still hold places although their deadline was before `since`, the longest overdue first.
    ///
    /// # Errors
    /// The store's, at once or in the middle.
    pub(crate) async fn overdue(
        &self,
        since: Time,
    ) -> Result<impl Stream<Item = Result<OrderId, StoreError>> + use<>, StoreError> {
        let mut wanted = holding();
        wanted.insert("expiresAt", doc! { "$lt": since });
        let collection = self.orders.states::<Row>();
        let found = collection.find(wanted).projection(doc! { "_id": 1 }).sort(doc! { "expiresAt": 1 });
        Ok(found.stream().await?.map_ok(|row| row.id))
    }

    /// What the limits count of the orders that some have of a listing; what is asked of all listings goes together.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn counted_of(&self, wanting: Wanting) -> Result<Vec<Standing>, StoreError> {
        if wanting.buyers.is_empty() {
            return Ok(Vec::new());
        }
        self.counted.ask(wanting).await
    }

    /// Those of the given orders that are stored, in whatever schema: what an index names means the same in all, and one order
    /// that only a later build reads must not keep others from their places.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn stored_of(&self, orders: Vec<OrderId>) -> Result<Vec<Standing>, StoreError> {
        let found = orders.into_iter().map(|order| self.orders.beside_state::<Standing>(order));
        Ok(try_join_all(found).await?.into_iter().flatten().collect())
    }
}
