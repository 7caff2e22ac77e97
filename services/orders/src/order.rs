//! An order: a hold of places and what becomes of it. Pure: no clock, no I/O.
//!
//! ```text
//! created ──> awaiting_payment ──> complete ──> refunding ──> refunded
//!    │              │     deadline    ^  ^          ^
//!    ├──────────────┴──> expiring ────┘  │          │
//!    │                      └──> expired ──> reacquiring    money came late
//!    └──> cancelled ────────────────────────────────┘
//! ```

use common::clock::Time;
use common::events::orders::{
    OrderAwaitingPayment, OrderCancelled, OrderCompleted, OrderCreated, OrderExpired, OrderExpiring, OrderFacts,
    OrderPlacesRequested, OrderRefundRequested, OrderRefunded, OrderSnapshot, OrderStatus, RefundReason,
};
use common::events::payments::{DisputeStanding, PaymentSnapshot, PaymentStatus};
use common::events::tickets::RefundPolicy;
use common::events::{OrderEvent, PaymentEvent};
use common::id::{OrderId, PassId, TicketId, UserId};
use common::money::Money;
use common::zone::Zone;
use serde::{Deserialize, Serialize};

mod door;
mod held;
mod told;

pub use door::{CheckIn, Pass, UNDONE_REMEMBERED, Undone, Void};
pub use held::HELD;
pub use told::{Disputing, Returned};

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrderState {
    /// Places are held until the deadline.
    Created,
    /// Places are held and the buyer has begun to pay.
    AwaitingPayment,
    /// The deadline has passed; places stay held until payments says whether money came in.
    Expiring,
    /// The deadline passed without payment. An end, unless money still arrives.
    Expired,
    /// The buyer gave the hold up. An end, unless money still arrives.
    Cancelled,
    /// Money came after the places were given up; they are wanted back.
    Reacquiring,
    /// Paid, with valid passes. An end, unless it is refunded.
    Complete,
    /// The money is to go back.
    Refunding,
    /// The money went back. An end.
    Refunded,
}

impl From<OrderState> for OrderStatus {
    fn from(state: OrderState) -> Self {
        match state {
            OrderState::Created => Self::Created,
            OrderState::AwaitingPayment => Self::AwaitingPayment,
            OrderState::Expiring => Self::Expiring,
            OrderState::Expired => Self::Expired,
            OrderState::Cancelled => Self::Cancelled,
            OrderState::Reacquiring => Self::Reacquiring,
            OrderState::Complete => Self::Complete,
            OrderState::Refunding => Self::Refunding,
            OrderState::Refunded => Self::Refunded,
        }
    }
}

/// An order.
#[derive(Clone, Debug, PartialEq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Order {
    /// Its id.
    pub id: OrderId,
    /// The listing.
    pub ticket_id: TicketId,
    /// Who buys.
    pub buyer_id: UserId,
    /// Who sells.
    pub seller_id: UserId,
    /// What the listing was called when the places were held.
    pub title: String,
    /// Where it takes place, as said then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub venue: Option<String>,
    /// When it starts, as said then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts_at: Option<Time>,
    /// In which time zone it takes place, if that was said then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<Zone>,
    /// Whether it may be given back, as said then.
    pub refund_policy: RefundPolicy,
    /// How many places.
    pub quantity: u32,
    /// The price of one place, fixed when they were held.
    pub unit_price: Money,
    /// The price of all.
    pub total: Money,
    /// Where it stands.
    pub state: OrderState,
    /// When the places were held.
    pub created_at: Time,
    /// Until when they are held.
    pub expires_at: Time,
    /// When it became complete, if it ever did: paid, or free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paid_at: Option<Time>,
    /// Why it is refunded, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund_reason: Option<RefundReason>,
    /// One for each place, once complete.
    #[serde(default)]
    pub passes: Vec<Pass>,
    /// How many of them were used. Beside them, so that an index has it.
    #[serde(default)]
    pub admitted: u32,
    /// What people read out in the place of its codes, without the number of the pass. Orders that an earlier build completed have
    /// none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub short_code: Option<String>,
    /// Uses of its passes that were undone, the newest last; as many as an order remembers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undone: Vec<Undone>,
    /// How many of its places stay sold although its money went back, because whoever has them was admitted. An order that an
    /// earlier build refunded has returned all.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub inside: u32,
    /// When its buyer gave the hold up, if that was so late that the places were as good as kept from others until the deadline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given_up_late_at: Option<Time>,
    /// When its buyer gave it up otherwise: the hold in the first half of its time, or a ticket that cost nothing. Orders that an
    /// earlier build has ended have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given_up_soon_at: Option<Time>,
    /// Until when the limits of holds count it: for ever while its buyer has it without having paid, and for a while after it was
    /// let go. Beside the state, so that an index has just these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts_until: Option<Time>,
    /// What of its money went back. Only payments' events write it: it is read with the order and never written with it.
    #[serde(default, skip_serializing)]
    pub returned: Returned,
    /// How its payment is disputed. Written and read as what went back.
    #[serde(default, skip_serializing)]
    pub dispute: Disputing,
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// What can happen to an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Input {
    /// The buyer began to pay.
    PaymentStarted,
    /// The money came in.
    PaymentSucceeded,
    /// No money came in and none can any more.
    PaymentCancelled,
    /// The order costs nothing.
    NothingToPay,
    /// Somebody says that the deadline has passed.
    DeadlinePassed,
    /// The buyer does not want it any more.
    BuyerCancels {
        /// When the show starts, as is known by now.
        starts_at: Option<Time>,
    },
    /// The places that were wanted back are taken.
    PlacesGranted,
    /// The places that were wanted back are gone.
    PlacesDenied,
    /// All the money went back.
    MoneyReturned,
    /// The buyer's bank took all that was left of the money.
    MoneyTakenBack,
}

