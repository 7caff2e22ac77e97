//! What sellers ask about their listings. The sums are made out of an index alone, without reading orders.

use std::collections::HashMap;

use bson::{Bson, Document, doc};
use common::clock::Time;
use common::id::{OrderId, TicketId, UserId};
use common::money::{Currency, Money};
use common::store::{StoreError, Versioned};
use futures::Stream;
use serde::Deserialize;

use super::{OrderStore, Replica, TicketReplicas};
use crate::Orders;
use crate::inventory::Inventory;
use crate::order::{Disputing, OrderState, Returned};
use crate::sales::{Disputed, Group};

/// All that the sums need.
pub(super) fn index() -> Document {
    doc! {
        "ticketId": 1, "state": 1, "paidAt": 1, "quantity": 1, "total.currency": 1, "total.amount": 1,
        "returned.amount": 1, "admitted": 1,
    }
}

/// The orders whose payments were ever disputed.
pub(super) fn disputed() -> Document {
    doc! { "dispute.version": { "$gt": 0 } }
}

/// All that the sums of disputes need.
pub(super) fn index_of_disputed() -> Document {
    doc! {
        "ticketId": 1, "dispute.standing": 1, "dispute.version": 1, "total.currency": 1, "total.amount": 1,
        "returned.amount": 1,
    }
}

/// An order as its seller may see it: nothing of it says who buys.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SoldOrder {
    pub(crate) id: OrderId,
    pub(crate) state: OrderState,
    pub(crate) quantity: u32,
    pub(crate) unit_price: Money,
    pub(crate) total: Money,
    pub(crate) created_at: Time,
    #[serde(default)]
    pub(crate) paid_at: Option<Time>,
    #[serde(default)]
    pub(crate) admitted: u32,
    #[serde(default)]
    pub(crate) returned: Returned,
    #[serde(default)]
    pub(crate) dispute: Disputing,
}

fn fields() -> Document {
    doc! {
        "id": 1, "state": 1, "quantity": 1, "unitPrice": 1, "total": 1, "createdAt": 1, "paidAt": 1,
        "admitted": 1, "returned": 1, "dispute": 1,
    }
}

/// A listing of a seller, and how many of its places are taken.
pub(crate) struct Listed {
    pub(crate) ticket: Replica,
    pub(crate) inventory: Option<Inventory>,
    /// By currency, in minor units.
    pub(crate) revenue: HashMap<Currency, i64>,
}

