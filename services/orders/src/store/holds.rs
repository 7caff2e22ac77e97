//! The orders that hold places, by their deadlines and by their buyers.

use std::collections::{HashMap, HashSet};

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

/// Of the orders that hold places and are not paid, and those that were let run out: the limits let nobody have many of a listing.
/// Those that a person has paid, or given up soon, are in neither index and cost the next hold nothing.
pub(super) fn index_of_unpaid() -> Document {
    doc! { "buyerId": 1, "ticketId": 1 }
}

pub(super) fn unpaid() -> Document {
    doc! { "state": { "$in": ["created", "awaiting_payment", "expiring", "expired"] } }
}

/// Of those that nearly were let run out.
pub(super) fn index_of_given_up_late() -> Document {
    doc! { "buyerId": 1, "ticketId": 1, "givenUpLateAt": 1 }
}

pub(super) fn given_up_late() -> Document {
    doc! { "givenUpLateAt": { "$exists": true } }
}

/// Somebody who wants places of a listing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanting {
    pub(crate) ticket: TicketId,
    pub(crate) buyer: UserId,
    /// What was given up late before this is no matter any more.
    pub(crate) since: Time,
}

/// What somebody has of a listing without having paid for it.
pub(super) type Unpaid = Together<Wanting, Vec<Standing>>;

/// The way to ask for it, in two queries.
pub(super) fn ask_for_unpaid(orders: Aggregates<Order>) -> Unpaid {
    Together::new(move |wanting| unpaid_of(orders.clone(), wanting))
}

async fn unpaid_of(orders: Aggregates<Order>, wanting: Vec<Wanting>) -> Result<Vec<Vec<Standing>>, StoreError> {
    let (tickets, buyers): (HashSet<_>, HashSet<_>) = wanting.iter().map(|one| (one.ticket, one.buyer)).unzip();
    let (tickets, buyers) = (Vec::from_iter(tickets), Vec::from_iter(buyers));
    let of_them = || doc! { "buyerId": { "$in": buyers.as_slice() }, "ticketId": { "$in": tickets.as_slice() } };
    let fields = || doc! { "ticketId": 1, "buyerId": 1, "state": 1, "quantity": 1, "expiresAt": 1, "givenUpLateAt": 1 };
    // Read in whatever schema, as `OrderStore::stored_of` does, and by these indexes: the planner would also take one that has all
    // orders of the listings, or all of a buyer.
    let collection = orders.collection().beside_states::<Standing>();
    let mut wanted = of_them();
    wanted.extend(unpaid());
    let mut found = collection.find(wanted).projection(fields()).hint(index_of_unpaid()).await?;
    // One after the other: an order that is given up meanwhile goes from the first to the second.
    let mut wanted = of_them();
    wanted.insert("givenUpLateAt", doc! { "$gt": wanting.iter().map(|one| one.since).min() });
    found.extend(collection.find(wanted).projection(fields()).hint(index_of_given_up_late()).await?);
    let mut of_all = HashMap::<(TicketId, UserId), Vec<Standing>>::new();
    for order in found {
        of_all.entry((order.ticket_id, order.buyer_id)).or_default().push(order);
    }
    let answer = |one: &Wanting| of_all.get(&(one.ticket, one.buyer)).cloned().unwrap_or_default();
    Ok(wanting.iter().map(answer).collect())
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

    /// What these people have of the listings without having paid for it; what is asked of all listings goes together.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn unpaid_of(&self, wanting: impl Iterator<Item = Wanting>) -> Result<Vec<Standing>, StoreError> {
        Ok(try_join_all(wanting.map(|one| self.unpaid.ask(one))).await?.into_iter().flatten().collect())
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