impl Input {
    /// What an event of its payment tells an order, if anything.
    pub fn told_by(event: &PaymentEvent) -> Option<(OrderId, Self)> {
        match event {
            PaymentEvent::Created(payment) => Some((payment.order_id, Self::PaymentStarted)),
            PaymentEvent::Succeeded(payment) => Some((payment.order_id, Self::PaymentSucceeded)),
            PaymentEvent::Cancelled(payment) => Some((payment.order_id, Self::PaymentCancelled)),
            PaymentEvent::Refunded(payment) if payment.in_full => Some((payment.order_id, Self::MoneyReturned)),
            PaymentEvent::DisputeLost(payment) if payment.in_full => Some((payment.order_id, Self::MoneyTakenBack)),
            PaymentEvent::Snapshot(payment) => Self::told_by_state(payment),
            _ => None,
        }
    }

    /// What the events that led to a payment's present state have told, as far as it says more than any of them alone.
    fn told_by_state(payment: &PaymentSnapshot) -> Option<(OrderId, Self)> {
        use PaymentStatus::{
            Cancelled, Cancelling, Failed, Initiated, PartiallyRefunded, Processing, Refunded, RequiresAction,
            Succeeded,
        };
        let input = match payment.status {
            Initiated | RequiresAction | Processing | Failed => Self::PaymentStarted,
            Succeeded | PartiallyRefunded => Self::PaymentSucceeded,
            Refunded if payment.dispute == Some(DisputeStanding::Lost) => Self::MoneyTakenBack,
            Refunded => Self::MoneyReturned,
            Cancelled => Self::PaymentCancelled,
            // The order has ended, and told so. What only a newer build knows waits for that build.
            Cancelling | PaymentStatus::Unknown(_) => return None,
        };
        Some((payment.order_id, input))
    }
}

/// Why something cannot be done to an order.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// It has ended otherwise.
    #[error("the order is {0:?} and cannot be cancelled")]
    Ended(OrderState),
    /// The seller's policy does not give money back, or not any more.
    #[error("the refund policy of this ticket does not allow it")]
    NotRefundable,
    /// The buyer's bank has the money until it has decided about a dispute.
    #[error("the payment is disputed at the bank, which decides whether the money goes back")]
    Disputed,
    /// A place of it was used already.
    #[error("a pass of this order was used already")]
    PassUsed,
    /// Its passes are not valid.
    #[error("{0}, so its passes are not valid")]
    Void(Box<Void>),
    /// It has no such pass.
    #[error("the order has no such pass")]
    NoSuchPass,
    /// The pass was used before.
    #[error("the pass was used already")]
    AlreadyCheckedIn(CheckIn),
    /// This scan has used the pass, and that was undone.
    #[error("this scan was undone since; scan the pass again")]
    ScanUndone,
    /// The pass was not used at that moment; how it is used, if it is.
    #[error("the pass was not checked in at that time")]
    NotThatUse(Option<CheckIn>),
}

