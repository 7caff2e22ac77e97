//! The payment of an order, which is the arbiter between paying and expiring. Pure: no clock, no I/O.
//!
//! ```text
//!              declined
//!            ┌──> failed ──────┐
//! initiated ─┼──> requires_action ──> succeeded ──> partially_refunded ──> refunded
//!            └──> processing ──┘          ^  ^             (a refund that bounces leads back)
//!     │ the order ended                   │  │
//!     └──> cancelling ────────────────────┘  │ never expected, but money is money
//!              └──> cancelled ───────────────┘
//! ```

use std::collections::BTreeMap;

use common::clock::Time;
use common::events::PaymentEvent;
use common::events::orders::OrderFacts;
use common::events::payments::{
    PaymentCancelled, PaymentCancelling, PaymentCreated, PaymentFailed, PaymentProcessing, PaymentRequiresAction,
    PaymentSnapshot, PaymentStatus, PaymentSucceeded,
};
use common::id::{OrderId, UserId};
use common::money::Money;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::attention;
use crate::dispute::Dispute;
use crate::refund::{Refund, RefundState, Refunding};

/// The code of an attempt that the bank has never seen, since Stripe failed. No bank says it.
pub const UNANSWERED: &str = "unanswered";

/// Where a payment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PaymentState {
    /// Begun; nothing has been charged.
    Initiated,
    /// The buyer must authenticate (3-D Secure).
    RequiresAction,
    /// The bank has not decided yet.
    Processing,
    /// The last attempt was declined; another may follow.
    Failed,
    /// The money came in.
    Succeeded,
    /// The order ended; it is not sure yet that no money came in.
    Cancelling,
    /// No money came in and none can any more.
    Cancelled,
    /// Part of the money went back.
    PartiallyRefunded,
    /// All the money went back.
    Refunded,
}

impl PaymentState {
    /// Whether the money came in, wherever it is now.
    pub fn is_paid(self) -> bool {
        matches!(self, Self::Succeeded | Self::PartiallyRefunded | Self::Refunded)
    }

    /// Whether an attempt to pay may be made.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Initiated | Self::RequiresAction | Self::Processing | Self::Failed)
    }
}

impl From<PaymentState> for PaymentStatus {
    fn from(state: PaymentState) -> Self {
        match state {
            PaymentState::Initiated => Self::Initiated,
            PaymentState::RequiresAction => Self::RequiresAction,
            PaymentState::Processing => Self::Processing,
            PaymentState::Failed => Self::Failed,
            PaymentState::Succeeded => Self::Succeeded,
            PaymentState::Cancelling => Self::Cancelling,
            PaymentState::Cancelled => Self::Cancelled,
            PaymentState::PartiallyRefunded => Self::PartiallyRefunded,
            PaymentState::Refunded => Self::Refunded,
        }
    }
}

/// Where the buyer must go while the bank wants to hear from them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NextAction {
    /// The bank's page.
    pub url: String,
    /// When Stripe said so.
    pub learnt_at: Time,
}

/// The payment of an order.
#[derive(Clone, Debug, PartialEq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Payment {
    /// The order, whose id is the payment's id too.
    pub order_id: OrderId,
    /// Who pays.
    pub buyer_id: UserId,
    /// Who sells.
    pub seller_id: UserId,
    /// The whole amount of the order.
    pub amount: Money,
    /// Where it stands.
    pub state: PaymentState,
    /// The one PaymentIntent at Stripe. None if the order ended before anybody wanted to pay.
    pub intent: Option<String>,
    /// Which attempt is the current one, from 1: a declined one counts it up.
    pub attempt: u32,
    /// What the attempt that charged it, or waits for the bank, was made with, if it was made through the API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Where the buyer must go, while the payment requires action and Stripe names a page for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_action: Option<NextAction>,
    /// Why the last attempt was declined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decline_code: Option<String>,
    /// The request that made the declined attempt, if it was made through the API: its repetitions are told the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declined_request: Option<Uuid>,
    /// What went back or is going back, in the order of asking.
    #[serde(default)]
    pub refunds: Vec<Refund>,
    /// How many of a refund's idempotency keys Stripe has answered with a failure that it answers for ever, by refund.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub spent_keys: BTreeMap<String, u32>,
    /// Since when Stripe answers the idempotency key that a refund uses with such a failure, by refund.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub keys_fail_since: BTreeMap<String, Time>,
    /// Why the buyer's bank has disputed it first, if it ever did. Earlier builds note no more of a dispute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dispute: Option<String>,
    /// Its disputes, in the order of learning of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disputes: Vec<Dispute>,
    /// Whether the bank took so much back after a dispute that Stripe gives nothing more back of what may be left.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub closed_by_dispute: bool,
    /// The trace (W3C `traceparent`) of the request that began it: what Stripe tells later belongs to it too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// When it was begun.
    pub created_at: Time,
    /// When it last changed.
    pub changed_at: Time,
    /// When somebody must look whether it has moved on unnoticed; never, if it cannot.
    pub attention_at: Option<Time>,
}

