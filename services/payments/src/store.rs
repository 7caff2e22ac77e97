//! Collections, indexes and queries.

pub(crate) mod inbox;

use std::time::Duration;

use bson::doc;
use common::clock::{SharedClock, Time};
use common::events::{By, PaymentEvent};
use common::id::{OrderId, RefundId, UserId};
use common::store::{
    Aggregate, Aggregates, Change, ChangeError, HeldBack, Indexes, Projection, StoreError, Versioned, to_document,
};
use moka::sync::Cache;
use serde::Serialize;

use inbox::Inbox;

use crate::attention;
use crate::order::OrderReplica;
use crate::payment::{Input, Payment, PaymentError, PaymentState, Step};

impl Aggregate for Payment {
    type Event = PaymentEvent;
    const KIND: &'static str = "payment";
    const COLLECTION: &'static str = "payments";

    fn id(&self) -> String {
        self.order_id.to_string()
    }

    fn snapshot(&self) -> Option<PaymentEvent> {
        Some(self.told())
    }
}

/// How long webhooks are remembered: Stripe repeats them for three days.
const REMEMBERED: Duration = Duration::from_secs(30 * 24 * 3600);

/// Every index of the service.
pub(crate) fn indexes() -> Vec<Indexes> {
    vec![
        Indexes::of(Payment::COLLECTION)
            .outbox()
            .on(doc! { "buyerId": 1, "_id": -1 })
            .on(doc! { "intent": 1 })
            .partial(doc! { "attentionAt": 1 }, doc! { "attentionAt": { "$gt": EPOCH } })
            .partial(doc! { "state": 1, "attentionAt": 1 }, doc! { "attentionAt": { "$gt": EPOCH } }),
        Indexes::of(Inbox::COLLECTION)
            .ttl("receivedAt", REMEMBERED)
            .partial(doc! { "handled": 1, "dueAt": 1 }, doc! { "handled": false }),
    ]
}

/// The states that a query looks for.
#[derive(Serialize)]
struct OneOf<'a> {
    #[serde(rename = "$in")]
    states: &'a [PaymentState],
}

/// Every time at which something is to be done is later.
const EPOCH: Time = Time::from_millis(0);

/// Longer than any call is at work at Stripe.
const STILL_FAILS: Duration = Duration::from_secs(60);

/// The collection of the orders' replicas.
pub(crate) const ORDERS: &str = "orders";

/// The replicas of all orders.
pub(crate) type OrderReplicas = Projection<OrderReplica>;

/// So many of the payments that came in are remembered, and for so long: Stripe's webhook about one follows on the answer.
const MOST_PAID: u64 = 16_384;
const PAID_FOR: Duration = Duration::from_secs(60);

/// The payments.
#[derive(Clone)]
pub(crate) struct PaymentStore {
    payments: Aggregates<Payment>,
    /// The intents of payments that this process saw come in. What is paid stays so, whatever goes back of it.
    paid: Cache<OrderId, String>,
    clock: SharedClock,
}

impl PaymentStore {
    /// The store over the aggregates.
    pub(crate) fn new(payments: Aggregates<Payment>, clock: SharedClock) -> Self {
        let paid = Cache::builder().max_capacity(MOST_PAID).time_to_live(PAID_FOR).build();
        Self { payments, paid, clock }
    }

