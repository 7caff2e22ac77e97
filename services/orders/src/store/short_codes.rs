//! Orders by the codes that people read out.

use bson::{Document, doc};
use common::id::{OrderId, TicketId};
use common::store::StoreError;
use serde::Deserialize;

use super::OrderStore;

/// Of the orders that have one.
pub(super) fn index() -> Document {
    doc! { "ticketId": 1, "shortCode": 1 }
}

pub(super) fn coded() -> Document {
    doc! { "shortCode": { "$exists": true } }
}

impl OrderStore {
    /// The orders of a listing that have this short code: one, unless chance would have it otherwise. Two are enough to know that.
    /// They are found in whatever schema, so that none is taken for the only one.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn of_short_code(&self, ticket: TicketId, code: &str) -> Result<Vec<OrderId>, StoreError> {
        #[derive(Deserialize)]
        struct Row {
            #[serde(rename = "_id")]
            id: OrderId,
        }
        let wanted = doc! { "ticketId": ticket, "shortCode": code };
        let orders = self.orders.collection().beside_states::<Row>();
        let found = orders.find(wanted).projection(doc! { "_id": 1 }).limit(2).hint(index()).await?;
        Ok(found.into_iter().map(|row| row.id).collect())
    }
}
