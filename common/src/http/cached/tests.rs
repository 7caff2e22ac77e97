use std::sync::atomic::AtomicU32;

use futures::future::join_all;
use tokio::sync::Notify;

use super::*;

const PACE: Pace = Pace { least: Duration::ZERO, renew: Duration::from_secs(3600), most: Duration::from_secs(3600) };

impl Weighed for u32 {
    fn weight(&self) -> u32 {
        4
    }
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("{0}")]
struct Failed(&'static str);

impl From<Overloaded> for Failed {
    fn from(_: Overloaded) -> Self {
        Self("overloaded")
    }
}

/// Something that can be loaded, and counts how often it was.
#[derive(Clone, Default)]
struct Source {
    loads: Arc<AtomicU32>,
    go: Arc<Notify>,
    holds: Arc<AtomicBool>,
}

impl Source {
    fn load(&self) -> impl Fn() -> futures::future::BoxFuture<'static, Result<u32, Failed>> + Send + Sync + 'static {
        let source = self.clone();
        move || {
            let source = source.clone();
            Box::pin(async move {
                let nth = source.loads.fetch_add(1, Ordering::SeqCst) + 1;
                if source.holds.load(Ordering::SeqCst) {
                    source.go.notified().await;
                }
                Ok(nth)
            })
        }
    }
}

async fn get(cache: &ReadCache<u8, u32>, source: &Source, fitness: Fitness) -> u32 {
    // Only the first load can be wrong: the change came after it.
    let judge = |kept: &Kept<u32>| if kept.value == 1 { fitness } else { Fitness::Current };
    cache.get(1, judge, source.load()).await.unwrap().value
}

#[tokio::test]
async fn many_who_ask_at_once_share_one_loading() {
    let (cache, source) = (ReadCache::new(1000, PACE, Gate::new(8)), Source::default());
    source.holds.store(true, Ordering::SeqCst);
    let asking = join_all((0..50).map(|_| get(&cache, &source, Fitness::Current)));
    let (values, ()) = tokio::join!(asking, async { source.go.notify_one() });
    assert_eq!((values, source.loads.load(Ordering::SeqCst)), (vec![1; 50], 1));
}

#[tokio::test]
async fn a_wrong_copy_is_not_shown_and_an_old_one_is_until_it_is_renewed() {
    let (cache, source) = (ReadCache::new(1000, PACE, Gate::new(8)), Source::default());
    assert_eq!(get(&cache, &source, Fitness::Current).await, 1);
    assert_eq!(get(&cache, &source, Fitness::Old).await, 1);
    while get(&cache, &source, Fitness::Current).await == 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(source.loads.load(Ordering::SeqCst), 2);

    let (cache, source) = (ReadCache::new(1000, PACE, Gate::new(8)), Source::default());
    assert_eq!(get(&cache, &source, Fitness::Current).await, 1);
    assert_eq!(get(&cache, &source, Fitness::Wrong).await, 2);
}

#[tokio::test]
async fn a_loading_that_was_begun_before_a_change_does_not_answer_for_it() {
    let (cache, source) = (ReadCache::new(1000, PACE, Gate::new(8)), Source::default());
    source.holds.store(true, Ordering::SeqCst);
    let before = get(&cache, &source, Fitness::Current);
    let after = async {
        while source.loads.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        source.holds.store(false, Ordering::SeqCst);
        source.go.notify_one();
        get(&cache, &source, Fitness::Wrong).await
    };
    assert_eq!(tokio::join!(before, after), (1, 2));
}

#[tokio::test]
async fn a_copy_is_not_renewed_sooner_than_its_pace_allows() {
    let pace = Pace { least: Duration::from_secs(3600), ..PACE };
    let (cache, source) = (ReadCache::new(1000, pace, Gate::new(8)), Source::default());
    for _ in 0..20 {
        assert_eq!(get(&cache, &source, Fitness::Old).await, 1);
        tokio::task::yield_now().await;
    }
    assert_eq!(source.loads.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_failure_is_told_to_all_and_not_kept() {
    let cache = ReadCache::<u8, u32>::new(1000, PACE, Gate::new(8));
    let fails = || async { Err::<u32, _>(Failed("away")) };
    let judge = |_: &Kept<u32>| Fitness::Current;
    assert_eq!(*cache.get(1, judge, fails).await.unwrap_err(), Failed("away"));
    assert_eq!(get(&cache, &Source::default(), Fitness::Current).await, 1);
}

#[tokio::test]
async fn copies_are_shown_while_nothing_can_be_loaded() {
    let gate = Gate::new(1);
    let (cache, source) = (ReadCache::new(1000, PACE, gate.clone()), Source::default());
    assert_eq!(get(&cache, &source, Fitness::Current).await, 1);
    let _busy = gate.enter().unwrap();
    assert_eq!(get(&cache, &source, Fitness::Old).await, 1);
    let refused = cache.get(2, |_| Fitness::Current, source.load()).await.unwrap_err();
    assert_eq!(*refused, Failed("overloaded"));
}