/// What Stripe says of a PaymentIntent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// It waits for a payment method; the error is that of the last attempt.
    Open {
        /// Stripe's decline or error code.
        error: Option<String>,
    },
    /// The buyer must authenticate.
    RequiresAction,
    /// The bank has not decided yet.
    Processing,
    /// The money came in.
    Succeeded,
    /// It can never succeed.
    Cancelled,
}

/// What can happen to a payment.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// Stripe says how the intent stands, perhaps not for the first time, perhaps late.
    Stands {
        /// The intent that is meant.
        intent: String,
        /// Which attempt was the current one when Stripe was asked: the answer does not know of later ones.
        attempt: u32,
        /// How it stands.
        standing: Standing,
        /// What it was paid with, if this answers an attempt through the API.
        method: Option<String>,
        /// Where the buyer must go to authenticate.
        next_action: Option<String>,
    },
    /// An attempt was declined.
    Declined {
        /// Which one.
        attempt: u32,
        /// Stripe's decline or error code.
        code: String,
        /// The request that made it, if it was made through the API.
        request: Option<Uuid>,
    },
    /// The order ended without payment: nobody may pay any more.
    OrderEnded,
    /// Stripe says how one of its disputes stands.
    Disputed(Dispute),
    /// Something about money that goes back.
    Refunding(Refunding),
}

/// Why something cannot be done to a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PaymentError {
    /// No money came in.
    #[error("the payment is {0:?}, so there is nothing to give back")]
    NotPaid(PaymentState),
    /// Not as much is left.
    #[error("only {0} of the payment is left to give back")]
    ExceedsPayment(Money),
    /// The buyer's bank has the money until it has decided about a dispute.
    #[error("the payment is disputed, so nothing can be given back until the bank has decided")]
    Disputed,
}

/// One change of a payment.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The payment after it.
    pub next: Payment,
    /// The event that says so.
    pub event: PaymentEvent,
}

impl Payment {
    /// A payment that begins with an intent.
    pub fn begin(order: &OrderFacts, intent: String, now: Time) -> Self {
        Self::new(order, PaymentState::Initiated, Some(intent), now)
    }

    /// The payment of an order that ended before anybody wanted to pay: it keeps its place so that nobody can.
    pub fn never(order: &OrderFacts, now: Time) -> Self {
        Self::new(order, PaymentState::Cancelled, None, now)
    }

    fn new(order: &OrderFacts, state: PaymentState, intent: Option<String>, now: Time) -> Self {
        let payment = Self {
            order_id: order.order_id,
            buyer_id: order.buyer_id,
            seller_id: order.seller_id,
            amount: order.total,
            state,
            intent,
            attempt: 1,
            method: None,
            next_action: None,
            decline_code: None,
            declined_request: None,
            refunds: Vec::new(),
            spent_keys: BTreeMap::new(),
            keys_fail_since: BTreeMap::new(),
            dispute: None,
            disputes: Vec::new(),
            closed_by_dispute: false,
            trace: None,
            created_at: now,
            changed_at: now,
            attention_at: None,
        };
        Self { attention_at: attention::first(&payment, now), ..payment }
    }

    /// The event that tells its present state.
    pub fn told(&self) -> PaymentEvent {
        let Self { order_id, buyer_id, amount, state, .. } = *self;
        let (returned, dispute) = (self.returned_money(), self.dispute_standing());
        PaymentSnapshot { order_id, buyer_id, amount, status: state.into(), returned, dispute }.into()
    }

    /// The event of its making.
    pub fn made(&self) -> PaymentEvent {
        let Self { order_id, buyer_id, amount, .. } = *self;
        match self.state {
            PaymentState::Cancelled => PaymentCancelled { order_id, buyer_id, amount }.into(),
            _ => PaymentCreated { order_id, buyer_id, amount }.into(),
        }
    }

    /// What `input` does to it at `now`; `None` if nothing is left to do, as when the same thing is said twice.
    ///
    /// # Errors
    /// Only a wish can be refused, and only a refund is one. What has happened has happened.
    pub fn handle(&self, input: Input, now: Time) -> Result<Option<Step>, PaymentError> {
        // What the order wants is done by a job, which must not wait until it looks by itself.
        let at_once = matches!(input, Input::OrderEnded | Input::Refunding(Refunding::All));
        let changed = match input {
            Input::Stands { intent, attempt, standing, method, next_action } => {
                let next_action = next_action.map(|url| NextAction { url, learnt_at: now });
                self.stands(intent, attempt, &standing, method, next_action)
            }
            Input::Declined { attempt, code, request } => self.declined(attempt, code, request),
            Input::OrderEnded => self.state.is_open().then(|| self.step(PaymentState::Cancelling)),
            // What waited for the bank's decision is for the job too.
            Input::Disputed(dispute) => return Ok(self.disputed(dispute).map(|step| step.at(now).looked_at(now))),
            Input::Refunding(refunding) => self.refunding(refunding)?,
        };
        Ok(changed.map(|step| if at_once { step.at(now).due_at(now) } else { step.at(now) }))
    }

