//! The arbiter between paying and expiring: whatever the order and the buyer believe, the PaymentIntent decides.

use std::time::Duration;

use common::events::orders::OrderFacts;
use common::id::RefundId;
use common::store::{StoreError, Versioned};
use common::telemetry::remote_parent;

use crate::Payments;
use crate::gateway::{GatewayError, Intent};
use crate::payment::{Input, Payment, PaymentState, Standing};

/// Why something could not be settled now. It is taken up again later.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettleError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Stripe failed.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
}

impl SettleError {
    /// Whether Stripe failed, so that it is to be expected to fail for others too.
    pub(crate) fn is_stripes(&self) -> bool {
        matches!(self, Self::Gateway(GatewayError::Unavailable { .. } | GatewayError::Misconfigured(_)))
    }
}

/// How long somebody who has other things to do waits for Stripe.
const SHORTLY: Duration = Duration::from_secs(6);

/// How long a look is waited for that comes before such work: an answer has time for both.
pub(crate) const A_LOOK: Duration = Duration::from_millis(1_500);

/// Work that is given up after a while; whatever it was, a job goes on with it.
///
/// # Errors
/// As [`within`].
pub(crate) async fn shortly<T>(work: impl Future<Output = Result<T, SettleError>>) -> Result<T, SettleError> {
    within(SHORTLY, work).await
}

/// Work that is given up after `limit`.
///
/// # Errors
/// Those of the work, and [`GatewayError::Unavailable`].
pub(crate) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, SettleError>>,
) -> Result<T, SettleError> {
    let late = || GatewayError::Unavailable { reason: "it takes too long to wait for".to_owned(), sticky: false };
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| Err(late().into()))
}

impl Payments {
    /// Notes that an order ended, so that nobody can begin to pay it. The job that closes intents does the rest: it makes
    /// sure that the intent cannot be paid any more, or finds out that it was paid in time.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn end(&self, order: &OrderFacts) -> Result<(), StoreError> {
        if order.total.minor() == 0 {
            return Ok(());
        }
        // The first insert counts: either this one, and nobody can begin to pay, or that of somebody who began.
        let payment = match self.payments.get(order.order_id).await? {
            Some(payment) => payment,
            None => self.payments.begin(Payment::never(order, self.clock.now()), None).await?,
        };
        // What has ended stays so.
        let payment = match payment.value.state.is_open() {
            true => self.payments.inform(payment.value.order_id, Input::OrderEnded).await?,
            false => Some(payment),
        };
        if payment.is_some_and(|payment| payment.value.state == PaymentState::Cancelling) {
            self.lanes.closing.wake();
        }
        Ok(())
    }

    /// Finds out how a payment stands and does what is left to do. Safe at any time, as often as one likes.
    ///
    /// # Errors
    /// [`SettleError`].
    pub(crate) async fn look_after(&self, payment: &Versioned<Payment>) -> Result<(), SettleError> {
        match payment.value.state {
            PaymentState::Cancelling => self.cancel(payment).await,
            state if state.is_paid() => self.look_after_refunds(payment).await,
            _ => self.refresh(payment).await.map(drop),
        }
    }

    /// What is done for a payment without its buyer's asking; it is a part of the trace in which the payment was begun.
    pub(crate) fn span(payment: &Payment) -> tracing::Span {
        let span = tracing::info_span!("settle", order = %payment.order_id);
        if let Some(trace) = &payment.trace {
            remote_parent(&span, trace);
        }
        span.follows_from(tracing::Span::current());
        span
    }

    /// Asks Stripe how the intent stands.
    ///
    /// # Errors
    /// [`SettleError`].
    pub(crate) async fn refresh(
        &self,
        payment: &Versioned<Payment>,
    ) -> Result<Option<Versioned<Payment>>, SettleError> {
        let Some(intent) = &payment.value.intent else { return Ok(None) };
        let intent = self.gateway.retrieve(intent).await?;
        let known = self.follow(payment, &intent, None).await?;
        match &known {
            Some(known) if known.value.state == PaymentState::Cancelling && is_open(&intent.standing) => {
                self.cancel(known).await?;
                Ok(self.payments.get(payment.value.order_id).await?)
            }
            _ => Ok(known),
        }
    }

    /// Takes over what Stripe says of the payment's intent, and what it was paid with if that is known.
    pub(crate) async fn follow(
        &self,
        payment: &Versioned<Payment>,
        intent: &Intent,
        method: Option<String>,
    ) -> Result<Option<Versioned<Payment>>, StoreError> {
        let Intent { id, standing, next_action, .. } = intent.clone();
        let attempt = payment.value.attempt;
        let stands = Input::Stands { intent: id, attempt, standing, method, next_action };
        self.payments.follow(payment, stands).await
    }

    async fn cancel(&self, payment: &Versioned<Payment>) -> Result<(), SettleError> {
        let Some(intent) = &payment.value.intent else { return Ok(()) };
        let intent = self.cancel_or_see(intent).await?;
        self.follow(payment, &intent, None).await?;
        Ok(())
    }

    /// Cancels an intent, or learns why that is not possible any more.
    async fn cancel_or_see(&self, intent: &str) -> Result<Intent, GatewayError> {
        match self.gateway.cancel(intent).await {
            Err(GatewayError::Unexpected(intent)) => Ok(*intent),
            answer => answer,
        }
    }

    /// Gets rid of an intent that names an order but is not the one of its payment. Nobody can have paid it, for its secret
    /// was told to nobody; should it be paid nevertheless, the money goes back.
    ///
    /// # Errors
    /// [`SettleError`].
    pub(crate) async fn discard(&self, payment: &Payment, stray: &str) -> Result<(), SettleError> {
        let intent = self.cancel_or_see(stray).await?;
        if intent.standing == Standing::Succeeded {
            tracing::error!(order = %payment.order_id, intent = stray, "an intent that is no payment's was paid; its money goes back");
            let refund = RefundId::derived(payment.order_id.uuid(), stray);
            self.gateway.refund(payment.order_id, stray, refund, payment.amount, 0).await?;
        }
        Ok(())
    }
}

fn is_open(standing: &Standing) -> bool {
    matches!(standing, Standing::Open { .. } | Standing::RequiresAction)
}
