//! Paying: an unconfirmed intent first, then the payment's place in the store, only then the charge. Each step can be
//! repeated, and a crash between two of them leaves nothing that could charge.

use std::time::Duration;

use common::id::{OrderId, UserId};
use common::store::{ChangeError, StoreError, Versioned};
use common::telemetry::current_traceparent;
use moka::sync::Cache;
use uuid::Uuid;

use crate::Payments;
use crate::arbiter::SettleError;
use crate::gateway::{GatewayError, Intent, Method};
use crate::order::{NotPayable, OrderReplica};
use crate::payment::{Input, Payment, PaymentError, PaymentState, Standing, UNANSWERED};

/// Which request it is that wants to pay.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    /// Who pays.
    pub(crate) buyer: UserId,
    /// The same for each of its repetitions.
    pub(crate) id: Uuid,
    /// Whether an earlier attempt of it may have been answered by nobody.
    pub(crate) is_repeated: bool,
}

impl Request {
    /// Tells a repetition what its first attempt was told; it is no new attempt at the bank.
    fn declined_before(self, payment: &Payment) -> Result<(), PayError> {
        match &payment.decline_code {
            Some(code) if self.is_repeated && payment.declined_request == Some(self.id) => {
                Err(PayError::Declined { code: code.clone() })
            }
            _ => Ok(()),
        }
    }
}

/// What a buyer gets back.
#[derive(Debug)]
pub(crate) struct Receipt {
    /// The payment.
    pub(crate) payment: Versioned<Payment>,
    /// What lets the buyer's browser go on.
    pub(crate) client_secret: Option<String>,
    /// Where the buyer must go to authenticate.
    pub(crate) next_action: Option<String>,
}

