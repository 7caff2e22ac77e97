//! Money that goes back: never more than came in. Pure.
//!
//! A refund here is one refund at Stripe, whose id it learns with what became of it. Should Stripe have two refunds with the
//! id of one of ours, the second one is a refund of its own here, as if it were made at Stripe directly: what the ledger says
//! went back is what Stripe gave back. An answer that refuses a refund is not the last word on it, Stripe's list is.

use common::events::payments::{PaymentRefundFailed, PaymentRefundStarted, PaymentRefunded};
use common::id::RefundId;
use common::money::Money;
use serde::{Deserialize, Serialize};

use crate::payment::{Payment, PaymentError, PaymentState, Step};

/// Stripe's reason for giving nothing back: the buyer's bank has the money, until it decides or for good.
pub(crate) const CHARGE_DISPUTED: &str = "charge_disputed";

/// Where a refund stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RefundState {
    /// Decided here; Stripe has not confirmed it yet.
    Started,
    /// The money went back.
    Succeeded,
    /// Stripe refused it, or the bank sent the money back.
    Failed,
}

/// One refund of a payment.
#[derive(Clone, Debug, PartialEq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refund {
    /// Its id, which Stripe keeps in the refund's metadata.
    pub id: RefundId,
    /// How much.
    pub amount: Money,
    /// Where it stands.
    pub state: RefundState,
    /// Why, if somebody said so.
    pub reason: Option<String>,
    /// Its id at Stripe, once what became of it there is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stripe_id: Option<String>,
}

/// What can happen about refunds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refunding {
    /// Somebody gives money back.
    Asked {
        /// The refund.
        id: RefundId,
        /// How much; all that is left if not said.
        amount: Option<Money>,
        /// Why.
        reason: Option<String>,
    },
    /// The order wants all that is left to go back.
    All,
    /// The money of a refund went back; one that is not known was made at Stripe directly.
    Done {
        /// The refund.
        id: RefundId,
        /// Its id at Stripe.
        stripe_id: String,
        /// How much.
        amount: Money,
    },
    /// Stripe refused a refund, or the bank sent its money back.
    Refused {
        /// The refund.
        id: RefundId,
        /// Its id at Stripe; none if Stripe has not made it.
        stripe_id: Option<String>,
        /// Stripe's reason.
        code: String,
    },
}

impl Refund {
    /// Whether Stripe's books may still say that it was made.
    fn is_open(&self) -> bool {
        match self.state {
            RefundState::Started => true,
            RefundState::Failed => self.stripe_id.is_none(),
            RefundState::Succeeded => false,
        }
    }
}

impl Payment {
    pub(crate) fn refunding(&self, refunding: Refunding) -> Result<Option<Step>, PaymentError> {
        match refunding {
            Refunding::Asked { id, amount, reason } => self.give_back(id, amount, reason),
            Refunding::All => self.give_all_back(),
            Refunding::Done { id, stripe_id, amount } => Ok(self.gone_back(id, stripe_id, amount)),
            Refunding::Refused { id, stripe_id, code } => Ok(self.refused(id, stripe_id, code)),
        }
    }

    /// Refunds that are decided but not confirmed.
    pub fn started_refunds(&self) -> impl Iterator<Item = &Refund> {
        self.refunds.iter().filter(|refund| refund.state == RefundState::Started)
    }

    fn give_back(
        &self,
        id: RefundId,
        amount: Option<Money>,
        reason: Option<String>,
    ) -> Result<Option<Step>, PaymentError> {
        if self.refunds.iter().any(|refund| refund.id == id) {
            return Ok(None);
        }
        if !self.state.is_paid() {
            return Err(PaymentError::NotPaid(self.state));
        }
        if self.is_with_the_bank() {
            return Err(PaymentError::Disputed);
        }
        let left =
            Money::from_minor(self.left(), self.amount.currency()).map_err(|_| PaymentError::NotPaid(self.state))?;
        let amount = amount.unwrap_or(left);
        if left.minor() == 0 || amount.minor() > left.minor() || amount.currency() != left.currency() {
            return Err(PaymentError::ExceedsPayment(left));
        }
        Ok(Some(self.start(Refund { id, amount, state: RefundState::Started, reason, stripe_id: None })))
    }

    /// The same as often as it is wanted: what is on its way back already is not left, and what the bank has waits for it.
    fn give_all_back(&self) -> Result<Option<Step>, PaymentError> {
        if self.state.is_paid() && (self.left() == 0 || self.is_with_the_bank()) {
            return Ok(None);
        }
        self.give_back(self.id_of_rest(self.refunds.len()), None, None)
    }

