//! The orders that hold places, by their deadlines and by their buyers.

use std::collections::{HashMap, HashSet};
use std::future::IntoFuture as _;

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

/// An index and the orders that it has, of which the limits let nobody have many: those that a person has paid, or given up
/// soon, are in none and cost the next hold nothing.
pub(super) struct Indexed {
    pub(super) keys: Document,
    pub(super) orders: Document,
}

/// The orders that hold places and are not paid, and those that were let run out.
pub(super) fn unpaid() -> Indexed {
    let orders = doc! { "state": { "$in": ["created", "awaiting_payment", "expiring", "expired"] } };
    Indexed { keys: doc! { "buyerId": 1, "ticketId": 1 }, orders }
}

/// Those that nearly were.
pub(super) fn given_up_late() -> Indexed {
    Indexed { keys: doc! { "buyerId": 1, "givenUpLateAt": 1 }, orders: doc! { "givenUpLateAt": { "$exists": true } } }
}

/// What somebody has of a listing without having paid for it.
pub(super) type Unpaid = Together<(TicketId, UserId), Vec<Standing>>;

/// The way to ask for it, two queries at a time.
pub(super) fn ask_for_unpaid(orders: Aggregates<Order>) -> Unpaid {
    Together::new(move |asked| unpaid_of(orders.clone(), asked))
}

async fn unpaid_of(
    orders: Aggregates<Order>,
    asked: Vec<(TicketId, UserId)>,
) -> Result<Vec<Vec<Standing>>, StoreError> {
    let (tickets, buyers): (HashSet<TicketId>, HashSet<UserId>) = asked.iter().copied().unzip();
    let (tickets, buyers) = (Vec::from_iter(tickets), Vec::from_iter(buyers));
    let of_them = doc! { "buyerId": { "$in": buyers }, "ticketId": { "$in": tickets } };
    let fields = doc! { "ticketId": 1, "buyerId": 1, "state": 1, "quantity": 1, "expiresAt": 1, "givenUpLateAt": 1 };
    // Read in whatever schema, as `OrderStore::stored_of` does.
    let collection = orders.collection().beside_states::<Standing>();
    let found = [unpaid(), given_up_late()].map(|Indexed { keys, orders: mut wanted }| {
        wanted.extend(of_them.clone());
        // The planner would also take an index that has all orders of the listing, or all of a buyer.
        collection.find(wanted).projection(fields.clone()).hint(keys).into_future()
    });
    let mut of_all = HashMap::<(TicketId, UserId), Vec<Standing>>::new();
    for order in try_join_all(found).await?.into_iter().flatten() {
        of_all.entry((order.ticket_id, order.buyer_id)).or_default().push(order);
    }
    Ok(asked.iter().map(|one| of_all.get(one).cloned().unwrap_or_default()).collect())
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

    /// What these people have of a listing without having paid for it; what is asked of all listings goes together.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn unpaid_of(
        &self,
        ticket: TicketId,
        buyers: impl IntoIterator<Item = UserId>,
    ) -> Result<Vec<Standing>, StoreError> {
        let asked = buyers.into_iter().map(|buyer| self.unpaid.ask((ticket, buyer)));
        Ok(try_join_all(asked).await?.into_iter().flatten().collect())
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
