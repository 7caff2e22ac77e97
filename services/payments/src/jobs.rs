//! What goes on by itself: payments that may have moved unnoticed, and webhooks that a crash left behind.

use std::sync::Arc;

use common::service::JobError;
use common::store::Versioned;
use futures::{StreamExt, stream};
use tracing::Instrument as _;

use crate::Payments;
use crate::payment::Payment;

/// How many are taken in one turn, and how many of them side by side.
const BATCH: i64 = 200;
const CONCURRENT: usize = 8;

/// How many unsettled payments are counted; more are as bad.
const COUNTED: u64 = 10_000;

/// Looks after the payments whose time has come.
pub(crate) async fn attend(payments: Arc<Payments>) -> Result<(), JobError> {
    let due = payments.payments.needing_attention(payments.clock.now(), BATCH).await?;
    stream::iter(due).for_each_concurrent(CONCURRENT, |payment| attend_to(&payments, payment)).await;
    Ok(())
}

async fn attend_to(payments: &Payments, payment: Versioned<Payment>) {
    // Another replica may have taken it, or it has changed since.
    let looked = match payments.payments.claim(&payment).await {
        Ok(true) => payments.look_after(&payment).instrument(Payments::span(&payment.value)).await,
        Ok(false) => Ok(()),
        Err(error) => Err(error.into()),
    };
    if let Err(error) = looked {
        tracing::warn!(%error, order = %payment.value.order_id, "a payment was not settled; trying again later");
    }
}

/// Handles the webhooks that were kept but not handled.
pub(crate) async fn handle_forgotten_webhooks(payments: Arc<Payments>) -> Result<(), JobError> {
    for letter in payments.inbox.forgotten(BATCH).await? {
        if let Err(error) = payments.act_upon(&letter.id, &letter.subject).await {
            tracing::warn!(%error, event = letter.id, kind = letter.kind, "a webhook still waits to be handled");
        }
    }
    Ok(())
}

/// Shows how many payments have not come to an end.
#[expect(clippy::cast_precision_loss, reason = "a gauge is a float, and this one counts to ten thousand")]
pub(crate) async fn count_unsettled(payments: Arc<Payments>) -> Result<(), JobError> {
    let unsettled = payments.payments.unsettled(COUNTED).await?;
    payments.unsettled.set(unsettled as f64);
    Ok(())
}
