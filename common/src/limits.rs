//! How long somebody who asks waits, and what follows from that for those who work on the answer: they have an order.
//!
//! Whoever waits inside has less time than whoever waits outside, so the one who knows more says what happened.

use std::time::Duration;

/// How long a visitor waits for anything. Browsers and ingresses give up a while later.
pub const VISITOR_WAITS: Duration = Duration::from_secs(10);

/// A request that was read is answered within so long; the rest is for its way and back.
pub const ANSWER_WITHIN: Duration = VISITOR_WAITS.saturating_sub(Duration::from_secs(2));

/// All calls of APIs for one page end within so long; the rest is for making the page of what they answered, or of what they did not.
pub const PAGE_CALLS_WITHIN: Duration = ANSWER_WITHIN.saturating_sub(Duration::from_secs(1));

/// A command to the database ends within so long, so that a request waits for one that is stalled at the most.
pub const COMMAND_WITHIN: Duration = ANSWER_WITHIN;

const _: () = {
    assert!(PAGE_CALLS_WITHIN.as_millis() < ANSWER_WITHIN.as_millis());
    assert!(COMMAND_WITHIN.as_millis() <= ANSWER_WITHIN.as_millis());
    assert!(ANSWER_WITHIN.as_millis() < VISITOR_WAITS.as_millis());
};
