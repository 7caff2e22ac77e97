//! Collections, indexes and queries.

use std::collections::{HashMap, HashSet};

use bson::doc;
use common::clock::{SharedClock, Time};
use common::events::tickets::Listing;
use common::events::{By, OrderEvent, Raised};
use common::id::{OrderId, TicketId, UserId};
use common::service::StartError;
use common::signing::SigningKey;
use common::store::{
    Aggregate, Aggregates, Change, ChangeError, Database, Indexes, Projection, StoreError, Versioned, to_document,
};
use futures::future::try_join_all;
use futures::{Stream, TryStreamExt};
use serde::{Deserialize, Serialize};

use crate::inventory::{Inventory, Movement};
use crate::order::{Disputing, Input, Moving, Order, OrderError, OrderState, Returned, Step};
use crate::pass_codes::PassCodes;

mod holds;
pub(crate) mod sales;
mod short_codes;

pub(crate) use holds::Wanting;

impl Aggregate for Order {
    type Event = OrderEvent;
    const KIND: &'static str = "order";
    const COLLECTION: &'static str = "orders";

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn snapshot(&self) -> Option<OrderEvent> {
        Some(self.told())
    }
}

impl Aggregate for Inventory {
    type Event = common::events::InventoryEvent;
    const KIND: &'static str = "inventory";
    const COLLECTION: &'static str = "inventories";

    fn id(&self) -> String {
        self.ticket_id.to_string()
    }

    fn snapshot(&self) -> Option<common::events::InventoryEvent> {
        Some(self.changed())
    }
}

/// Every index of the service.
pub(crate) fn indexes() -> Vec<Indexes> {
    let waiting = doc! { "movements.0": { "$exists": true } };
    let pending = doc! { "pending.0": { "$exists": true } };
    vec![
        Indexes::of(Order::COLLECTION)
            .outbox()
            .on(doc! { "buyerId": 1, "_id": -1 })
            .on(doc! { "ticketId": 1, "_id": -1 })
            .on(sales::index())
            .partial(sales::index_of_disputed(), sales::disputed())
            .partial(short_codes::index(), short_codes::coded())
            .partial(doc! { "expiresAt": 1 }, holds::holding())
            .partial(holds::index_of_counted(), holds::counted())
            .partial(doc! { "movements.at": 1 }, waiting),
        Indexes::of(Inventory::COLLECTION).outbox().partial(doc! { "pending.at": 1 }, pending),
        Indexes::of(TICKETS).on(doc! { "listing.sellerId": 1, "_id": -1 }),
    ]
}

/// What orders knows of a listing: its own replica, kept by the listing's events.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Replica {
    /// The listing as last told.
    pub(crate) listing: Listing,
    /// Whether it was taken from sale.
    pub(crate) withdrawn: bool,
}

impl Replica {
    /// Whether places may be held, as far as the listing says.
    pub(crate) fn is_on_sale(&self) -> bool {
        !self.withdrawn && !self.listing.suspended
    }
}

/// The collection of the listings' replicas.
pub(crate) const TICKETS: &str = "tickets";

/// The replicas of all listings.
pub(crate) type TicketReplicas = Projection<Replica>;

/// What is known of these listings by now. What only a later build can read is passed over.
///
/// # Errors
/// The store's.
pub(crate) async fn listings_of(
    tickets: &TicketReplicas,
    ids: impl IntoIterator<Item = TicketId>,
) -> Result<HashMap<TicketId, Listing>, StoreError> {
    let ids: Vec<TicketId> = ids.into_iter().collect();
    let limit = i64::try_from(ids.len()).unwrap_or(i64::MAX);
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let replicas = tickets.states::<Replica>();
    let found = replicas.find(doc! { "_id": { "$in": ids } }).sort(doc! { "_id": 1 }).limit(limit).await?;
    Ok(found.into_iter().map(|replica| (replica.listing.ticket_id, replica.listing)).collect())
}

/// The orders, with the movements of places that stand beside them.
#[derive(Clone)]
pub(crate) struct OrderStore {
    orders: Aggregates<Order>,
    counted: holds::Counted,
    pass_codes: PassCodes,
    clock: SharedClock,
}

impl OrderStore {
    /// The store over the aggregates.
    pub(crate) fn new(orders: Aggregates<Order>, pass_codes: PassCodes, clock: SharedClock) -> Self {
        Self { counted: holds::ask_for_counted(orders.clone()), orders, pass_codes, clock }
    }

