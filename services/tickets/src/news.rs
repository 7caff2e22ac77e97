//! What this process has heard of changes, and so what a copy of a listing or of a page of the list is worth.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use common::http::cached::Fitness;
use common::id::TicketId;
use tokio::time::Instant;

/// For how long news of a listing is kept: longer than a copy from before it can live.
const KEPT: Duration = Duration::from_secs(30);

/// How long it may take until an event that was heard has become part of the catalogue: the replica that writes it there
/// hears it at the same time as this process.
const SETTLES: Duration = Duration::from_secs(1);

/// The news of this process. Moments are given by the caller.
#[derive(Debug)]
pub(crate) struct News(Mutex<Known>);

#[derive(Debug)]
struct Known {
    listings: HashMap<TicketId, Told>,
    swept: Instant,
    /// When this process last changed something itself.
    changed: Option<Instant>,
    /// When something was last heard.
    heard: Option<Instant>,
}

/// The newest of one listing that was told.
#[derive(Clone, Copy, Debug)]
struct Told {
    version: i64,
    /// When that version was first told.
    version_at: Instant,
    places: i64,
    at: Instant,
}

impl News {
    /// None yet.
    pub(crate) fn new(now: Instant) -> Self {
        Self(Mutex::new(Known { listings: HashMap::new(), swept: now, changed: None, heard: None }))
    }

    /// A listing was changed by its seller, here or elsewhere: it is in the catalogue already.
    pub(crate) fn listing(&self, id: TicketId, version: i64, now: Instant) {
        self.tell(id, now, |told| {
            if version > told.version {
                (told.version, told.version_at) = (version, now);
            }
        });
    }

    /// The counts of a listing changed: the catalogue has them soon.
    pub(crate) fn places(&self, id: TicketId, version: i64, now: Instant) {
        self.tell(id, now, |told| told.places = told.places.max(version));
    }

    /// This process changed something that lists show.
    pub(crate) fn changed_here(&self, now: Instant) {
        self.known().changed = Some(now);
    }

    /// What a copy of a listing with these versions is worth, if its loading began at `began`.
    pub(crate) fn of_listing(&self, id: TicketId, version: i64, places: i64, began: Instant) -> Fitness {
        let Some(told) = self.known().listings.get(&id).copied() else { return Fitness::Current };
        if version < told.version && told.version_at >= began {
            // What was told after the loading began, the next loading finds. If one that began later did not,
            // it was from a member of the replica set that is behind: then waiting is all there is.
            Fitness::Wrong
        } else if version < told.version || places < told.places {
            Fitness::Old
        } else {
            Fitness::Current
        }
    }

    /// What a copy of a page of the list is worth.
    pub(crate) fn of_list(&self, began: Instant) -> Fitness {
        let known = self.known();
        if known.changed.is_some_and(|changed| changed >= began) {
            Fitness::Wrong
        } else if known.heard.is_some_and(|heard| heard + SETTLES >= began) {
            Fitness::Old
        } else {
            Fitness::Current
        }
    }

    fn tell(&self, id: TicketId, now: Instant, tell: impl FnOnce(&mut Told)) {
        let mut known = self.known();
        known.heard = Some(now);
        if now.duration_since(known.swept) >= KEPT {
            known.listings.retain(|_, told| now.duration_since(told.at) < KEPT);
            known.swept = now;
        }
        let told = known.listings.entry(id).or_insert(Told { version: 0, version_at: now, places: 0, at: now });
        told.at = now;
        tell(told);
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use common::clock::Time;
    use common::telemetry::stopwatch;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn id() -> TicketId {
        TicketId::generate(Time::from_millis(1))
    }

    #[test]
    fn a_copy_without_the_sellers_change_is_wrong_until_it_was_loaded_after_it() {
        let (id, began) = (id(), stopwatch());
        let news = News::new(began);
        assert_eq!(news.of_listing(id, 1, 0, began), Fitness::Current);
        news.listing(id, 2, began + MS);
        assert_eq!(news.of_listing(id, 1, 0, began), Fitness::Wrong);
        assert_eq!(news.of_listing(id, 1, 0, began + 2 * MS), Fitness::Old, "a member that is behind");
        assert_eq!(news.of_listing(id, 2, 0, began), Fitness::Current);
        news.listing(id, 2, began + 5 * MS);
        assert_eq!(news.of_listing(id, 1, 0, began + 2 * MS), Fitness::Old, "the same news again");
    }

    #[test]
    fn a_copy_without_the_newest_counts_is_old_however_late_it_was_loaded() {
        let (id, began) = (id(), stopwatch());
        let news = News::new(began);
        news.places(id, 5, began);
        news.places(id, 4, began);
        assert_eq!(news.of_listing(id, 1, 4, began + 900 * MS), Fitness::Old);
        assert_eq!(news.of_listing(id, 1, 5, began), Fitness::Current);
    }

    #[test]
    fn pages_of_the_list_are_renewed_until_what_was_heard_has_settled() {
        let began = stopwatch();
        let news = News::new(began);
        assert_eq!(news.of_list(began), Fitness::Current);
        news.places(id(), 1, began + MS);
        assert_eq!(news.of_list(began + 500 * MS), Fitness::Old);
        assert_eq!(news.of_list(began + 1100 * MS), Fitness::Current);
        news.changed_here(began + 2000 * MS);
        assert_eq!(news.of_list(began + 1999 * MS), Fitness::Wrong);
        assert_eq!(news.of_list(began + 2001 * MS), Fitness::Current);
    }

    #[test]
    fn old_news_is_forgotten() {
        let began = stopwatch();
        let news = News::new(began);
        for nth in 0..10_000 {
            news.places(TicketId::generate(Time::from_millis(nth.into())), 1, began + nth * 100 * MS);
        }
        assert!(news.known().listings.len() <= 700);
    }
}
