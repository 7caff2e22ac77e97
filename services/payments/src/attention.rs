//! When a payment must be looked at although nobody came: a lost webhook, a crash between two steps. Pure.

use std::time::Duration;

use common::backoff::Backoff;
use common::clock::Time;

use crate::payment::{Payment, PaymentState};
use crate::refund::RefundState;

/// The longest time between two looks.
const RARELY: Duration = Duration::from_secs(10 * 60);

/// So long somebody's calls of Stripe may be at work. Who comes sooner would only be told that they are.
const LONGEST_CALL: Duration = Duration::from_secs(15);

/// How long a payment waits between two tries of its refunds, by how many of them Stripe has refused.
const REFUSED: Backoff = Backoff::new(Duration::from_secs(5), Duration::from_secs(6 * 3600));

/// A bank takes weeks to decide a dispute, and Stripe's webhook tells of it. The look is for one that was lost.
const DISPUTED: Duration = Duration::from_secs(6 * 3600);

/// When to look first after a change at `now`; never, if the payment can move only by somebody's wish.
pub(crate) fn first(payment: &Payment, now: Time) -> Option<Time> {
    patience(payment).map(|wait| now + wait)
}

/// When to look after a look at `now` that changed nothing: the longer it has stood still, the rarer.
pub(crate) fn next(payment: &Payment, now: Time) -> Option<Time> {
    let stood_still = now.since(payment.changed_at) / 2;
    patience(payment).map(|wait| now + stood_still.clamp(wait, RARELY.max(wait)))
}

/// When to come again after Stripe failed to do what was wanted at `now`: soon, for then it works for all.
pub(crate) fn after_failure(now: Time) -> Time {
    now + Duration::from_secs(10)
}

fn patience(payment: &Payment) -> Option<Duration> {
    match payment.state {
        PaymentState::Initiated | PaymentState::Failed => Some(Duration::from_secs(30)),
        PaymentState::RequiresAction | PaymentState::Processing => Some(Duration::from_secs(10)),
        PaymentState::Cancelling => Some(LONGEST_CALL),
        PaymentState::Cancelled => None,
        // Another one was made meanwhile, so Stripe can only refuse it.
        PaymentState::Refunded => payment.started_refunds().next().map(|_| LONGEST_CALL).or(dispute_patience(payment)),
        PaymentState::Succeeded | PaymentState::PartiallyRefunded => {
            let may_move = payment.started_refunds().next().is_some() || !payment.is_with_the_bank();
            refund_patience(payment).filter(|_| may_move).or(dispute_patience(payment))
        }
    }
}

fn dispute_patience(payment: &Payment) -> Option<Duration> {
    payment.has_undecided_dispute().then_some(DISPUTED)
}

fn refund_patience(payment: &Payment) -> Option<Duration> {
    let counted = |state| payment.refunds.iter().filter(|refund| refund.state == state).count();
    let (started, failed) = (counted(RefundState::Started), counted(RefundState::Failed));
    let least = if started > 0 { LONGEST_CALL } else { Duration::ZERO };
    (started + failed > 0).then(|| REFUSED.after(u32::try_from(failed).unwrap_or(u32::MAX)).max(least))
}