    /// Reads an order.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn get(&self, id: OrderId) -> Result<Option<Versioned<Order>>, StoreError> {
        self.orders.get(id).await
    }

    /// A buyer's orders, newest first, older than `before`.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn of_buyer(
        &self,
        buyer: UserId,
        before: Option<OrderId>,
        limit: i64,
    ) -> Result<Vec<Versioned<Order>>, StoreError> {
        let mut filter = doc! { "buyerId": buyer };
        if let Some(before) = before {
            filter.insert("_id", doc! { "$lt": before });
        }
        self.orders.find(filter, doc! { "_id": -1 }, limit).await
    }

    /// Stores new orders, passing over those that exist.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn insert_many(&self, orders: Vec<(Order, Raised<OrderEvent>)>) -> Result<(), StoreError> {
        self.orders.insert_many(orders).await
    }

    /// Does to an order what `rule` decides, in the name of `actor`.
    ///
    /// # Errors
    /// What the rule refuses; the store's.
    pub(crate) async fn change(
        &self,
        id: OrderId,
        actor: Option<UserId>,
        rule: impl Fn(&Order) -> Result<Option<Step>, OrderError>,
    ) -> Result<Versioned<Order>, ChangeError<OrderError>> {
        self.orders.change(id, self.following(actor, rule)).await
    }

    /// [`OrderStore::change`] of an order that was read a moment ago.
    ///
    /// # Errors
    /// As [`OrderStore::change`].
    pub(crate) async fn change_known(
        &self,
        known: &Versioned<Order>,
        actor: Option<UserId>,
        rule: impl Fn(&Order) -> Result<Option<Step>, OrderError>,
    ) -> Result<Versioned<Order>, ChangeError<OrderError>> {
        self.orders.change_known(known, self.following(actor, rule)).await
    }

    /// What `rule` decides of an order as it is to be written, in the name of `actor`.
    fn following(
        &self,
        actor: Option<UserId>,
        rule: impl Fn(&Order) -> Result<Option<Step>, OrderError>,
    ) -> impl Fn(&Versioned<Order>) -> Result<Option<Change<Order>>, OrderError> {
        let now = self.clock.now();
        move |current| Ok(rule(&current.value)?.map(|step| self.written(current, step, actor, now)))
    }

    /// Tells an order what has happened. Answers the order, if there is one.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn inform(&self, id: OrderId, input: Input) -> Result<Option<Versioned<Order>>, StoreError> {
        let now = self.clock.now();
        // Only a buyer's wish can be refused, and a wish comes through `change`.
        self.orders
            .advance(id, |current| {
                let step = current.value.handle(input, now).ok().flatten()?;
                Some(self.written(current, step, None, now))
            })
            .await
    }

    /// Takes in how much of an order's money went back. It stands beside the version, and the newest word wins.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn note_returned(&self, id: OrderId, returned: Returned) -> Result<(), StoreError> {
        self.note(id, "returned", &returned, returned.version).await
    }

    /// Takes in how an order's payment is disputed, in the same way.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn note_dispute(&self, id: OrderId, dispute: Disputing) -> Result<(), StoreError> {
        self.note(id, "dispute", &dispute, dispute.version).await
    }

    async fn note(&self, id: OrderId, field: &str, told: &impl Serialize, version: i64) -> Result<(), StoreError> {
        let newest = format!("{field}.version");
        let older = doc! { "_id": id, newest: { "$not": { "$gte": version } } };
        self.orders.table().update(older, doc! { "$set": { field: to_document(told)? } }).await
    }

    fn written(&self, current: &Versioned<Order>, step: Step, actor: Option<UserId>, now: Time) -> Change<Order> {
        let event = actor.map_or_else(|| step.event.clone().by_system(), |actor| step.event.clone().by(actor));
        let completes = current.value.state != OrderState::Complete && step.next.state == OrderState::Complete;
        let next = if completes { self.with_short_code(step.next) } else { step.next };
        let change = Change::new(next, event);
        let Some(Moving { places, quantity }) = step.places else { return change };
        let movement = Movement {
            key: format!("{}:{}", current.value.id, current.version + 1),
            order_id: current.value.id,
            places,
            quantity,
            at: now,
        };
        change.pushing("movements", &movement)
    }

    /// An order gets its short code with its passes.
    fn with_short_code(&self, order: Order) -> Order {
        Order { short_code: Some(self.pass_codes.short(order.id)), ..order }
    }

    /// The movements that wait in the given orders. None may be passed over: what is missing would count as made.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn movements(&self, orders: Vec<OrderId>) -> Result<Vec<Movement>, StoreError> {
        #[derive(Deserialize)]
        struct Row {
            #[serde(default)]
            movements: Vec<Movement>,
        }
        let wanted: HashSet<OrderId> = orders.into_iter().collect();
        let rows = wanted.into_iter().map(|order| self.orders.beside_state::<Row>(order));
        Ok(try_join_all(rows).await?.into_iter().flatten().flat_map(|row| row.movements).collect())
    }

    /// All orders with movements that have waited since before `since`.
    ///
    /// # Errors
    /// The store's, at once or in the middle.
    pub(crate) async fn forgotten_movements(
        &self,
        since: Time,
    ) -> Result<impl Stream<Item = Result<(TicketId, OrderId), StoreError>> + use<>, StoreError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Row {
            #[serde(rename = "_id")]
            id: OrderId,
            ticket_id: TicketId,
        }
        let forgotten = doc! { "movements.0": { "$exists": true }, "movements.at": { "$lt": since } };
        let collection = self.orders.states::<Row>();
        let found = collection.find(forgotten).projection(doc! { "ticketId": 1 });
        Ok(found.stream().await?.map_ok(|row| (row.ticket_id, row.id)))
    }

    /// Takes movements that are made out of their orders.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn clear_movements(&self, made: impl Iterator<Item = Movement>) -> Result<(), StoreError> {
        let (orders, keys): (Vec<OrderId>, Vec<String>) = made.map(|made| (made.order_id, made.key)).unzip();
        if !orders.is_empty() {
            let taken_out = doc! { "$pull": { "movements": { "key": { "$in": keys } } } };
            self.orders.table().update_many(doc! { "_id": { "$in": orders } }, taken_out).await?;
        }
        Ok(())
    }
}

