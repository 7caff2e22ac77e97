//! The orders that hold places, by their deadlines and by their buyers.

use bson::{Document, doc};
use common::clock::Time;
use common::id::{OrderId, TicketId, UserId};
use common::store::StoreError;
use futures::future::try_join_all;
use futures::{Stream, TryStreamExt};
use serde::Deserialize;

use super::OrderStore;
use crate::hold_limits::Standing;

/// The orders that hold places until their deadline.
pub(super) fn holding() -> Document {
    doc! { "state": { "$in": ["created", "awaiting_payment"] } }
}

/// By listing and buyer. It has unpaid orders only, of which the limits let nobody have many: those that a person has paid, or
/// given up soon, cost the next hold nothing.
pub(super) fn index_of_unpaid() -> Document {
    doc! { "ticketId": 1, "buyerId": 1 }
}

/// The orders that hold places and are not paid, and those that were let run out, or nearly.
pub(super) fn unpaid() -> Document {
    let by_state = doc! { "state": { "$in": ["created", "awaiting_payment", "expiring", "expired"] } };
    doc! { "$or": [by_state, { "givenUpLateAt": { "$exists": true } }] }
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

    /// What these people have of a listing without having paid for it: one query for all of them.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn unpaid_of(&self, ticket: TicketId, buyers: Vec<UserId>) -> Result<Vec<Standing>, StoreError> {
        let mut wanted = unpaid();
        wanted.extend(doc! { "buyerId": { "$in": buyers }, "ticketId": ticket });
        let fields = doc! { "buyerId": 1, "state": 1, "quantity": 1, "expiresAt": 1, "givenUpLateAt": 1 };
        let pipeline = [doc! { "$match": wanted }, doc! { "$project": fields }];
        // The planner would also take an index that has all orders of the listing.
        self.orders.collection().aggregate(pipeline, index_of_unpaid()).await
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
