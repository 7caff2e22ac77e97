//! Patience with Stripe: what may pass is tried again, with the same idempotency key, for a bounded time.
//!
//! Only for somebody who waits. What nobody waits for is tried once, because its job comes again and must not keep its place
//! from others. A 429 is answered by asking less: not again and again, and in the background not at all for a while.

use std::time::Duration;

use common::backoff::Backoff;
use common::telemetry::stopwatch;
use stripe::StripeError;

use super::GatewayError;
use super::key::Key;
use super::throttle::Throttle;
use crate::meter::Calls;

/// How long a call may take with all its tries.
const DEADLINE: Duration = Duration::from_secs(25);

/// The pauses between tries.
const PAUSES: Backoff = Backoff::new(Duration::from_millis(60), DEADLINE);

/// How often a call is tried that fails, one that is told to come again because somebody else does the same just now, and one
/// that is told that there are too many.
const TRIES: u32 = 4;
const TRIES_WHEN_BUSY: u32 = 8;
const TRIES_WHEN_TOO_MANY: u32 = 2;

tokio::task_local! {
    /// Set where nobody waits for the calls that are made.
    static UNWAITED: ();
}

/// Work for which nobody waits.
pub(crate) fn unwaited<F: Future>(work: F) -> impl Future<Output = F::Output> {
    UNWAITED.scope((), work)
}

/// How calls are repeated, and what is learnt of their answers.
#[derive(Clone, Debug)]
pub(super) struct Patience {
    calls: Calls,
    throttle: Throttle,
    key: Key,
}

impl Patience {
    pub(super) fn new(calls: Calls, throttle: Throttle, key: Key) -> Self {
        Self { calls, throttle, key }
    }

    pub(super) fn throttle(&self) -> &Throttle {
        &self.throttle
    }

    /// Asks until there is an answer, or patience ends. However often it asks, that counts as one call.
    pub(super) async fn ask<T, F>(&self, ask: impl Fn() -> F) -> Result<T, GatewayError>
    where
        F: Future<Output = Result<T, StripeError>>,
    {
        let started = stopwatch();
        let waited_for = UNWAITED.try_with(|()| ()).is_err();
        let tries = async {
            let (mut tried, mut pauses) = (0, PAUSES.waits());
            loop {
                tried += 1;
                match ask().await {
                    Ok(answer) => return Ok(answer),
                    Err(error) => {
                        self.learn_from(&error);
                        if !waited_for || tried >= worth_tries(&error) {
                            return Err(GatewayError::from(error));
                        }
                        tokio::time::sleep(pauses.next_wait()).await;
                    }
                }
            }
        };
        let late = || GatewayError::Unavailable { reason: "no answer in time".to_owned(), sticky: false };
        let outcome = tokio::time::timeout(DEADLINE, tries).await.unwrap_or_else(|_| Err(late()));
        if outcome.is_ok() && !waited_for {
            self.throttle.served();
        }
        self.key.learn_from(&outcome);
        self.calls.made(&outcome, started.elapsed());
        outcome
    }

    fn learn_from(&self, error: &StripeError) {
        if matches!(error, StripeError::Stripe(_, 429)) {
            self.throttle.too_many();
        }
    }
}

fn worth_tries(error: &StripeError) -> u32 {
    match error {
        StripeError::Stripe(_, 429) => TRIES_WHEN_TOO_MANY,
        StripeError::Stripe(_, 409 | 424) => TRIES_WHEN_BUSY,
        StripeError::Stripe(_, 500..)
        | StripeError::ClientError(_)
        | StripeError::JSONDeserialize(_)
        | StripeError::Timeout => TRIES,
        StripeError::Stripe(..) | StripeError::ConfigError(_) => 0,
    }
}
