//! Giving money back: decided and written down first, then done at Stripe, then confirmed.

use common::id::{OrderId, RefundId, UserId};
use common::money::Money;
use common::store::{ChangeError, StoreError, Versioned};

use crate::Payments;
use crate::arbiter::{A_LOOK, SettleError, shortly, within};
use crate::gateway::{GatewayError, StripeRefund, StripeRefundState};
use crate::payment::{Input, Payment, PaymentError};
use crate::refund::{CHARGE_DISPUTED, Refund, RefundState, Refunding};

/// Why money is not given back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RefundError {
    /// The payment does not allow it.
    #[error(transparent)]
    Payment(#[from] PaymentError),
    /// Stripe refused it.
    #[error("the payment provider refused the refund")]
    Refused,
    /// There is no such payment.
    #[error("no such payment")]
    NoSuchPayment,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<ChangeError<PaymentError>> for RefundError {
    fn from(error: ChangeError<PaymentError>) -> Self {
        match error {
            ChangeError::NotFound => Self::NoSuchPayment,
            ChangeError::Refused(error) => Self::Payment(error),
            ChangeError::Store(error) => Self::Store(error),
        }
    }
}

impl Payments {
    /// Gives back `amount`, or all that is left, as the refund `id`: once, however often it is asked for. If Stripe does not
    /// answer, the refund is made later.
    ///
    /// # Errors
    /// [`RefundError`].
    pub(crate) async fn give_back(
        &self,
        order: OrderId,
        id: RefundId,
        actor: UserId,
        amount: Option<Money>,
        reason: Option<String>,
    ) -> Result<Versioned<Payment>, RefundError> {
        let asked = Input::Refunding(Refunding::Asked { id, amount, reason });
        let payment = self.payments.change(order, asked, Some(actor)).await?;
        if let Err(error) = shortly(Box::pin(self.settle_refunds(&payment.value))).await {
            tracing::warn!(%error, %order, "a refund waits for Stripe");
        }
        let payment = self.payments.get(order).await?.ok_or(RefundError::NoSuchPayment)?;
        let failed = |refund: &Refund| refund.id == id && refund.state == RefundState::Failed;
        if payment.value.refunds.iter().any(failed) { Err(RefundError::Refused) } else { Ok(payment) }
    }

    /// Notes that the order wants all that is left to go back; the job that makes refunds does it. Answers whether there was
    /// money to give.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn want_all_back(&self, order: OrderId) -> Result<bool, StoreError> {
        let payment = self.payments.inform(order, Input::Refunding(Refunding::All)).await?;
        // An earlier build noted the dispute, and never looks how it ended.
        if let Some(unwatched) = payment.as_ref().filter(|payment| payment.value.is_unwatched_dispute()) {
            self.payments.look_now(unwatched).await?;
        }
        self.lanes.giving_back.wake();
        Ok(payment.is_some_and(|payment| payment.value.state.is_paid()))
    }

    /// Takes up refunds that were begun, and those that failed although the order may keep no money.
    pub(crate) async fn look_after_refunds(&self, payment: &Versioned<Payment>) -> Result<(), SettleError> {
        let order = payment.value.order_id;
        if payment.value.has_undecided_dispute() {
            self.hear_of_disputes(&payment.value).await?;
        }
        let replica = self.orders.get(order).await?;
        let wants_all = replica.is_some_and(|replica| replica.value.wants_all_back());
        let wanted = match wants_all {
            true => self.payments.inform(order, Input::Refunding(Refunding::All)).await?,
            false => None,
        };
        self.settle_refunds(&wanted.as_ref().unwrap_or(payment).value).await?;
        let rests = payment.value.started_refunds().next().is_none() && !payment.value.has_undecided_dispute();
        if !wants_all && rests {
            self.payments.leave_alone(order, payment.version).await?;
        }
        Ok(())
    }

    /// Asks Stripe whether the bank has decided, for somebody who would be refused until it has. If Stripe does not answer, what
    /// is known counts.
    pub(crate) async fn look_at_disputes(&self, payment: &Payment) {
        if !payment.is_with_the_bank() {
            return;
        }
        if let Err(error) = within(A_LOOK, Box::pin(self.hear_of_disputes(payment))).await {
            tracing::warn!(%error, order = %payment.order_id, "a dispute is not looked at");
        }
    }

    /// Asks Stripe how the disputes of a payment stand.
    ///
    /// # Errors
    /// [`SettleError`].
    pub(crate) async fn hear_of_disputes(&self, payment: &Payment) -> Result<(), SettleError> {
        let Some(intent) = payment.intent.as_deref() else { return Ok(()) };
        for dispute in self.gateway.disputes(intent, payment.amount).await? {
            tracing::info!(order = %payment.order_id, dispute = dispute.id, state = ?dispute.state, "a payment is disputed");
            self.payments.inform(payment.order_id, Input::Disputed(dispute)).await?;
        }
        self.lanes.giving_back.wake();
        Ok(())
    }

    /// Compares the refunds with Stripe's, and makes those that Stripe does not have yet.
    ///
    /// # Errors
    /// [`SettleError`].
    pub(crate) async fn settle_refunds(&self, payment: &Payment) -> Result<(), SettleError> {
        let Some(intent) = payment.intent.as_deref() else { return Ok(()) };
        let known = self.gateway.refunds(intent, payment.amount.currency()).await?;
        for refund in &known {
            self.record(payment, refund).await?;
        }
        for refund in payment.started_refunds() {
            if !known.iter().any(|known| known.id == Some(refund.id)) {
                self.make(payment, intent, refund).await?;
            }
        }
        Ok(())
    }

    /// Asks for a refund that Stripe does not list. Stripe repeats the first answer of a key for a day, a 500 too: when a key
    /// fails for long, a later look, which reads Stripe's list again, asks under another one. What is left of the charge bounds
    /// it all.
    async fn make(&self, payment: &Payment, intent: &str, refund: &Refund) -> Result<(), SettleError> {
        let spent = payment.spent_keys.get(&refund.id.to_string()).copied().unwrap_or_default();
        match self.gateway.refund(payment.order_id, intent, refund.id, refund.amount, spent).await {
            Err(error @ GatewayError::Unavailable { sticky: true, .. }) => {
                self.payments.key_failed(payment, refund.id).await?;
                Err(error.into())
            }
            Ok(made) => self.record(payment, &made).await,
            Err(GatewayError::Refused { code, message }) => {
                if code == CHARGE_DISPUTED {
                    self.hear_of_disputes(payment).await?;
                }
                tracing::error!(order = %payment.order_id, refund = %refund.id, code, message, "Stripe refused a refund");
                let told = self.tell(payment, Refunding::Refused { id: refund.id, stripe_id: None, code }).await?;
                if !payment.closed_by_dispute && told.is_some_and(|told| told.value.closed_by_dispute) {
                    self.left_by_disputes.increment(1);
                }
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// A refund that was made at Stripe directly counts too; its id here follows from its id there.
    async fn record(&self, payment: &Payment, refund: &StripeRefund) -> Result<(), SettleError> {
        let stripe_id = &refund.stripe_id;
        let id = refund.id.unwrap_or_else(|| RefundId::derived(payment.order_id.uuid(), stripe_id));
        let told = match &refund.state {
            StripeRefundState::Pending => return Ok(()),
            StripeRefundState::Failed(code) => {
                Refunding::Refused { id, stripe_id: Some(stripe_id.clone()), code: code.clone() }
            }
            StripeRefundState::Done => Refunding::Done { id, stripe_id: stripe_id.clone(), amount: refund.amount },
        };
        let known = self.tell(payment, told).await?;
        let doubled = known.as_ref().and_then(|known| known.value.doubled(stripe_id));
        if refund.id.is_some() && doubled.is_some() && payment.doubled(stripe_id).is_none() {
            self.doubled_refunds.increment(1);
            tracing::error!(
                order = %payment.order_id, refund = %id, stripe_id, amount = %refund.amount,
                "Stripe has made one refund twice; the buyer has this amount too"
            );
        }
        Ok(())
    }

    async fn tell(&self, payment: &Payment, refunding: Refunding) -> Result<Option<Versioned<Payment>>, SettleError> {
        Ok(self.payments.inform(payment.order_id, Input::Refunding(refunding)).await?)
    }
}