    /// Reads the payment of an order.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn get(&self, order: OrderId) -> Result<Option<Versioned<Payment>>, StoreError> {
        self.payments.get(order).await
    }

    /// Has the beginning of an order's payment told together with what comes of it within the life of the answer.
    pub(crate) fn hold_back(&self, order: OrderId) -> HeldBack {
        self.payments.hold_back(order)
    }

    /// Reads the payment that a PaymentIntent is of.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn of_intent(&self, intent: &str) -> Result<Option<Versioned<Payment>>, StoreError> {
        self.payments.find_one(doc! { "intent": intent }).await
    }

    /// A buyer's payments, newest first, those before `before`, `limit` at most.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn of_buyer(
        &self,
        buyer: UserId,
        before: Option<OrderId>,
        limit: i64,
    ) -> Result<Vec<Versioned<Payment>>, StoreError> {
        let mut filter = doc! { "buyerId": buyer };
        if let Some(before) = before {
            filter.insert("_id", doc! { "$lt": before });
        }
        self.payments.find(filter, doc! { "_id": -1 }, limit).await
    }

    /// Stores a new payment, or answers the one that the order has: the first one counts.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn begin(
        &self,
        payment: Payment,
        actor: Option<UserId>,
    ) -> Result<Versioned<Payment>, StoreError> {
        let (order, event) = (payment.order_id, payment.made());
        let raised = actor.map_or_else(|| event.clone().by_system(), |actor| event.clone().by(actor));
        match self.payments.insert(payment, raised).await {
            Err(StoreError::Exists) => self.get(order).await?.ok_or(StoreError::Conflict),
            stored => stored,
        }
    }

    /// Does to a payment what `input` asks for, in the name of `actor`.
    ///
    /// # Errors
    /// What the payment refuses; the store's.
    pub(crate) async fn change(
        &self,
        order: OrderId,
        input: Input,
        actor: Option<UserId>,
    ) -> Result<Versioned<Payment>, ChangeError<PaymentError>> {
        self.payments.change(order, self.rule(input, actor)).await
    }

    fn rule(
        &self,
        input: Input,
        actor: Option<UserId>,
    ) -> impl Fn(&Versioned<Payment>) -> Result<Option<Change<Payment>>, PaymentError> {
        let now = self.clock.now();
        let written = move |Step { next, event }| {
            let raised = actor.map_or_else(|| event.clone().by_system(), |actor| event.clone().by(actor));
            Change::new(next, raised)
        };
        move |current| Ok(current.value.handle(input.clone(), now)?.map(written))
    }

    /// Tells a payment that was read a moment ago what Stripe says of it.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn follow(
        &self,
        known: &Versioned<Payment>,
        stands: Input,
    ) -> Result<Option<Versioned<Payment>>, StoreError> {
        let changed = self.payments.change_known(known, self.rule(stands, None)).await;
        let stands = self.as_it_stands(known.value.order_id, changed).await?;
        if let Some(Payment { order_id, intent: Some(intent), state, .. }) = stands.as_ref().map(|known| &known.value)
            && state.is_paid()
        {
            self.paid.insert(*order_id, intent.clone());
        }
        Ok(stands)
    }

    /// Whether an order was paid by this intent, or if `cancelled`, whether it is known that the intent was cancelled.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn is_known_of(&self, order: OrderId, intent: &str, cancelled: bool) -> Result<bool, StoreError> {
        if self.paid.get(&order).is_some_and(|paid| paid == intent) {
            return Ok(true);
        }
        let Some(Versioned { value: known, .. }) = self.get(order).await? else { return Ok(false) };
        let is_known = known.state.is_paid() || (cancelled && known.state == PaymentState::Cancelled);
        Ok(is_known && known.intent.as_deref() == Some(intent))
    }

    /// Tells a payment what has happened. Answers the payment, if there is one.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn inform(&self, order: OrderId, input: Input) -> Result<Option<Versioned<Payment>>, StoreError> {
        let changed = self.change(order, input, None).await;
        self.as_it_stands(order, changed).await
    }

    /// What the payment is after a change, or without it where it was refused.
    async fn as_it_stands(
        &self,
        order: OrderId,
        changed: Result<Versioned<Payment>, ChangeError<PaymentError>>,
    ) -> Result<Option<Versioned<Payment>>, StoreError> {
        match changed {
            Ok(payment) => Ok(Some(payment)),
            Err(ChangeError::NotFound) => Ok(None),
            Err(ChangeError::Refused(_)) => self.get(order).await,
            Err(ChangeError::Store(error)) => Err(error),
        }
    }

    /// Payments in one of these states that need attention at `now`, the longest waiting first.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn needing_attention(
        &self,
        states: &[PaymentState],
        now: Time,
        limit: i64,
    ) -> Result<Vec<Versioned<Payment>>, StoreError> {
        let one_of = to_document(&OneOf { states })?;
        let due = doc! { "state": one_of, "attentionAt": { "$gt": EPOCH, "$lte": now } };
        self.payments.find_work(due, doc! { "attentionAt": 1 }, limit).await
    }

    /// How many payments will need attention if nothing else happens to them, `most` at most.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn unsettled(&self, most: u64) -> Result<u64, StoreError> {
        let moving = doc! { "attentionAt": { "$gt": EPOCH } };
        self.payments.collection().count(moving, Some(most)).await
    }

    /// Takes a payment that needs attention before another replica does, and sets the time of the next look. Answers the
    /// payment as it is then, or `None` if another replica has it, or it has changed since.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn claim(&self, payment: &Versioned<Payment>) -> Result<Option<Versioned<Payment>>, StoreError> {
        let next = attention::next(&payment.value, self.clock.now());
        let claimed = self.set_attention(payment, next).await?;
        Ok(claimed.then(|| {
            let mut payment = payment.clone();
            payment.value.attention_at = next;
            payment
        }))
    }

    /// Has a payment that was claimed looked at again soon, because Stripe failed.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn come_again(&self, claimed: &Versioned<Payment>) -> Result<(), StoreError> {
        let soon = attention::after_failure(self.clock.now());
        let next = claimed.value.attention_at.map(|next| next.min(soon));
        self.set_attention(claimed, next).await.map(drop)
    }

    /// Has a payment that nobody would look at looked at now.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn look_now(&self, payment: &Versioned<Payment>) -> Result<(), StoreError> {
        self.set_attention(payment, Some(self.clock.now())).await.map(drop)
    }

    /// Notes that Stripe answered the key of a refund with a failure that it may answer for ever. A key that still fails
    /// [`STILL_FAILS`] later is spent, and the next one is used: until then its first use may be at work, and another key would
    /// give the money back twice. As with attention, no event tells of it; whoever noted it first was right.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn key_failed(&self, payment: &Payment, refund: RefundId) -> Result<(), StoreError> {
        let (now, name) = (self.clock.now(), refund.to_string());
        let (spent, since) = (payment.spent_keys.get(&name).copied(), payment.keys_fail_since.get(&name).copied());
        let (count, fails) = (format!("spentKeys.{name}"), format!("keysFailSince.{name}"));
        let noted = match since {
            None => doc! { "$set": { &fails: now } },
            Some(since) if now.since(since) < STILL_FAILS => return Ok(()),
            Some(_) => doc! { "$set": { &count: spent.unwrap_or_default() + 1 }, "$unset": { &fails: "" } },
        };
        let seen = doc! { "_id": payment.order_id, &count: spent, &fails: since };
        self.payments.collection().update_one(seen, noted).await?;
        Ok(())
    }

    /// Says that a payment needs no more attention until it changes.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn leave_alone(&self, order: OrderId, version: i64) -> Result<(), StoreError> {
        let seen = doc! { "_id": order, "version": version };
        let never = doc! { "$set": { "attentionAt": bson::Bson::Null } };
        self.payments.collection().update_one(seen, never).await?;
        Ok(())
    }

    /// When to look is no part of what a payment is: it has no version and raises no event.
    async fn set_attention(&self, payment: &Versioned<Payment>, at: Option<Time>) -> Result<bool, StoreError> {
        let seen = doc! { "_id": payment.value.order_id, "version": payment.version, "attentionAt": payment.value.attention_at };
        let result = self.payments.collection().update_one(seen, doc! { "$set": { "attentionAt": at } }).await?;
        Ok(result.matched_count == 1)
    }
}

#[cfg(test)]
mod tests {
    use common::store::fixtures::Fixtures;

    use super::*;
    use crate::store::inbox::Letter;

    #[test]
    fn stored_documents_of_every_version_are_read() {
        let fixtures = Fixtures::of(env!("CARGO_MANIFEST_DIR"), indexes())
            .aggregate::<Payment>(&[])
            .projection::<OrderReplica>(ORDERS)
            .documents::<Letter>(Inbox::COLLECTION);
        assert_eq!(fixtures.wrong(), Vec::<String>::new());
    }
}
