//! Whether Stripe takes our secret key. One that it refuses, because it was changed or may do less, is a fault of the
//! operator's: nobody's card is declined for it and no refund is given up, all is done once the key is good. Until then it
//! stands in `/status`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::http::Status;
use serde_json::json;

use super::GatewayError;

/// What `/status` calls it.
const STRIPE: &str = "stripe";

/// Whether the key was refused last.
#[derive(Clone, Debug)]
pub(super) struct Key {
    status: Status,
    refused: Arc<AtomicBool>,
}

impl Key {
    pub(super) fn new(status: Status) -> Self {
        status.set(STRIPE, true, json!({ "keyRefused": false }));
        Self { status, refused: Arc::default() }
    }

    /// Learns from what became of a call. No answer says nothing of the key.
    pub(super) fn learn_from<T>(&self, outcome: &Result<T, GatewayError>) {
        let refused = match outcome {
            Err(GatewayError::Misconfigured(_)) => true,
            Err(GatewayError::Unavailable { .. }) => return,
            _ => false,
        };
        if self.refused.swap(refused, Ordering::Relaxed) == refused {
            return;
        }
        self.status.set(STRIPE, !refused, json!({ "keyRefused": refused }));
        if refused {
            tracing::error!(
                "Stripe refuses STRIPE_SECRET_KEY: nobody can pay, and nothing goes back, until it is set right"
            );
        } else {
            tracing::info!("Stripe takes the secret key again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_tells_of_the_key() {
        let key = Key::new(Status::default());
        let refused = || key.refused.load(Ordering::Relaxed);
        let away = GatewayError::Unavailable { reason: String::new(), sticky: false };
        let wrong = GatewayError::Misconfigured("Invalid API Key".to_owned());
        for (outcome, expected) in [(Err(away.clone()), false), (Err(wrong), true), (Err(away), true), (Ok(()), false)]
        {
            key.learn_from(&outcome);
            assert_eq!(refused(), expected, "{outcome:?}");
        }
    }
}
