//! What the world of the model consists of: the documents of the services as they are, what is on its way between them, what
//! processes remember, and Stripe.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::mem::discriminant;
use std::ops::Deref;
use std::sync::Arc;

use common::clock::Time;
use common::events::OrderEvent;
use common::id::RefundId;
use orders::inventory::{Inventory, Movement};
use orders::order::{Input, Order};
use payments::order::OrderReplica;
use payments::payment::{Payment, Standing};

/// When places are held, and what time it is as long as the deadline has not passed.
pub(super) const START: Time = Time::from_millis(1_000_000);
/// When holds end, and what time it is afterwards.
pub(super) const DEADLINE: Time = Time::from_millis(1_900_000);

/// A value that many states have in common. Its hash is computed once.
#[derive(Clone, Debug)]
pub(super) struct Shared<T> {
    digest: u64,
    value: Arc<T>,
}

impl<T: Hash> Shared<T> {
    pub(super) fn new(value: T) -> Self {
        let mut hasher = DefaultHasher::new();
        value.hash(&mut hasher);
        Self { digest: hasher.finish(), value: Arc::new(value) }
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: PartialEq> PartialEq for Shared<T> {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest && (Arc::ptr_eq(&self.value, &other.value) || self.value == other.value)
    }
}

impl<T> Hash for Shared<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.digest);
    }
}

/// The world at one moment.
#[derive(Clone, Debug, PartialEq, Hash)]
pub(super) struct State {
    /// The document of the listing's places.
    pub(super) inventory: Shared<Inventory>,
    /// Writes of the inventory that desks have given up. They are on the condition of its present version, so each may land as
    /// long as no other write does.
    pub(super) late: Vec<Shared<Inventory>>,
    /// How many writes may still be given up.
    pub(super) may_be_late: u8,
    /// The listing's desk in each replica of orders.
    pub(super) desks: Vec<Desk>,
    /// One for each buyer.
    pub(super) sales: Vec<Shared<Sale>>,
}

impl State {
    /// Changes one sale.
    pub(super) fn alter(&mut self, buyer: usize, change: impl FnOnce(&mut Sale)) {
        let mut sale = Sale::clone(&self.sales[buyer]);
        change(&mut sale);
        self.sales[buyer] = Shared::new(sale);
    }
}

/// How far a desk has come with a settlement, or with a hold that is asked for again. A crash puts it back to its beginning.
#[derive(Clone, Debug, PartialEq, Hash)]
pub(super) enum Desk {
    Idle,
    /// It has read the inventory, which is still of that version.
    Read {
        buyer: usize,
    },
    /// It has read the movements of the order it was asked for and of those whose keys are noted.
    Considered {
        movements: Vec<Movement>,
    },
    /// It has read the inventory for a hold whose first answer was lost.
    Asked {
        buyer: usize,
    },
    /// It has looked whether the order of the hold is stored, after it has read the inventory.
    LookedUp {
        buyer: usize,
        stored: bool,
    },
    /// It has written the inventory, which granted the movements or did not; orders that wait for the answer were told or not.
    Made {
        movements: Vec<(Movement, bool)>,
        told: bool,
    },
}

/// An event of an order on its way to payments.
#[derive(Clone, Debug)]
pub(super) struct Mail {
    pub(super) version: u8,
    pub(super) event: OrderEvent,
}

/// All events of an order carry the same facts, so version and kind tell them apart.
impl Mail {
    fn identity(&self) -> (u8, std::mem::Discriminant<OrderEvent>) {
        (self.version, discriminant(&self.event))
    }
}

impl PartialEq for Mail {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Hash for Mail {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

/// What Stripe answered of an intent, to a process that knew of so many attempts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Answer {
    pub(super) attempt: u32,
    pub(super) standing: Standing,
}

/// One buyer's order through all services.
#[derive(Clone, Debug, Default, PartialEq, Hash)]
pub(super) struct Sale {
    /// The buyer was told that it is sold out.
    pub(super) refused: bool,
    /// The buyer was told nothing of the hold, and may ask for it again under the same key.
    pub(super) unanswered: bool,
    /// The deadline of the hold has passed.
    pub(super) overdue: bool,
    /// The order with its version, as orders has it.
    pub(super) order: Option<(u8, Arc<Order>)>,
    /// The movements that stand in the order.
    pub(super) movements: Vec<Movement>,
    /// Events of the order that payments has not acknowledged, in the order of their versions.
    pub(super) to_payments: Vec<Mail>,
    /// What events of the payment tell the order and orders has not acknowledged; sorted.
    pub(super) to_orders: Vec<Input>,
    /// What concerns the deadline.
    pub(super) deadline: Alarm,
    /// What payments knows of the order, and of which version.
    pub(super) replica: Option<(u8, Arc<OrderReplica>)>,
    /// The payment, as payments has it.
    pub(super) payment: Option<Arc<Payment>>,
    /// A process of payments has got the intent from Stripe, and is about to store the payment.
    pub(super) in_hand: bool,
    /// What Stripe answered and a process of payments has not stored yet.
    pub(super) answers: Vec<Answer>,
    /// The truth about the money.
    pub(super) stripe: Stripe,
    /// What may still happen outside.
    pub(super) luck: Luck,
    /// An event was refused for good and lies among the dead letters.
    pub(super) dead_letter: bool,
}

/// The deadline as expiration and the broker have it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Hash)]
pub(super) struct Alarm {
    /// The event that sets it is on its way to expiration.
    pub(super) to_set: bool,
    /// The broker has it scheduled.
    pub(super) scheduled: bool,
    /// `expiration.due` is on its way to orders.
    pub(super) due: bool,
}

/// What Stripe has of an order. The one intent has the same idempotency key whoever makes it.
#[derive(Clone, Debug, Default, PartialEq, Hash)]
pub(super) struct Stripe {
    pub(super) intent: Option<Standing>,
    pub(super) refunds: Vec<StripeRefund>,
    /// A webhook that comes again and again until it is handled: of what nobody would ask about.
    pub(super) news: bool,
}

#[derive(Clone, Debug, PartialEq, Hash)]
pub(super) struct StripeRefund {
    pub(super) id: RefundId,
    pub(super) minor: i64,
    pub(super) bounced: bool,
}

impl Stripe {
    /// Money that came in and did not go back, in minor units.
    pub(super) fn kept(&self, total: i64) -> i64 {
        let came = if self.intent == Some(Standing::Succeeded) { total } else { 0 };
        let back: i64 = self.refunds.iter().filter(|refund| !refund.bounced).map(|refund| refund.minor).sum();
        came - back
    }
}

/// How often what would otherwise have no end may still happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Hash)]
pub(super) struct Luck {
    pub(super) declines: u8,
    pub(super) late_money: u8,
    pub(super) bounces: u8,
    pub(super) seller_refunds: u8,
    pub(super) scans: u8,
}