    fn stands(
        &self,
        intent: String,
        attempt: u32,
        standing: &Standing,
        method: Option<String>,
        next_action: Option<NextAction>,
    ) -> Option<Step> {
        use PaymentState::{Cancelled, Cancelling, Failed, Initiated, Processing, RequiresAction, Succeeded};
        if self.intent.as_ref().is_some_and(|own| *own != intent) {
            return None;
        }
        let state = match (standing, self.state) {
            (Standing::Open { error: Some(code) }, Initiated | RequiresAction | Processing) => {
                return self.declined(attempt, code.clone(), None);
            }
            // Another attempt in the browser, of which nobody else tells.
            (Standing::Open { error: Some(code) }, Failed) if self.is_another_decline(code) => {
                return self.declined(attempt, code.clone(), None);
            }
            (Standing::RequiresAction, Initiated | Failed) => RequiresAction,
            (Standing::RequiresAction, RequiresAction)
                if self.leads_elsewhere(method.as_ref(), next_action.as_ref()) =>
            {
                RequiresAction
            }
            (Standing::Processing, Initiated | RequiresAction | Failed) => Processing,
            // Even a cancelled one: if Stripe says that it has the money, then it must not be forgotten.
            (Standing::Succeeded, Initiated | RequiresAction | Processing | Failed | Cancelling | Cancelled) => {
                Succeeded
            }
            (Standing::Cancelled, Initiated | RequiresAction | Processing | Failed | Cancelling) => Cancelled,
            _ => return None,
        };
        let mut step = self.step(state);
        step.next.intent = Some(intent);
        step.next.method = method.or_else(|| self.method.clone());
        step.next.next_action = next_action.filter(|_| state == RequiresAction);
        Some(step)
    }

    /// Whether Stripe's word on the last attempt is news. While the last one had no answer, its word is on an earlier one.
    fn is_another_decline(&self, code: &str) -> bool {
        self.decline_code.as_deref().is_none_or(|known| known != code && known != UNANSWERED)
    }

    /// Whether the buyer must go to another page than the one that is known: a new attempt has its own.
    fn leads_elsewhere(&self, method: Option<&String>, next_action: Option<&NextAction>) -> bool {
        match (&self.next_action, next_action) {
            (None, Some(_)) => true,
            (Some(known), Some(next)) => method.is_some() && known.url != next.url,
            (_, None) => false,
        }
    }

    /// An answer to an earlier attempt, which a repeated request gets too, changes nothing.
    fn declined(&self, attempt: u32, code: String, request: Option<Uuid>) -> Option<Step> {
        if !self.state.is_open() || attempt != self.attempt {
            return None;
        }
        let Self { order_id, buyer_id, amount, .. } = *self;
        let event = PaymentFailed { order_id, buyer_id, amount, code: code.clone() };
        let next = Self {
            state: PaymentState::Failed,
            attempt: self.attempt + 1,
            decline_code: Some(code),
            declined_request: request,
            method: None,
            next_action: None,
            ..self.clone()
        };
        Some(Step { next, event: event.into() })
    }

    fn step(&self, state: PaymentState) -> Step {
        let Self { order_id, buyer_id, amount, .. } = *self;
        let event = match state {
            PaymentState::RequiresAction => PaymentRequiresAction { order_id, buyer_id, amount }.into(),
            PaymentState::Processing => PaymentProcessing { order_id, buyer_id, amount }.into(),
            PaymentState::Cancelling => PaymentCancelling { order_id, buyer_id, amount }.into(),
            PaymentState::Cancelled => PaymentCancelled { order_id, buyer_id, amount }.into(),
            _ => PaymentSucceeded { order_id, buyer_id, amount }.into(),
        };
        let next = Self { state, decline_code: None, declined_request: None, next_action: None, ..self.clone() };
        Step { next, event }
    }

    /// What of the money came in, is not going back and can be given back, in minor units.
    pub fn left(&self) -> i64 {
        if self.closed_by_dispute {
            return 0;
        }
        let going = self.refunds.iter().filter(|refund| refund.state != RefundState::Failed);
        let gone: i64 = going.map(|refund| refund.amount.minor()).sum();
        (self.amount.minor() - gone - self.charged_back()).max(0)
    }
}

impl Step {
    fn at(mut self, now: Time) -> Self {
        self.next.changed_at = now;
        self.next.attention_at = attention::first(&self.next, now);
        self
    }

    fn looked_at(mut self, now: Time) -> Self {
        self.next.attention_at = self.next.attention_at.or(Some(now));
        self
    }

    fn due_at(mut self, now: Time) -> Self {
        self.next.attention_at = self.next.attention_at.map(|_| now);
        self
    }
}

#[cfg(test)]
#[path = "payment_tests.rs"]
pub(crate) mod tests;