/// The start until which a buyer may give an order back that may go back until the show starts. A buyer relies on the later one
/// of what was told at the hold and what holds now, so neither a show that is moved nor one that is moved back takes the right
/// away. A date that is taken away is none; one that is told for the first time counts.
pub fn counting_start(told: Option<Time>, present: Option<Time>) -> Option<Time> {
    present.map(|present| told.map_or(present, |told| told.max(present)))
}

/// How a change of an order moves places in the inventory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Move {
    /// Held places become free.
    Release,
    /// Held places become sold.
    Sell,
    /// Sold places become free.
    Return,
    /// Free places become sold, if enough are left.
    Reacquire,
}

/// So many places of an order, and which way they move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moving {
    /// Which way.
    pub places: Move,
    /// How many.
    pub quantity: u32,
}

/// One change of an order.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The order after it.
    pub next: Order,
    /// The event that says so.
    pub event: OrderEvent,
    /// What it does to the places.
    pub places: Option<Moving>,
}

impl Order {
    /// What every event says of it.
    pub fn facts(&self) -> OrderFacts {
        OrderFacts {
            order_id: self.id,
            ticket_id: self.ticket_id,
            buyer_id: self.buyer_id,
            seller_id: self.seller_id,
            quantity: self.quantity,
            total: self.total,
        }
    }

    /// The event that tells its present state.
    pub fn told(&self) -> OrderEvent {
        let (order, title, expires_at) = (self.facts(), self.title.clone(), self.expires_at);
        OrderSnapshot { order, title, expires_at, status: self.state.into() }.into()
    }

    /// The event of its making.
    pub fn created(&self) -> OrderEvent {
        OrderCreated { order: self.facts(), title: self.title.clone(), expires_at: self.expires_at }.into()
    }

    /// What `input` does to it at `now`; `None` if nothing is left to do, as when the same thing is said twice.
    ///
    /// Money that came in and went back may be told in the wrong order. Only while places are being taken back
    /// ([`OrderState::Reacquiring`]) must it be told again later that it went.
    ///
    /// # Errors
    /// Only a buyer's wish can be refused. What has happened has happened, and always has an answer.
    pub fn handle(&self, input: Input, now: Time) -> Result<Option<Step>, OrderError> {
        use OrderState::{AwaitingPayment, Cancelled, Created, Expired, Expiring, Reacquiring};
        Ok(match (input, self.state) {
            (Input::BuyerCancels { starts_at }, _) => return self.give_up(starts_at, now),
            (Input::PaymentStarted, Created) => Some(self.step(AwaitingPayment, None)),
            (Input::PaymentSucceeded, Created | AwaitingPayment | Expiring) => {
                Some(self.complete(now, Some(Move::Sell)))
            }
            (Input::PaymentSucceeded, Expired) => Some(self.step(Reacquiring, Some(Move::Reacquire))),
            (Input::PaymentSucceeded, Cancelled) => Some(self.refund(RefundReason::CancelledMeanwhile)),
            (Input::PaymentCancelled, Created | AwaitingPayment | Expiring) => {
                Some(self.step(Expired, Some(Move::Release)))
            }
            (Input::NothingToPay, Created) if self.is_free() => Some(self.complete(now, Some(Move::Sell))),
            (Input::DeadlinePassed, Created | AwaitingPayment) if now >= self.expires_at => Some(self.overdue(now)),
            (Input::PlacesGranted, Reacquiring) => Some(self.complete(now, None)),
            (Input::PlacesDenied, Reacquiring) => Some(self.refund(RefundReason::SoldOutMeanwhile)),
            (Input::MoneyReturned, _) => self.gone(RefundReason::SellerGranted),
            (Input::MoneyTakenBack, _) => self.gone(RefundReason::ChargedBack),
            _ => None,
        })
    }

    /// All its money is gone; why, if the order did not want that itself.
    fn gone(&self, otherwise: RefundReason) -> Option<Step> {
        use OrderState::{AwaitingPayment, Cancelled, Complete, Created, Expired, Expiring, Refunding};
        let places = match self.state {
            Complete | Refunding => Some(Move::Return),
            Created | AwaitingPayment | Expiring => Some(Move::Release),
            Expired | Cancelled => None,
            _ => return None,
        };
        Some(self.returned(places, otherwise))
    }