impl OrderStore {
    /// The orders of a listing in groups; those that were paid before `since` are not told apart by time.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn groups(&self, ticket: TicketId, since: Time) -> Result<Vec<Group>, StoreError> {
        let quarter = doc! { "$dateTrunc": { "date": "$paidAt", "unit": "minute", "binSize": 15 } };
        let recent = doc! { "$and": [{ "$eq": ["$state", "complete"] }, { "$gte": ["$paidAt", since] }] };
        let key = doc! {
            "state": "$state", "currency": "$total.currency",
            "quarter": { "$cond": [recent, quarter, Bson::Null] },
        };
        let sums = doc! {
            "_id": key,
            "orders": { "$sum": 1 },
            "places": { "$sum": "$quantity" },
            "total": { "$sum": "$total.amount" },
            "returned": { "$sum": "$returned.amount" },
            "admitted": { "$sum": "$admitted" },
        };
        let whole = doc! { "$replaceWith": { "$mergeObjects": ["$_id", "$$ROOT"] } };
        self.summed(vec![doc! { "$match": { "ticketId": ticket } }, doc! { "$group": sums }, whole]).await
    }

    /// How many orders of a listing are disputed, by how their disputes stand, and what of their money has not gone back.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn disputes(&self, ticket: TicketId) -> Result<Vec<Disputed>, StoreError> {
        let mut disputed = disputed();
        disputed.insert("ticketId", ticket);
        let sums = doc! {
            "_id": { "standing": "$dispute.standing", "currency": "$total.currency" },
            "orders": { "$sum": 1 },
            "total": { "$sum": { "$subtract": ["$total.amount", { "$ifNull": ["$returned.amount", 0] }] } },
        };
        let whole = doc! { "$replaceWith": { "$mergeObjects": ["$_id", "$$ROOT"] } };
        let pipeline = vec![doc! { "$match": disputed }, doc! { "$group": sums }, whole];
        self.orders.collection().aggregate(pipeline, index_of_disputed()).await
    }

    /// The revenue of several listings.
    ///
    /// # Errors
    /// The store's.
    async fn revenues(&self, tickets: &[TicketId]) -> Result<Vec<Revenue>, StoreError> {
        let complete = doc! { "ticketId": { "$in": tickets }, "state": "complete" };
        let sums = doc! {
            "_id": { "ticketId": "$ticketId", "currency": "$total.currency" },
            "total": { "$sum": "$total.amount" },
            "returned": { "$sum": "$returned.amount" },
        };
        let whole = doc! { "$replaceWith": { "$mergeObjects": ["$_id", "$$ROOT"] } };
        self.summed(vec![doc! { "$match": complete }, doc! { "$group": sums }, whole]).await
    }

    async fn summed<T>(&self, pipeline: Vec<Document>) -> Result<Vec<T>, StoreError>
    where
        T: for<'de> Deserialize<'de> + Unpin + Send + Sync,
    {
        self.orders.collection().aggregate(pipeline, index()).await
    }

    /// A listing's orders, newest first, older than `before`.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn sold(
        &self,
        ticket: TicketId,
        before: Option<OrderId>,
        limit: i64,
    ) -> Result<Vec<SoldOrder>, StoreError> {
        let mut filter = doc! { "ticketId": ticket };
        if let Some(before) = before {
            filter.insert("_id", doc! { "$lt": before });
        }
        let orders = self.orders.states::<SoldOrder>();
        orders.find(filter).sort(doc! { "_id": -1 }).limit(limit).projection(fields()).await
    }

    /// All orders of a listing, in the order of their making. None may be passed over.
    ///
    /// # Errors
    /// The store's, at once or in the middle.
    pub(crate) async fn all_sold(
        &self,
        ticket: TicketId,
    ) -> Result<impl Stream<Item = Result<SoldOrder, StoreError>> + use<>, StoreError> {
        let orders = self.orders.states::<SoldOrder>();
        orders.find(doc! { "ticketId": ticket }).sort(doc! { "_id": 1 }).projection(fields()).whole().stream().await
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Revenue {
    ticket_id: TicketId,
    currency: Currency,
    total: i64,
    returned: i64,
}

/// A seller's listings, newest first, older than `before`, without what is known of their orders.
async fn of_seller(
    tickets: &TicketReplicas,
    seller: UserId,
    before: Option<TicketId>,
    limit: i64,
) -> Result<Vec<Replica>, StoreError> {
    let mut filter = doc! { "listing.sellerId": seller };
    if let Some(before) = before {
        filter.insert("_id", doc! { "$lt": before });
    }
    let replicas = tickets.states::<Replica>();
    replicas.find(filter).sort(doc! { "_id": -1 }).limit(limit).await
}

impl Orders {
    /// A seller's listings with their counts, newest first, older than `before`.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn listed(
        &self,
        seller: UserId,
        before: Option<TicketId>,
        limit: i64,
    ) -> Result<Vec<Listed>, StoreError> {
        let replicas = of_seller(&self.tickets, seller, before, limit).await?;
        let ids: Vec<TicketId> = replicas.iter().map(|replica| replica.listing.ticket_id).collect();
        let counted = doc! { "_id": { "$in": &ids } };
        let (inventories, revenues) =
            tokio::try_join!(self.inventories.find(counted, doc! { "_id": -1 }, limit), self.orders.revenues(&ids))?;
        let mut inventories: HashMap<TicketId, Inventory> =
            inventories.into_iter().map(|Versioned { value, .. }| (value.ticket_id, value)).collect();
        let mut revenue: HashMap<TicketId, HashMap<Currency, i64>> = HashMap::new();
        for Revenue { ticket_id, currency, total, returned } in revenues {
            revenue.entry(ticket_id).or_default().insert(currency, total - returned);
        }
        let listed = |ticket: Replica| {
            let id = ticket.listing.ticket_id;
            Listed { inventory: inventories.remove(&id), revenue: revenue.remove(&id).unwrap_or_default(), ticket }
        };
        Ok(replicas.into_iter().map(listed).collect())
    }
}
