//! Holds over many listings evenly.

use crate::Result;
use crate::report::Outcome;
use crate::run::Bench;

pub(super) async fn run(bench: &Bench<'_>) -> Result<Outcome> {
    Ok(super::hot::holds(bench, "spread", bench.sizes.listings).await?.0)
}