    /// Whether it costs nothing.
    pub fn is_free(&self) -> bool {
        self.total.minor() == 0
    }

    fn give_up(&self, starts_at: Option<Time>, now: Time) -> Result<Option<Step>, OrderError> {
        use OrderState::{
            AwaitingPayment, Cancelled, Complete, Created, Expired, Expiring, Reacquiring, Refunded, Refunding,
        };
        match self.state {
            Created | AwaitingPayment | Expiring => Ok(Some(self.given_up(now).step(Cancelled, Some(Move::Release)))),
            Cancelled | Refunding | Refunded => Ok(None),
            Expired | Reacquiring => Err(OrderError::Ended(self.state)),
            Complete => self.give_back(starts_at, now).map(Some),
        }
    }

    fn give_back(&self, starts_at: Option<Time>, now: Time) -> Result<Step, OrderError> {
        if self.used() > 0 {
            return Err(OrderError::PassUsed);
        }
        let started = counting_start(self.starts_at, starts_at).is_some_and(|start| now >= start);
        match self.refund_policy {
            // What a newer build has promised, that build gives; or the seller does.
            RefundPolicy::Never | RefundPolicy::Unknown(_) => Err(OrderError::NotRefundable),
            RefundPolicy::UntilStart if started => Err(OrderError::NotRefundable),
            _ if self.is_free() => Ok(self.given_up(now).step(OrderState::Cancelled, Some(Move::Return))),
            _ if self.dispute.is_open() => Err(OrderError::Disputed),
            _ => Ok(self.refund(RefundReason::BuyerRequest)),
        }
    }

    fn overdue(&self, now: Time) -> Step {
        // A free order waits for nothing: the process ended between its hold and its completion.
        if self.is_free() { self.complete(now, Some(Move::Sell)) } else { self.step(OrderState::Expiring, None) }
    }

    fn complete(&self, now: Time, places: Option<Move>) -> Step {
        let mut next = self.in_state(OrderState::Complete);
        next.passes =
            (1..=self.quantity).map(|number| Pass { id: self.pass_id(number), number, checked_in: None }).collect();
        next.paid_at = Some(now);
        let passes = next.passes.iter().map(|pass| pass.id).collect();
        Step { event: OrderCompleted { order: self.facts(), passes }.into(), next, places: self.all(places) }
    }

    /// All its places, if any move.
    fn all(&self, places: Option<Move>) -> Option<Moving> {
        places.map(|places| Moving { places, quantity: self.quantity })
    }

    fn pass_id(&self, number: u32) -> PassId {
        PassId::derived(self.id.uuid(), &format!("pass {number}"))
    }

    fn refund(&self, reason: RefundReason) -> Step {
        let next = Self { refund_reason: Some(reason), ..self.in_state(OrderState::Refunding) };
        Step { next, event: OrderRefundRequested { order: self.facts(), reason }.into(), places: None }
    }

    fn returned(&self, places: Option<Move>, otherwise: RefundReason) -> Step {
        let reason = self.refund_reason.or(Some(otherwise));
        // Who was admitted keeps the place until the organiser undoes that.
        let inside = if places == Some(Move::Return) { self.used() } else { 0 };
        let next = Self { refund_reason: reason, inside, ..self.in_state(OrderState::Refunded) };
        // An order that is refunded because its places were gone has none to return.
        let places = places.filter(|places| *places != Move::Return || !self.passes.is_empty());
        let places = places.map(|places| Moving { places, quantity: self.quantity.saturating_sub(inside) });
        let places = places.filter(|moving| moving.quantity > 0);
        Step { next, event: OrderRefunded { order: self.facts() }.into(), places }
    }

    fn step(&self, state: OrderState, places: Option<Move>) -> Step {
        let order = self.facts();
        let event = match state {
            OrderState::AwaitingPayment => OrderAwaitingPayment { order }.into(),
            OrderState::Expiring => OrderExpiring { order }.into(),
            OrderState::Expired => OrderExpired { order }.into(),
            OrderState::Reacquiring => OrderPlacesRequested { order }.into(),
            _ => OrderCancelled { order }.into(),
        };
        Step { next: self.in_state(state), event, places: self.all(places) }
    }

    fn in_state(&self, state: OrderState) -> Self {
        let mut next = Self { state, ..self.clone() };
        next.counts_until = next.counted();
        next
    }
}

#[cfg(test)]
pub(crate) mod tests;
