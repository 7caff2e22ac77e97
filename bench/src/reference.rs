//! What the same MongoDB does when an order is one transaction: the usual way to sell places without overselling.
//!
//! Measured while Docket idles. The transaction takes a place from an inventory document where one is left and inserts the
//! order. It is retried as the driver's manual says, by the driver's own loop, which waits longer after each conflict; for
//! comparison also at once, as many programs do it.

use std::sync::Arc;
use std::time::Duration;

use bson::{Document, doc};
use common::id::uuid_at;
use futures::FutureExt;
use futures::future::try_join_all;
use mongodb::error::{Error, TRANSIENT_TRANSACTION_ERROR, UNKNOWN_TRANSACTION_COMMIT_RESULT};
use mongodb::options::WriteConcern;
use mongodb::{Client, ClientSession, Collection, Database};

use crate::Result;
use crate::report::{Outcome, Row};
use crate::timing::{now, wall_clock};

const DATABASE: &str = "bench_reference";
/// Clients at the same time, each with a connection of its own.
pub(crate) const CLIENTS: usize = 64;

/// The documents that places are taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inventories {
    /// All clients want the same listing.
    Hot,
    /// Each order has a listing of its own.
    Distinct,
}

/// What happens after a conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Retry {
    /// The driver's own loop.
    Driver,
    /// Without a pause.
    AtOnce,
}

/// The rate that orders on one listing are compared with.
pub(crate) const HOT: &str = "transaction, hot";

/// The same without the driver's pauses.
pub(crate) const AT_ONCE: &str = "the same, retried at once";

/// The rate that orders on many listings are compared with.
pub(crate) const DISTINCT: &str = "transaction, distinct";