/// All listings with holds that have waited for their orders since before `since`, in no order: an index of what stands in an
/// array cannot sort, and all of them are wanted.
///
/// # Errors
/// The store's, at once or in the middle.
pub(crate) async fn forgotten_holds(
    inventories: &Aggregates<Inventory>,
    since: Time,
) -> Result<impl Stream<Item = Result<TicketId, StoreError>> + use<>, StoreError> {
    #[derive(Deserialize)]
    struct Row {
        #[serde(rename = "_id")]
        id: TicketId,
    }
    let forgotten = doc! { "pending.0": { "$exists": true }, "pending.at": { "$lt": since } };
    let collection = inventories.states::<Row>();
    let found = collection.find(forgotten).projection(doc! { "_id": 1 });
    Ok(found.stream().await?.map_ok(|row| row.id))
}

const PASS_KEYS: &str = "pass_keys";
const PASS_KEY: &str = "current";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredKey {
    #[serde(rename = "_id")]
    id: String,
    pkcs8: bson::Binary,
    made_at: Time,
}

/// The key that signs passes: made at the first start, and shared by all replicas.
///
/// # Errors
/// The store's, or a key that cannot be read.
pub(crate) async fn pass_key(database: &Database, now: Time) -> Result<SigningKey, StartError> {
    let keys = database.collection::<StoredKey>(PASS_KEYS);
    let bytes = SigningKey::generate_pkcs8().map_err(StartError::other)?;
    let pkcs8 = bson::Binary { subtype: bson::spec::BinarySubtype::Generic, bytes };
    let new = StoredKey { id: PASS_KEY.to_owned(), pkcs8, made_at: now };
    match keys.insert_one(&new).await {
        Ok(()) | Err(StoreError::Exists) => {}
        Err(error) => return Err(error.into()),
    }
    let stored = keys.find_one(doc! { "_id": PASS_KEY }).await?.ok_or(StoreError::Conflict)?;
    SigningKey::from_pkcs8(&stored.pkcs8.bytes).map_err(StartError::other)
}

#[cfg(test)]
mod tests {
    use common::store::fixtures::{Fixtures, element};

    use super::*;

    #[test]
    fn stored_documents_of_every_version_are_read() {
        let fixtures = Fixtures::of(env!("CARGO_MANIFEST_DIR"), indexes())
            .aggregate::<Order>(&[
                ("movements", element::<Movement>),
                ("returned", element::<Returned>),
                ("dispute", element::<Disputing>),
            ])
            .aggregate::<Inventory>(&[])
            .projection::<Replica>(TICKETS)
            .documents::<StoredKey>(PASS_KEYS);
        assert_eq!(fixtures.wrong(), Vec::<String>::new());
    }
}
