//! Patience with Stripe: what may pass is tried again, with the same idempotency key, for a bounded time.

use std::time::Duration;

use common::telemetry::stopwatch;
use stripe::StripeError;

use super::GatewayError;
use crate::meter::Calls;

/// How long a call may take with all its tries.
const DEADLINE: Duration = Duration::from_secs(25);

/// The first pause; each is twice the one before.
const PAUSE: Duration = Duration::from_millis(60);

/// How often a call is tried that fails, and one that is told to come again: somebody else does the same just now.
const TRIES: u32 = 4;
const TRIES_WHEN_BUSY: u32 = 8;

/// Asks until there is an answer, or patience ends. However often it asks, `calls` counts one call.
pub(super) async fn patiently<T, F>(calls: &Calls, ask: impl Fn() -> F) -> Result<T, GatewayError>
where
    F: Future<Output = Result<T, StripeError>>,
{
    let started = stopwatch();
    let tries = async {
        let mut tried = 0;
        loop {
            tried += 1;
            match ask().await {
                Ok(answer) => return Ok(answer),
                Err(error) if tried >= worth_tries(&error) => return Err(GatewayError::from(error)),
                Err(_) => tokio::time::sleep(PAUSE * 2_u32.pow(tried - 1)).await,
            }
        }
    };
    let late = || GatewayError::Unavailable { reason: "no answer in time".to_owned(), sticky: false };
    let outcome = tokio::time::timeout(DEADLINE, tries).await.unwrap_or_else(|_| Err(late()));
    calls.made(&outcome, started.elapsed());
    outcome
}

fn worth_tries(error: &StripeError) -> u32 {
    match error {
        StripeError::Stripe(_, 409 | 424 | 429) => TRIES_WHEN_BUSY,
        StripeError::Stripe(_, 500..)
        | StripeError::ClientError(_)
        | StripeError::JSONDeserialize(_)
        | StripeError::Timeout => TRIES,
        StripeError::Stripe(..) | StripeError::ConfigError(_) => 0,
    }
}