    /// The id of the refund that comes after so many, if the order wants all that is left.
    fn id_of_rest(&self, after: usize) -> RefundId {
        RefundId::derived(self.order_id.uuid(), &format!("all that is left, after {after}"))
    }

    fn start(&self, refund: Refund) -> Step {
        let Self { order_id, buyer_id, amount, .. } = *self;
        let event = PaymentRefundStarted { order_id, buyer_id, amount, refund_id: refund.id, refund: refund.amount };
        let mut next = self.clone();
        next.refunds.push(refund);
        Step { next, event: event.into() }
    }

    /// The refund that is this one at Stripe, where it has the id of another refund of ours.
    pub(crate) fn doubled(&self, stripe_id: &str) -> Option<&Refund> {
        let id = self.id_of_double(stripe_id);
        self.refunds.iter().find(|refund| refund.id == id)
    }

    fn id_of_double(&self, stripe_id: &str) -> RefundId {
        RefundId::derived(self.order_id.uuid(), stripe_id)
    }

    /// Which refund of ours is meant by what Stripe says of one of its own.
    fn meant(&self, id: RefundId, stripe_id: &str) -> RefundId {
        let is_other =
            |known: &Refund| known.id == id && known.stripe_id.as_ref().is_some_and(|known| known != stripe_id);
        if self.refunds.iter().any(is_other) { self.id_of_double(stripe_id) } else { id }
    }

    fn gone_back(&self, id: RefundId, stripe_id: String, refund: Money) -> Option<Step> {
        let (id, mut next) = (self.meant(id, &stripe_id), self.clone());
        match next.refunds.iter_mut().find(|refund| refund.id == id) {
            Some(known) if known.is_open() => {
                (known.state, known.stripe_id) = (RefundState::Succeeded, Some(stripe_id));
            }
            Some(_) => return None,
            None if !self.state.is_paid() => return None,
            None => {
                let (state, stripe_id) = (RefundState::Succeeded, Some(stripe_id));
                next.refunds.push(Refund { id, amount: refund, state, reason: None, stripe_id });
            }
        }
        next.state = next.state_by_returned();
        let in_full = next.state == PaymentState::Refunded;
        let Self { order_id, buyer_id, amount, .. } = *self;
        let returned = Some(next.returned_money());
        let event = PaymentRefunded { order_id, buyer_id, amount, refund_id: id, refund, in_full, returned };
        Some(Step { next, event: event.into() })
    }

    fn refused(&self, id: RefundId, stripe_id: Option<String>, code: String) -> Option<Step> {
        let (id, mut next) = (stripe_id.as_ref().map_or(id, |stripe_id| self.meant(id, stripe_id)), self.clone());
        let at = next.refunds.iter().position(|refund| refund.id == id)?;
        let known = &mut next.refunds[at];
        // Of money that went back only Stripe's own refund can say that it did not.
        let may_fail =
            known.state == RefundState::Started || (known.state == RefundState::Succeeded && stripe_id.is_some());
        if !may_fail {
            return None;
        }
        let for_good = code == CHARGE_DISPUTED && stripe_id.is_none();
        known.state = RefundState::Failed;
        known.stripe_id = stripe_id.or(known.stripe_id.take());
        // While the bank has not decided about another dispute, Stripe may think better of it.
        let is_decided = next.charged_back() > 0 && !next.is_with_the_bank();
        if for_good && is_decided && id == self.id_of_rest(at) {
            return next.close_by_dispute();
        }
        next.state = next.state_by_returned();
        let Self { order_id, buyer_id, amount, .. } = *self;
        let returned = Some(next.returned_money());
        let event = PaymentRefundFailed { order_id, buyer_id, amount, refund_id: id, code, returned };
        Some(Step { next, event: event.into() })
    }

    pub(crate) fn state_by_returned(&self) -> PaymentState {
        match self.returned() {
            _ if self.closed_by_dispute => PaymentState::Refunded,
            0 => PaymentState::Succeeded,
            returned if returned >= self.amount.minor() => PaymentState::Refunded,
            _ => PaymentState::PartiallyRefunded,
        }
    }

    /// What went back for sure; all of it, should Stripe say that more than all went back.
    pub fn returned_money(&self) -> Money {
        let returned = self.returned().min(self.amount.minor());
        Money::from_minor(returned, self.amount.currency()).unwrap_or(self.amount)
    }

    /// What went back for sure, in minor units: by refunds, and by disputes that were lost.
    pub fn returned(&self) -> i64 {
        let done = self.refunds.iter().filter(|refund| refund.state == RefundState::Succeeded);
        done.map(|refund| refund.amount.minor()).sum::<i64>() + self.charged_back()
    }
}
