//! What the books forget, so that they and their journal have a bound.
//!
//! Forgotten is what is settled and old: an answer when its key ends, an event some time after its delivery, an intent that
//! nobody paid after a month, and a payment when no bank would take it back any more. If payments come faster than that, the
//! oldest settled ones go. What is not decided, an undelivered event or a payment on its way, stays.

use std::collections::HashSet;

use crate::books::Books;
use crate::intents::{Intent, Status};

const HOUR: i64 = 60 * 60;
const DAY: i64 = 24 * HOUR;

/// How long delivered events, undelivered ones, unpaid intents and payments are kept.
const DELIVERED: i64 = HOUR;
const UNDELIVERED: i64 = 30 * DAY;
const UNPAID: i64 = 30 * DAY;
const PAID: i64 = 180 * DAY;

/// How many there may be, whatever their age.
const MOST_DELIVERED: usize = 5_000;
const MOST_INTENTS: usize = 50_000;

/// After so many changes it is worth to look for what is old.
const EVERY: usize = 5_000;

impl Books {
    /// Forgets what is settled and old at `now`, each few thousand changes.
    pub(crate) fn forget_now_and_then(&mut self, now: i64) {
        if self.changed >= EVERY {
            self.forget(now);
        }
    }

    /// Forgets what is settled and old at `now`.
    pub(crate) fn forget(&mut self, now: i64) {
        self.changed = 0;
        self.idempotency.expire(now);
        self.forget_events(now);
        self.forget_intents(now);
        let intents = &self.intents;
        self.charges.retain(|_, charge| intents.contains_key(&charge.intent));
        self.refunds.retain(|_, refund| intents.contains_key(&refund.intent));
        self.disputes.retain(|_, dispute| intents.contains_key(&dispute.intent));
        let paid_with = self.charges.values().map(|charge| charge.method.as_str());
        let chosen = self.intents.values().filter_map(|intent| intent.method.as_deref());
        let used: HashSet<&str> = paid_with.chain(chosen).collect();
        self.methods.retain(|id, method| now - method.created < DAY || used.contains(id.as_str()));
    }

    fn forget_events(&mut self, now: i64) {
        let delivered = self.events.values().filter(|event| event.pending_webhooks == 0).count();
        let mut too_many = delivered.saturating_sub(MOST_DELIVERED);
        self.events.retain(|_, event| match event.pending_webhooks {
            0 if too_many > 0 => {
                too_many -= 1;
                false
            }
            0 => now - event.created < DELIVERED,
            _ => now - event.created < UNDELIVERED,
        });
    }

    /// The oldest come first.
    fn forget_intents(&mut self, now: i64) {
        let mut too_many = self.intents.len().saturating_sub(MOST_INTENTS);
        self.intents.retain(|_, intent| {
            let goes = is_settled(intent) && too_many > 0;
            too_many -= usize::from(goes);
            !goes && now - intent.created < lifetime(intent)
        });
    }
}

fn is_settled(intent: &Intent) -> bool {
    matches!(intent.status, Status::Canceled | Status::Succeeded)
}

fn lifetime(intent: &Intent) -> i64 {
    match intent.status {
        Status::Processing => i64::MAX,
        Status::Succeeded => PAID,
        _ => UNPAID,
    }
}
