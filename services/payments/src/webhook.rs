//! Stripe's webhooks. Their signature is what is believed; what they tell is only a hint to ask Stripe how things stand,
//! so that old, doubled and reordered ones do no harm.

use common::clock::Time;
use common::id::OrderId;
use common::store::{StoreError, Versioned};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stripe_webhook::{Webhook, WebhookError};
use tracing::Instrument as _;

use crate::Payments;
use crate::arbiter::{SettleError, shortly};
use crate::gateway::{GatewayError, ORDER};
use crate::meter::Received;
use crate::payment::Payment;
use crate::store::inbox::Letter;

/// The types of the events that matter here. Others may be sent, and are only acknowledged.
pub const WEBHOOK_EVENTS: [&str; 13] = [
    "payment_intent.succeeded",
    "payment_intent.payment_failed",
    "payment_intent.processing",
    "payment_intent.requires_action",
    "payment_intent.canceled",
    "charge.refunded",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "refund.created",
    "refund.updated",
    "refund.failed",
    "charge.refund.updated",
];

/// The webhook is not Stripe's, or not of now.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotGenuine {
    /// No secret of ours made the signature, or the time in it is too far from now.
    #[error("the signature is not valid")]
    Signature,
    /// It has no event in it.
    #[error("the body is not an event")]
    Body,
}

/// What a webhook is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "about", rename_all = "snake_case")]
pub(crate) enum Subject {
    /// An intent moved on.
    Intent {
        /// The intent.
        intent: String,
        /// The order it names.
        order: Option<OrderId>,
    },
    /// Money of an intent went back, or came back.
    Refunds {
        /// The intent.
        intent: String,
    },
    /// The bank disputes the payment of an intent, or has decided.
    Dispute {
        /// The intent.
        intent: String,
        /// Stripe's reason, which earlier builds note.
        reason: String,
    },
    /// Nothing that matters here.
    Nothing,
}

/// A webhook whose signature is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    /// The event's id, the same for every delivery of it.
    pub(crate) id: String,
    /// Its type.
    pub(crate) kind: String,
    /// What it is about.
    pub(crate) subject: Subject,
}

impl Notice {
    /// Reads a webhook that was signed, not more than five minutes from `now`, with one of the secrets.
    ///
    /// # Errors
    /// [`NotGenuine`].
    pub(crate) fn read(body: &[u8], signature: &str, secrets: &[SecretString], now: Time) -> Result<Self, NotGenuine> {
        let body = std::str::from_utf8(body).map_err(|_| NotGenuine::Body)?;
        let genuine = secrets.iter().any(|secret| is_genuine(body, signature, secret, now));
        if !genuine {
            return Err(NotGenuine::Signature);
        }
        let event: Value = serde_json::from_str(body).map_err(|_| NotGenuine::Body)?;
        let text = |pointer| event.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let kind = text("/type").ok_or(NotGenuine::Body)?;
        Ok(Self { id: text("/id").ok_or(NotGenuine::Body)?, subject: subject(&kind, &event["data"]["object"]), kind })
    }
}

/// The library checks signature and time before it looks at the event. Of the event it knows one version of the API only,
/// but accounts may send another; so a body that it cannot read is genuine all the same.
fn is_genuine(body: &str, signature: &str, secret: &SecretString, now: Time) -> bool {
    let read = Webhook::construct_event_with_timestamp(body, signature, secret.expose_secret(), now.seconds());
    matches!(read, Ok(_) | Err(WebhookError::BadParse(_)))
}

fn subject(kind: &str, object: &Value) -> Subject {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    // Inside of other objects an intent may be expanded.
    let intent = text(&object["payment_intent"]).or_else(|| text(&object["payment_intent"]["id"]));
    match (kind, intent) {
        // Before its confirmation an intent has nothing to tell.
        ("payment_intent.created", _) => Subject::Nothing,
        (kind, _) if kind.starts_with("payment_intent.") => {
            let order = object["metadata"][ORDER].as_str().and_then(|id| id.parse().ok());
            text(&object["id"]).map_or(Subject::Nothing, |intent| Subject::Intent { intent, order })
        }
        (kind, Some(intent)) if kind.starts_with("charge.dispute.") => {
            Subject::Dispute { intent, reason: text(&object["reason"]).unwrap_or_else(|| "general".to_owned()) }
        }
        ("charge.refunded", Some(intent)) => Subject::Refunds { intent },
        (kind, Some(intent)) if kind.starts_with("refund.") || kind.starts_with("charge.refund.") => {
            Subject::Refunds { intent }
        }
        _ => Subject::Nothing,
    }
}