/// What is measured, by its name.
type Kind = (&'static str, Inventories, Retry);

const KINDS: [Kind; 3] =
    [(HOT, Inventories::Hot, Retry::Driver), (AT_ONCE, Inventories::Hot, Retry::AtOnce), ON_DISTINCT];
const ON_DISTINCT: Kind = (DISTINCT, Inventories::Distinct, Retry::Driver);

/// All references, each for `length`.
pub(crate) async fn measure(client: &Client, length: Duration) -> Result<Outcome> {
    let mut outcome = Outcome::new("reference");
    for kind in KINDS {
        outcome = outcome.row(one(client, kind, length).await?);
    }
    Ok(outcome)
}

/// Orders on distinct documents alone, for `length`.
pub(crate) async fn distinct(client: &Client, length: Duration) -> Result<Row> {
    one(client, ON_DISTINCT, length).await
}

async fn one(client: &Client, (label, which, retry): Kind, length: Duration) -> Result<Row> {
    let database = client.database(DATABASE);
    let collections = Collections::prepare(&database, which, retry).await?;
    let row = transactions(client, collections, label, length).await?;
    database.drop().await?;
    Ok(row)
}

async fn transactions(client: &Client, collections: Collections, label: &str, length: Duration) -> Result<Row> {
    let collections = Arc::new(collections);
    let begun = now();
    let work = |number| {
        let (client, collections) = (client.clone(), Arc::clone(&collections));
        async move {
            let mut session = client.start_session().await?;
            let mut took = Vec::new();
            while begun.elapsed() < length {
                let one = now();
                collections.order(&mut session, number, took.len()).await?;
                took.push(one.elapsed());
            }
            Ok::<_, crate::Failure>(took)
        }
    };
    let tasks: Vec<_> = (0..CLIENTS).map(|number| tokio::spawn(work(number))).collect();
    let took: Vec<Duration> = try_join_all(tasks).await?.into_iter().collect::<Result<Vec<_>>>()?.concat();
    let elapsed = begun.elapsed();
    collections.verify(took.len()).await?;
    Ok(Row::new(label, took.len(), elapsed, took.into_iter()))
}

impl Inventories {
    /// Enough documents that no two transactions of a client meet one twice.
    fn id(self, client: usize, nth: usize) -> String {
        match self {
            Self::Hot => "hot".to_owned(),
            Self::Distinct => format!("{client}-{}", nth % PER_CLIENT),
        }
    }
}

const PER_CLIENT: usize = 50;

struct Collections {
    which: Inventories,
    retry: Retry,
    inventories: Collection<Document>,
    orders: Collection<Document>,
}

impl Collections {
    /// Fresh inventories, and an empty collection of orders with the index that a list of a buyer's orders needs.
    async fn prepare(database: &Database, which: Inventories, retry: Retry) -> Result<Self> {
        let inventories = database.collection("inventories");
        let orders = database.collection("orders");
        inventories.drop().await?;
        orders.drop().await?;
        let ids: std::collections::BTreeSet<String> =
            (0..CLIENTS).flat_map(|client| (0..PER_CLIENT).map(move |nth| which.id(client, nth))).collect();
        let fresh = |id| doc! { "_id": id, "capacity": 1_000_000, "held": 0, "sold": 0, "version": 1_i64 };
        inventories.insert_many(ids.into_iter().map(fresh)).await?;
        orders.create_index(mongodb::IndexModel::builder().keys(doc! { "buyerId": 1, "_id": -1 }).build()).await?;
        Ok(Self { which, retry, inventories, orders })
    }

    /// One order in one transaction.
    async fn order(&self, session: &mut ClientSession, client: usize, nth: usize) -> Result {
        let inventory = self.which.id(client, nth);
        let order = order(&inventory);
        match self.retry {
            Retry::Driver => {
                let transaction = session.start_transaction().write_concern(WriteConcern::majority());
                let context = (self, inventory, order);
                transaction
                    .and_run(context, |session, (it, inventory, order)| it.sell(session, inventory, order).boxed())
                    .await?;
            }
            Retry::AtOnce => while !self.attempt(session, &inventory, &order).await? {},
        }
        Ok(())
    }

    /// Takes a place where one is left, and stores the order.
    async fn sell(&self, session: &mut ClientSession, inventory: &str, order: &Document) -> mongodb::error::Result<()> {
        let left = doc! { "_id": inventory, "$expr": { "$lt": [{ "$add": ["$held", "$sold"] }, "$capacity"] } };
        let take = doc! { "$inc": { "held": 1, "version": 1_i64 } };
        let taken = self.inventories.update_one(left, take).session(&mut *session).await?;
        if taken.matched_count == 0 {
            return Err(Error::custom("sold out"));
        }
        self.orders.insert_one(order).session(session).await?;
        Ok(())
    }

    /// One try; false if it met another one and did nothing.
    async fn attempt(&self, session: &mut ClientSession, inventory: &str, order: &Document) -> Result<bool> {
        session.start_transaction().write_concern(WriteConcern::majority()).await?;
        if let Err(error) = self.sell(session, inventory, order).await {
            session.abort_transaction().await?;
            return if error.contains_label(TRANSIENT_TRANSACTION_ERROR) { Ok(false) } else { Err(error.into()) };
        }
        loop {
            match session.commit_transaction().await {
                Ok(()) => return Ok(true),
                Err(error) if error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT) => {}
                Err(error) if error.contains_label(TRANSIENT_TRANSACTION_ERROR) => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// As many places taken and as many orders as there were transactions: the reference must be right too.
    async fn verify(&self, transactions: usize) -> Result {
        let expected = i64::try_from(transactions)?;
        let total = doc! { "$group": { "_id": null, "held": { "$sum": "$held" } } };
        let mut sums = self.inventories.aggregate([total]).await?;
        let held = if sums.advance().await? { sums.deserialize_current()?.get_i32("held")? } else { 0 };
        let orders = self.orders.count_documents(doc! {}).await?;
        if i64::from(held) == expected && i64::try_from(orders)? == expected {
            return Ok(());
        }
        Err(format!("the reference has {held} places held and {orders} orders after {transactions} transactions")
            .into())
    }
}

/// About as large as an order of Docket's.
fn order(inventory: &str) -> Document {
    let now = wall_clock();
    doc! {
        "_id": uuid_at(now).to_string(),
        "version": 1_i64,
        "ticketId": inventory,
        "buyerId": uuid_at(now).to_string(),
        "sellerId": uuid_at(now).to_string(),
        "title": "Friday evening",
        "venue": "Old Goods Hall",
        "quantity": 1,
        "unitPrice": { "minor": 1999_i64, "currency": "usd" },
        "total": { "minor": 1999_i64, "currency": "usd" },
        "state": "created",
        "createdAt": bson::DateTime::from_millis(now.millis()),
        "expiresAt": bson::DateTime::from_millis(now.millis() + 900_000),
        "passes": [],
        "outbox": [{
            "type": "order.created",
            "version": 1_i64,
            "at": bson::DateTime::from_millis(now.millis()),
            "payload": { "ticketId": inventory, "quantity": 1, "total": 1999_i64, "expiresAt": now.to_string() },
        }],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_has_a_realistic_size() {
        let size = bson::serialize_to_vec(&order("hot")).unwrap().len();
        assert!((500..800).contains(&size), "{size}");
    }
}
