//! Who waits in this process for the event of an aggregate, so that the projection which hears it can wake them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use uuid::Uuid;

/// The ears of one projection. Telling costs one look at a counter while nobody listens.
#[derive(Clone, Default)]
pub(super) struct Heard(Arc<Ears>);

#[derive(Default)]
struct Ears {
    open: AtomicUsize,
    by_aggregate: Mutex<HashMap<String, Arc<Notify>>>,
}

/// Listens for one aggregate until it is dropped.
pub(super) struct Ear {
    ears: Arc<Ears>,
    aggregate: String,
    told: Arc<Notify>,
}

impl Heard {
    /// Listens for what is told of an aggregate.
    pub(super) fn listen(&self, aggregate: Uuid) -> Ear {
        let aggregate = aggregate.to_string();
        let told = self.0.lock().entry(aggregate.clone()).or_default().clone();
        self.0.open.fetch_add(1, Ordering::SeqCst);
        Ear { ears: self.0.clone(), aggregate, told }
    }

    /// Wakes all who listen for `aggregate`, after it was stored.
    pub(super) fn tell(&self, aggregate: &str) {
        if self.0.open.load(Ordering::SeqCst) == 0 {
            return;
        }
        if let Some(told) = self.0.lock().get(aggregate) {
            told.notify_waiters();
        }
    }
}

impl Ears {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Notify>>> {
        self.by_aggregate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ear {
    /// Ends at the next telling after this call, whether it is polled before or not.
    pub(super) fn told(&self) -> Notified<'_> {
        self.told.notified()
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.ears.open.fetch_sub(1, Ordering::SeqCst);
        let mut open = self.ears.lock();
        // This one and the map's own are the last two.
        if open.get(&self.aggregate).is_some_and(|told| Arc::strong_count(told) <= 2) {
            open.remove(&self.aggregate);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn who_listens_is_woken_and_forgotten_after_it() {
        let heard = Heard::default();
        let [one, other] = [Uuid::from_u128(1), Uuid::from_u128(2)];
        heard.tell(&one.to_string());
        let (ear, twin, elsewhere) = (heard.listen(one), heard.listen(one), heard.listen(other));
        let (told, twice, not) = (ear.told(), twin.told(), elsewhere.told());
        heard.tell(&one.to_string());
        assert!(told.now_or_never().is_some() && twice.now_or_never().is_some() && not.now_or_never().is_none());
        drop(ear);
        assert_eq!(heard.0.lock().len(), 2, "the twin listens still");
        drop((twin, elsewhere));
        assert!(heard.0.lock().is_empty() && heard.0.open.load(Ordering::SeqCst) == 0);
    }
}