impl Payments {
    /// Takes a webhook that tells something new: remembered first, then acted upon. If Stripe or the store fails meanwhile,
    /// a job goes on with it.
    ///
    /// # Errors
    /// If it could not even be remembered; Stripe sends it again then.
    pub(crate) async fn receive(&self, notice: &Notice) -> Result<(), SettleError> {
        if self.is_moot(notice).await? {
            self.webhooks.count(Received::Moot);
            return Ok(());
        }
        if !self.inbox.keep(notice).await? {
            self.webhooks.count(Received::Repeated);
            return Ok(());
        }
        self.webhooks.count(Received::New);
        if let Err(error) = shortly(Box::pin(self.act_upon(&notice.id, &notice.subject))).await {
            tracing::warn!(%error, event = notice.id, kind = notice.kind, "a webhook waits to be handled");
        }
        Ok(())
    }

    /// Whether all that it can tell is known. A paid intent stays paid, and a cancelled one has no more to say of it; of
    /// refunds and disputes other webhooks tell.
    async fn is_moot(&self, notice: &Notice) -> Result<bool, StoreError> {
        match &notice.subject {
            Subject::Nothing => Ok(true),
            Subject::Intent { intent, order: Some(order) } => {
                let told = notice.kind == "payment_intent.canceled";
                self.payments.is_known_of(*order, intent, told).await
            }
            _ => Ok(false),
        }
    }

    /// Gives up a webhook after its last attempt. How the payment stands is found out by looking; what only the webhook
    /// tells, a dispute or a refund that was made at Stripe, is for people to look up.
    pub(crate) async fn give_up(&self, letter: &Letter, error: &SettleError) {
        tracing::error!(%error, event = letter.id, kind = letter.kind, subject = ?letter.subject, "a webhook was given up");
        match self.inbox.give_up(&letter.id).await {
            Ok(()) => self.webhooks.count(Received::GivenUp),
            Err(error) => tracing::warn!(%error, event = letter.id, "a webhook that is to be given up waits"),
        }
    }

    /// Does what a webhook asks for and notes that it is done.
    ///
    /// # Errors
    /// [`SettleError`]; nothing is noted then.
    pub(crate) async fn act_upon(&self, event: &str, subject: &Subject) -> Result<(), SettleError> {
        match self.hear(subject).await {
            // What Stripe refuses to tell about its own event, such as an intent of another account, will never be told.
            Err(SettleError::Gateway(error @ GatewayError::Refused { .. })) => {
                tracing::warn!(%error, event, "a webhook led nowhere");
            }
            heard => heard?,
        }
        Ok(self.inbox.done(event).await?)
    }

    async fn hear(&self, subject: &Subject) -> Result<(), SettleError> {
        match subject {
            Subject::Intent { intent, order } => self.hear_of_intent(intent, *order).await,
            Subject::Refunds { intent } => match self.paid_by(intent).await? {
                Some(payment) => self.settle_refunds(&payment.value).await,
                None => Ok(()),
            },
            Subject::Dispute { intent, .. } => match self.paid_by(intent).await? {
                Some(payment) => self.hear_of_disputes(&payment.value).await,
                None => Ok(()),
            },
            Subject::Nothing => Ok(()),
        }
    }

    async fn hear_of_intent(&self, intent: &str, order: Option<OrderId>) -> Result<(), SettleError> {
        let payment = match order {
            Some(order) => self.payments.get(order).await?,
            None => self.payments.of_intent(intent).await?,
        };
        match payment {
            Some(payment) if payment.value.intent.as_deref() == Some(intent) => {
                self.refresh(&payment).instrument(Self::span(&payment.value)).await.map(drop)
            }
            Some(payment) => self.discard(&payment.value, intent).await,
            None => Ok(()),
        }
    }

    /// The payment of an intent. That it was paid may be news: what is told of its money then means that it was.
    pub(crate) async fn paid_by(&self, intent: &str) -> Result<Option<Versioned<Payment>>, SettleError> {
        match self.payments.of_intent(intent).await? {
            Some(payment) if !payment.value.state.is_paid() => self.refresh(&payment).await,
            known => Ok(known),
        }
    }
}

#[cfg(test)]
#[path = "webhook_tests.rs"]
mod tests;
