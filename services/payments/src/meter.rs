//! What comes from Stripe and what it answers, counted.

use std::time::Duration;

use common::clock::Time;
use metrics::{
    Counter, Gauge, Histogram, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

use crate::gateway::GatewayError;

/// What became of a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// It told something new, and was remembered.
    New,
    /// It had come before.
    Repeated,
    /// All that it could tell was known.
    Moot,
    /// It was not genuine, or not of now.
    Refused,
    /// It could not be handled for days.
    GivenUp,
}

/// The webhooks' metrics, made once.
pub(crate) struct Webhooks {
    received: Counter,
    repeated: Counter,
    moot: Counter,
    refused: Counter,
    given_up: Counter,
    waiting: Gauge,
    last: Gauge,
}

impl Webhooks {
    /// All of them. Until the first webhook, the last one counts as having come `now`: silence begins with the process.
    pub(crate) fn new(now: Time) -> Self {
        describe_counter!("payments_webhooks_total", "Webhooks of Stripe, by what became of them.");
        let last = "payments_webhook_last_timestamp_seconds";
        describe_gauge!(last, "When the last genuine webhook came, or this process started.");
        let waiting = "payments_webhooks_waiting";
        describe_gauge!(waiting, "Webhooks that were kept and are not handled yet, at most 10,000 counted.");
        let became = |outcome| counter!("payments_webhooks_total", "outcome" => outcome);
        let webhooks = Self {
            received: became("received"),
            repeated: became("repeated"),
            moot: became("moot"),
            refused: became("refused"),
            given_up: became("given_up"),
            waiting: gauge!(waiting),
            last: gauge!(last),
        };
        webhooks.heard(now);
        webhooks
    }

    /// Counts one.
    pub(crate) fn count(&self, received: Received) {
        let outcome = match received {
            Received::New => &self.received,
            Received::Repeated => &self.repeated,
            Received::Moot => &self.moot,
            Received::Refused => &self.refused,
            Received::GivenUp => &self.given_up,
        };
        outcome.increment(1);
    }

    /// So many wait to be handled.
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float, and this one counts to ten thousand")]
    pub(crate) fn waiting(&self, webhooks: u64) {
        self.waiting.set(webhooks as f64);
    }

    /// A genuine one came, for the alert on silence.
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float; seconds fit it for millions of years")]
    pub(crate) fn heard(&self, now: Time) {
        self.last.set(now.seconds() as f64);
    }
}

/// The metrics of calls to Stripe, made once. A call counts with all its tries.
#[derive(Clone, Debug)]
pub(crate) struct Calls {
    answered: Counter,
    declined: Counter,
    refused: Counter,
    unavailable: Counter,
    misconfigured: Counter,
    duration: Histogram,
}

impl Calls {
    /// All of them, each with 0.
    pub(crate) fn new() -> Self {
        describe_counter!("payments_stripe_calls_total", "Calls to Stripe with all their tries, by what it answered.");
        describe_histogram!("payments_stripe_call_duration_seconds", "A call to Stripe with all its tries.");
        let became = |outcome| counter!("payments_stripe_calls_total", "outcome" => outcome);
        Self {
            answered: became("answered"),
            declined: became("declined"),
            refused: became("refused"),
            unavailable: became("unavailable"),
            misconfigured: became("misconfigured"),
            duration: histogram!("payments_stripe_call_duration_seconds"),
        }
    }

    /// Counts one.
    pub(crate) fn made<T>(&self, outcome: &Result<T, GatewayError>, took: Duration) {
        let outcome = match outcome {
            Ok(_) | Err(GatewayError::Unexpected(_)) => &self.answered,
            Err(GatewayError::Declined { .. }) => &self.declined,
            Err(GatewayError::Refused { .. }) => &self.refused,
            Err(GatewayError::Unavailable { .. }) => &self.unavailable,
            Err(GatewayError::Misconfigured(_)) => &self.misconfigured,
        };
        outcome.increment(1);
        self.duration.record(took);
    }
}

/// How many refunds Stripe has made twice.
pub(crate) fn doubled_refunds() -> Counter {
    let name = "payments_refunds_doubled_total";
    describe_counter!(name, "Refunds that Stripe has made although it has made one with the same id of ours.");
    counter!(name)
}

/// How many payments Stripe keeps a part of that should have gone back.
pub(crate) fn left_by_disputes() -> Counter {
    let name = "payments_left_by_disputes_total";
    describe_counter!(name, "Payments of which the bank took a part, so that Stripe refuses to give back the rest.");
    counter!(name)
}

/// How many payments have begun and not come to an end.
pub(crate) fn unsettled() -> Gauge {
    let name = "payments_unsettled";
    describe_gauge!(name, "Payments and refunds that are not settled yet, at most 10,000 counted.");
    gauge!(name)
}