/// Why an order is not paid.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PayError {
    /// The buyer has no such order.
    #[error("no such order")]
    NoSuchOrder,
    /// The order does not wait for money.
    #[error(transparent)]
    NotPayable(#[from] NotPayable),
    /// The order ended while it was being paid. Nothing was charged.
    #[error("the order ended before it was paid")]
    Ended,
    /// It is paid already.
    #[error("the order is paid already")]
    AlreadyPaid,
    /// The bank declined.
    #[error("declined: {code}")]
    Declined {
        /// The decline code.
        code: String,
    },
    /// So many attempts were declined that no more are made.
    #[error("{MOST_ATTEMPTS} attempts to pay the order were declined")]
    TooManyAttempts,
    /// Stripe cannot use the payment method.
    #[error("the payment method cannot be used: {0}")]
    BadMethod(String),
    /// Stripe does not take this amount.
    #[error("the amount cannot be charged: {0}")]
    NotChargeable(String),
    /// Stripe failed.
    #[error(transparent)]
    Gateway(GatewayError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<SettleError> for PayError {
    fn from(error: SettleError) -> Self {
        match error {
            SettleError::Store(error) => Self::Store(error),
            SettleError::Gateway(error) => Self::Gateway(error),
        }
    }
}

impl From<ChangeError<PaymentError>> for PayError {
    fn from(error: ChangeError<PaymentError>) -> Self {
        match error {
            ChangeError::Store(error) => Self::Store(error),
            ChangeError::NotFound | ChangeError::Refused(_) => Self::NoSuchOrder,
        }
    }
}

/// How many attempts to pay one order may be declined. Somebody who tries more cards than that tries whose they are, and each attempt
/// is a call that others wait for at Stripe.
const MOST_ATTEMPTS: u32 = 10;

/// How long and of how many intents it is remembered what Stripe said a moment ago.
const SEEN_FOR: Duration = Duration::from_secs(5);
const MOST_SEEN: u64 = 16_384;

/// What lets buyers who look again and again not ask Stripe each time.
pub(crate) fn seen() -> Cache<String, Intent> {
    Cache::builder().max_capacity(MOST_SEEN).time_to_live(SEEN_FOR).build()
}

impl Payments {
    /// Begins to pay an order, and charges at once if the method is known.
    ///
    /// # Errors
    /// [`PayError`].
    pub(crate) async fn pay(
        &self,
        order: OrderId,
        method: Option<Method>,
        request: Request,
    ) -> Result<Receipt, PayError> {
        let (replica, known) =
            tokio::try_join!(self.orders.get_soon(order.uuid(), &self.clock), self.payments.get(order))?;
        let replica = replica.map(|replica| replica.value);
        let replica = replica.filter(|replica| replica.facts.buyer_id == request.buyer).ok_or(PayError::NoSuchOrder)?;
        let _together = known.is_none().then(|| self.payments.hold_back(order));
        let (payment, fresh) = match known {
            Some(payment) => (payment, None),
            None => self.begin(&replica).await?,
        };
        let payment = if method.is_some() { self.up_to_date(payment).await? } else { payment };
        if payment.value.state.is_paid() {
            return paid_before(payment, method.as_ref(), request.is_repeated);
        }
        self.admit(&replica, &payment.value)?;
        match method {
            Some(method) => {
                request.declined_before(&payment.value)?;
                self.attempt(&payment, &method, request).await
            }
            None => self.show(payment, fresh).await,
        }
    }

    /// What goes on at the bank may have ended unheard; a repetition of the attempt would only be told its first answer.
    async fn up_to_date(&self, payment: Versioned<Payment>) -> Result<Versioned<Payment>, PayError> {
        match payment.value.state {
            PaymentState::RequiresAction | PaymentState::Processing => {
                Ok(self.refresh(&payment).await?.unwrap_or(payment))
            }
            _ => Ok(payment),
        }
    }

    fn admit(&self, replica: &OrderReplica, payment: &Payment) -> Result<(), PayError> {
        replica.payable(self.clock.now())?;
        if payment.state.is_open() { Ok(()) } else { Err(PayError::Ended) }
    }

    /// Makes an intent and the payment for it; somebody else may have been first, then theirs counts.
    async fn begin(&self, replica: &OrderReplica) -> Result<(Versioned<Payment>, Option<Intent>), PayError> {
        let now = self.clock.now();
        replica.payable(now)?;
        let intent = self.make_intent(replica).await?;
        let begun = Payment::begin(&replica.facts, intent.id.clone(), now);
        let own = Payment { trace: current_traceparent(), ..begun };
        let payment = self.payments.begin(own, Some(replica.facts.buyer_id)).await?;
        if payment.value.intent.as_deref() == Some(&intent.id) {
            return Ok((payment, Some(intent)));
        }
        if let Err(error) = self.discard(&payment.value, &intent.id).await {
            tracing::warn!(%error, order = %payment.value.order_id, "an unused intent was not cancelled; nobody can pay it");
        }
        Ok((payment, None))
    }

    async fn make_intent(&self, replica: &OrderReplica) -> Result<Intent, PayError> {
        let (order, total, title) = (replica.facts.order_id, replica.facts.total, &replica.title);
        let made = match self.gateway.create_intent(order, title, total, 1).await {
            // The key answers the same failure for a day. An intent too many, whose secret nobody has, does no harm.
            Err(GatewayError::Unavailable { sticky: true, .. }) => {
                self.gateway.create_intent(order, title, total, self.clock.now().millis()).await
            }
            made => made,
        };
        made.map_err(|error| match error {
            GatewayError::Refused { message, .. } => PayError::NotChargeable(message),
            error => PayError::Gateway(error),
        })
    }

    /// Shows the buyer how the payment stands, and how to go on in the browser. Whoever looks again and again does not ask
    /// Stripe: the bank's page stands in the payment, and what else was said is remembered for a moment.
    async fn show(&self, payment: Versioned<Payment>, fresh: Option<Intent>) -> Result<Receipt, PayError> {
        let id = payment.value.intent.clone().ok_or(PayError::Ended)?;
        if let Some(fresh) = fresh {
            self.seen.insert(id.clone(), fresh);
        }
        let seen = self.seen.get(&id);
        if let Some(known) = &payment.value.next_action {
            let (client_secret, next_action) = (seen.and_then(|seen| seen.client_secret), Some(known.url.clone()));
            return Ok(Receipt { payment, client_secret, next_action });
        }
        if let Some(Intent { client_secret, next_action, .. }) = seen {
            let next_action = next_action.filter(|_| payment.value.state == PaymentState::RequiresAction);
            return Ok(Receipt { payment, client_secret, next_action });
        }
        let intent = self.gateway.retrieve(&id).await.map_err(PayError::Gateway)?;
        self.seen.insert(id, intent.clone());
        let payment = self.follow(&payment, &intent, None).await?.unwrap_or(payment);
        Ok(Receipt { payment, client_secret: intent.client_secret, next_action: intent.next_action })
    }

    async fn attempt(
        &self,
        payment: &Versioned<Payment>,
        method: &Method,
        request: Request,
    ) -> Result<Receipt, PayError> {
        let Payment { order_id, intent: Some(intent), attempt, .. } = &payment.value else {
            return Err(PayError::Ended);
        };
        if *attempt > MOST_ATTEMPTS {
            return Err(PayError::TooManyAttempts);
        }
        self.seen.invalidate(intent);
        match self.gateway.confirm(*order_id, intent, *attempt, method).await {
            Ok(intent) => self.charged(payment, intent, Some(method)).await,
            Err(GatewayError::Unexpected(intent)) => self.charged(payment, *intent, None).await,
            Err(GatewayError::Declined { code }) => self.declined(&payment.value, code, request).await,
            Err(GatewayError::Refused { message, .. }) => Err(PayError::BadMethod(message)),
            Err(error @ GatewayError::Unavailable { .. }) => self.unanswered(payment, method, error, request).await,
            Err(error) => Err(PayError::Gateway(error)),
        }
    }

    async fn charged(
        &self,
        payment: &Versioned<Payment>,
        intent: Intent,
        method: Option<&Method>,
    ) -> Result<Receipt, PayError> {
        let method = method.map(|method| method.name().to_owned());
        let payment = self.follow(payment, &intent, method).await?.ok_or(PayError::NoSuchOrder)?;
        match payment.value.state {
            PaymentState::Cancelling | PaymentState::Cancelled => Err(PayError::Ended),
            _ => Ok(Receipt { payment, client_secret: intent.client_secret, next_action: intent.next_action }),
        }
    }

    async fn declined(&self, payment: &Payment, code: String, by: Request) -> Result<Receipt, PayError> {
        let input = Input::Declined { attempt: payment.attempt, code: code.clone(), request: Some(by.id) };
        let payment = self.payments.change(payment.order_id, input, Some(by.buyer)).await?;
        if payment.value.state.is_paid() {
            return Ok(Receipt { payment, client_secret: None, next_action: None });
        }
        Err(PayError::Declined { code })
    }

    /// Nobody knows whether the charge was made: only the intent can tell.
    async fn unanswered(
        &self,
        known: &Versioned<Payment>,
        method: &Method,
        error: GatewayError,
        request: Request,
    ) -> Result<Receipt, PayError> {
        let payment = &known.value;
        let intent = payment.intent.as_deref().ok_or(PayError::Ended)?;
        let intent = self.gateway.retrieve(intent).await.map_err(PayError::Gateway)?;
        match &intent.standing {
            Standing::Open { error: Some(code) } if payment.decline_code.is_none() => {
                self.declined(payment, code.clone(), request).await
            }
            Standing::Open { .. } => {
                // The key would answer the same failure again and again; the next attempt has another.
                if matches!(error, GatewayError::Unavailable { sticky: true, .. }) {
                    let (attempt, code) = (payment.attempt, UNANSWERED.to_owned());
                    let failed = Input::Declined { attempt, code, request: None };
                    self.payments.inform(payment.order_id, failed).await?;
                }
                Err(PayError::Gateway(error))
            }
            _ => self.charged(known, intent, Some(method)).await,
        }
    }
}

/// The same click once more gets the same answer; another one is told that it is late. Who noted the payment while the first
/// answer was lost may not have known by which method it was made.
fn paid_before(payment: Versioned<Payment>, method: Option<&Method>, is_repeated: bool) -> Result<Receipt, PayError> {
    let same = method.is_some_and(|method| match payment.value.method.as_deref() {
        Some(known) => known == method.name(),
        None => is_repeated,
    });
    if same { Ok(Receipt { payment, client_secret: None, next_action: None }) } else { Err(PayError::AlreadyPaid) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payment::tests::begun;

    fn paid_by(method: Option<&str>) -> Versioned<Payment> {
        Versioned { version: 2, value: Payment { method: method.map(str::to_owned), ..begun() } }
    }

    #[test]
    fn a_click_whose_answer_was_lost_is_told_of_its_own_payment() {
        let visa = Method::PaymentMethod("pm_card_visa".to_owned());
        let told = |noted, is_repeated| paid_before(paid_by(noted), Some(&visa), is_repeated).is_ok();
        assert!(told(Some(visa.name()), false) && told(Some(visa.name()), true));
        assert!(told(None, true), "a webhook noted the payment, which knows of no method");
        assert!(!told(None, false) && !told(Some("pm_card_other"), true), "another click paid");
        assert!(paid_before(paid_by(None), None, true).is_err(), "it has not asked for a charge");
    }
}
