//! Answers that are kept ready: read by many, loaded seldom, and renewed when word of a change comes.
//!
//! A copy is judged at every read by what the service has heard since it was loaded ([`Fitness`]). An old one is still
//! shown while another is loaded beside it, at most once in [`Pace::least`]; a wrong one is loaded again first. So the
//! database sees a bounded number of reads of one thing, however many people look at it and however often it changes.

mod coding;
mod representation;

use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use moka::future::Cache;
use moka::ops::compute::Op;
use tokio::time::Instant;

pub use representation::{Representation, Represented};

use super::admission::{Gate, Overloaded};
use crate::supervisor::Spawner;
use crate::telemetry::stopwatch;

/// How long copies live.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// No sooner than this after it was begun is an old copy renewed.
    pub least: Duration,
    /// After this a copy is renewed, whether anything was heard of a change or not.
    pub renew: Duration,
    /// After this a copy is not shown any more, should word of changes not get through.
    pub most: Duration,
}

/// What a copy is worth, by what was heard since it was loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fitness {
    /// Nothing is known that it does not show.
    Current,
    /// Something changed; it may be shown a little longer.
    Old,
    /// It must not be shown any more, such as to the one who made the change.
    Wrong,
}

/// A copy of something, and since when.
#[derive(Debug)]
pub struct Kept<V> {
    /// What was loaded.
    pub value: V,
    /// When its loading began: it shows all that was committed before.
    pub began: Instant,
    renewing: AtomicBool,
}

/// What a copy weighs, in bytes.
pub trait Weighed {
    /// About how much memory it takes, in bytes.
    fn weight(&self) -> u32;
}

/// Copies by key, as many as fit.
pub struct ReadCache<K, V> {
    kept: Cache<K, Arc<Kept<V>>>,
    pace: Pace,
    gate: Gate,
    renewals: Spawner,
}

impl<K, V> Clone for ReadCache<K, V> {
    fn clone(&self) -> Self {
        let Self { kept, pace, gate, renewals } = self;
        Self { kept: kept.clone(), pace: *pace, gate: gate.clone(), renewals: renewals.clone() }
    }
}

impl<K, V> ReadCache<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Weighed + Send + Sync + 'static,
{
    /// A cache of at most `bytes`, whose loadings take places at `gate`.
    pub fn new(bytes: u64, pace: Pace, gate: Gate) -> Self {
        let weight = |_: &K, kept: &Arc<Kept<V>>| kept.value.weight();
        let kept = Cache::builder().weigher(weight).max_capacity(bytes).time_to_live(pace.most).build();
        Self { kept, pace, gate, renewals: Spawner::of("renewal of a copy") }
    }

    /// The copy of `key`, by `load` if there is none or `judge` finds it wrong. Many who ask at once share one loading.
    ///
    /// # Errors
    /// What `load` failed with, or [`Overloaded`]; it is not kept.
    pub async fn get<E, F>(
        &self,
        key: K,
        judge: impl Fn(&Kept<V>) -> Fitness,
        load: impl Fn() -> F + Send + Sync + 'static,
    ) -> Result<Arc<Kept<V>>, Arc<E>>
    where
        E: From<Overloaded> + std::fmt::Display + Send + Sync + 'static,
        F: Future<Output = Result<V, E>> + Send + 'static,
    {
        if let Some(kept) = self.kept.get(&key).await {
            match judge(&kept) {
                Fitness::Wrong => self.kept.invalidate(&key).await,
                fitness => {
                    self.renew_if_due(key, &kept, fitness, load);
                    return Ok(kept);
                }
            }
        }
        let kept = self.load(&key, &load).await?;
        if judge(&kept) != Fitness::Wrong {
            return Ok(kept);
        }
        // Somebody else's loading, begun before the change that this caller knows of. The next one begins after it.
        self.kept.invalidate(&key).await;
        self.load(&key, &load).await
    }

    async fn load<E, F>(&self, key: &K, load: &impl Fn() -> F) -> Result<Arc<Kept<V>>, Arc<E>>
    where
        E: From<Overloaded> + Send + Sync + 'static,
        F: Future<Output = Result<V, E>>,
    {
        self.kept.try_get_with_by_ref(key, fresh(&self.gate, load)).await
    }

    fn renew_if_due<E, F>(
        &self,
        key: K,
        kept: &Arc<Kept<V>>,
        fitness: Fitness,
        load: impl Fn() -> F + Send + Sync + 'static,
    ) where
        E: From<Overloaded> + std::fmt::Display + Send + 'static,
        F: Future<Output = Result<V, E>> + Send + 'static,
    {
        let age = kept.began.elapsed();
        let due = age >= self.pace.renew || (fitness == Fitness::Old && age >= self.pace.least);
        // Whether it works or not, this copy asks once; then it is replaced, or its time runs out.
        if !due || kept.renewing.swap(true, Ordering::Relaxed) {
            return;
        }
        let cache = self.clone();
        self.renewals.spawn(async move {
            match fresh(&cache.gate, &load).await {
                Ok(renewed) => cache.put(key, renewed).await,
                Err(error) => tracing::debug!(%error, "a copy was not renewed"),
            }
        });
    }

    /// Keeps `renewed` unless one that was begun later is there.
    async fn put(&self, key: K, renewed: Arc<Kept<V>>) {
        let newer = |entry: Option<moka::Entry<K, Arc<Kept<V>>>>| {
            let overtaken = entry.is_some_and(|entry| entry.value().began > renewed.began);
            std::future::ready(if overtaken { Op::Nop } else { Op::Put(renewed.clone()) })
        };
        self.kept.entry(key).and_compute_with(newer).await;
    }
}

async fn fresh<V, E, F>(gate: &Gate, load: &impl Fn() -> F) -> Result<Arc<Kept<V>>, E>
where
    E: From<Overloaded>,
    F: Future<Output = Result<V, E>>,
{
    let _place = gate.enter()?;
    let began = stopwatch();
    let value = load().await?;
    Ok(Arc::new(Kept { value, began, renewing: AtomicBool::new(false) }))
}

#[cfg(test)]
mod tests;
