//! Ids in Stripe's manner: a prefix that names the kind, then something unique.

use uuid::Uuid;

/// Time-ordered, so that sorting by id is sorting by age.
#[expect(clippy::disallowed_methods, reason = "these are ids of the stand-in, which knows nothing of common")]
pub(crate) fn fresh(prefix: &str) -> String {
    format!("{prefix}_{}", Uuid::now_v7().simple())
}
