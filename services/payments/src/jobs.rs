//! What goes on by itself: what orders want of Stripe, payments that may have moved unnoticed, and webhooks that wait.

use std::future::ready;
use std::sync::Arc;

use common::service::JobError;
use common::store::Versioned;
use common::telemetry::stopwatch;
use futures::{StreamExt, stream};
use tracing::Instrument as _;

use crate::Payments;
use crate::arbiter::SettleError;
use crate::gateway::{SomeDispute, unwaited};
use crate::lanes::{Lane, SIDE_BY_SIDE, Turn};
use crate::payment::{Payment, PaymentState};
use crate::store::inbox::Letter;

/// How many unsettled payments are counted; more are as bad.
const COUNTED: u64 = 10_000;

/// Closes the intents of orders that ended.
pub(crate) async fn close(payments: Arc<Payments>) -> Result<(), JobError> {
    settle(&payments, &payments.lanes.closing, &[PaymentState::Cancelling], || payments.gateway.may_work()).await
}

/// Makes the refunds that are decided, and looks at those that Stripe has not decided.
pub(crate) async fn give_back(payments: Arc<Payments>) -> Result<(), JobError> {
    let paid = [PaymentState::Succeeded, PaymentState::PartiallyRefunded, PaymentState::Refunded];
    settle(&payments, &payments.lanes.giving_back, &paid, || payments.gateway.may_work()).await
}

/// Looks at the open payments whose time has come.
pub(crate) async fn look(payments: Arc<Payments>) -> Result<(), JobError> {
    use PaymentState::{Failed, Initiated, Processing, RequiresAction};
    let open = [Initiated, Failed, RequiresAction, Processing];
    settle(&payments, &payments.lanes.looking, &open, || payments.gateway.may_look()).await
}

async fn settle(
    payments: &Payments,
    lane: &Lane,
    states: &[PaymentState],
    may_call: impl Fn() -> bool,
) -> Result<(), JobError> {
    let now = payments.clock.now();
    let most = lane.begin(stopwatch());
    if most == 0 {
        return Ok(());
    }
    let mut due = payments.payments.needing_attention(states, now, i64::try_from(most).unwrap_or(i64::MAX)).await?;
    let taken = due.len();
    // Replicas begin at different places of the same list, and seldom want the same payment.
    due.rotate_left(usize::try_from(now.millis()).unwrap_or_default() % taken.max(1));
    let turn = Turn::new(stopwatch());
    let admitted = stream::iter(due).take_while(|_| ready(goes_on(&turn, &may_call)));
    admitted.for_each_concurrent(SIDE_BY_SIDE, |payment| settle_one(payments, &turn, payment)).await;
    if taken == most {
        turn.leaves_some();
    }
    lane.end(&turn, stopwatch());
    Ok(())
}

fn goes_on(turn: &Turn, may_call: impl Fn() -> bool) -> bool {
    let goes_on = turn.goes_on(stopwatch()) && may_call();
    if !goes_on {
        turn.leaves_some();
    }
    goes_on
}

async fn settle_one(payments: &Payments, turn: &Turn, payment: Versioned<Payment>) {
    let claimed = match payments.payments.claim(&payment).await {
        Ok(Some(claimed)) => claimed,
        Ok(None) => return,
        Err(error) => return tracing::warn!(%error, order = %payment.value.order_id, "a payment was not claimed"),
    };
    let looked = unwaited(payments.look_after(&claimed)).instrument(Payments::span(&claimed.value)).await;
    let Err(error) = looked else { return turn.did() };
    tracing::warn!(%error, order = %claimed.value.order_id, "a payment was not settled; trying again later");
    if error.is_stripes() {
        turn.failed();
        if let Err(error) = payments.payments.come_again(&claimed).await {
            tracing::warn!(%error, order = %claimed.value.order_id, "a payment is looked at later than it should be");
        }
    }
}

/// Finds the disputes of which no webhook told, or which a build that keeps less of them has forgotten: those of the newest
/// hundred that are not known as they stand.
pub(crate) async fn find_disputes(payments: Arc<Payments>) -> Result<(), JobError> {
    if !payments.gateway.may_look() {
        return Ok(());
    }
    let newest = match unwaited(payments.gateway.newest_disputes()).await {
        Ok(newest) => newest,
        Err(error) => {
            tracing::warn!(%error, "the newest disputes are not known; asking again later");
            return Ok(());
        }
    };
    for SomeDispute { id, intent, state } in newest {
        let payment = match payments.payments.of_intent(&intent).await {
            Ok(Some(payment)) if !payment.value.knows_of_dispute(&id, state) => payment,
            Ok(_) => continue,
            Err(error) => {
                tracing::warn!(%error, dispute = id, "the payment of a dispute cannot be read; trying again later");
                continue;
            }
        };
        if !payments.gateway.may_look() {
            return Ok(());
        }
        let heard = async {
            let paid = payments.paid_by(&intent).await?.unwrap_or(payment);
            payments.hear_of_disputes(&paid.value).await
        };
        if let Err(error) = unwaited(heard).await {
            tracing::warn!(%error, dispute = id, "a dispute is not known yet; asking again later");
            if error.is_stripes() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Handles the webhooks that were kept but not handled.
pub(crate) async fn handle_waiting_webhooks(payments: Arc<Payments>) -> Result<(), JobError> {
    let now = payments.clock.now();
    let most = payments.lanes.inbox.begin(stopwatch());
    if most == 0 {
        return Ok(());
    }
    let due = payments.inbox.due(now, i64::try_from(most).unwrap_or(i64::MAX)).await?;
    let turn = Turn::new(stopwatch());
    if due.len() == most {
        turn.leaves_some();
    }
    let admitted = stream::iter(due).take_while(|_| ready(goes_on(&turn, || payments.gateway.may_work())));
    admitted.for_each_concurrent(SIDE_BY_SIDE, |letter| handle_one(&payments, &turn, letter)).await;
    payments.lanes.inbox.end(&turn, stopwatch());
    Ok(())
}

async fn handle_one(payments: &Payments, turn: &Turn, letter: Letter) {
    let handled = async {
        if !payments.inbox.claim(&letter).await? {
            return Ok(());
        }
        unwaited(payments.act_upon(&letter.id, &letter.subject)).await.inspect(|()| turn.did())
    };
    let outcome: Result<(), SettleError> = handled.await;
    let Err(error) = outcome else { return };
    if error.is_stripes() {
        turn.failed();
    }
    match letter.is_last_attempt() {
        false => tracing::warn!(%error, event = letter.id, kind = letter.kind, "a webhook still waits to be handled"),
        true => payments.give_up(&letter, &error).await,
    }
}

/// Shows how many payments have not come to an end, and how many webhooks wait.
#[expect(clippy::cast_precision_loss, reason = "a gauge is a float, and this one counts to ten thousand")]
pub(crate) async fn count_unsettled(payments: Arc<Payments>) -> Result<(), JobError> {
    let unsettled = payments.payments.unsettled(COUNTED).await?;
    payments.unsettled.set(unsettled as f64);
    let waiting = payments.inbox.waiting(COUNTED).await?;
    payments.webhooks.waiting(waiting);
    Ok(())
}
