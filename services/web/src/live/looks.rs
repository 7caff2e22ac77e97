//! Looks at the APIs, shared by all streams that show the same thing to people with the same rights.
//!
//! A look asks again and again for as long as a stream follows it: soon after something has changed, seldom while nothing does,
//! and ever more seldom while the API fails. It ends when the API says that the thing is not there or not to be seen, and its
//! streams with it. It never asks with a refresh token, since a stream could not give new tokens to the browser.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use common::supervisor::Spawner;
use futures::stream::{Stream, unfold};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::failure::Failure;

/// The longest pause while the API fails.
const WHILE_FAILING: Duration = Duration::from_secs(10);

/// What is looked at, and with which rights.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Subject {
    pub(crate) thing: String,
    /// The hash of the access token; none for what everybody may see.
    pub(crate) rights: Option<[u8; 32]>,
}

/// How often is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// The pause after a change.
    pub(crate) quick: Duration,
    /// The pause when nothing has changed for a while.
    pub(crate) slow: Duration,
}

/// All looks at one kind of thing.
pub(crate) struct Looks<T> {
    known: Mutex<HashMap<Subject, Weak<Look<T>>>>,
    spawner: Spawner,
}

/// A look that goes on for as long as this lives.
pub(crate) struct Look<T> {
    states: watch::Receiver<T>,
    _asking: AbortOnDropHandle<()>,
}

impl<T: Clone + PartialEq + Send + Sync + 'static> Looks<T> {
    pub(crate) fn new() -> Self {
        Self { known: Mutex::default(), spawner: Spawner::of("looks of open pages") }
    }

    /// The look at this that is there already.
    pub(crate) fn at(&self, subject: &Subject) -> Option<Arc<Look<T>>> {
        let looks = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        looks.get(subject).and_then(Weak::upgrade).filter(|look| look.goes_on())
    }

    /// The look at this; a new one begins with what was just `seen`, and goes on with `ask`.
    pub(crate) fn begin<F>(
        &self,
        subject: Subject,
        seen: T,
        pace: Pace,
        ask: impl Fn() -> F + Send + Sync + 'static,
    ) -> Arc<Look<T>>
    where
        F: Future<Output = Result<T, Failure>> + Send + 'static,
    {
        let mut looks = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = looks.get(&subject).and_then(Weak::upgrade).filter(|look| look.goes_on()) {
            return known;
        }
        looks.retain(|_, look| look.strong_count() > 0);
        let (sender, states) = watch::channel(seen);
        let asking = self.spawner.hold(keep_asking(sender, pace, ask));
        let look = Arc::new(Look { states, _asking: asking });
        looks.insert(subject, Arc::downgrade(&look));
        look
    }
}

impl<T: Clone> Look<T> {
    fn goes_on(&self) -> bool {
        self.states.has_changed().is_ok()
    }

    /// Each state, from the one at hand on.
    pub(crate) fn states(self: Arc<Self>) -> impl Stream<Item = T> {
        let mut receiver = self.states.clone();
        receiver.mark_changed();
        unfold((self, receiver), |(look, mut receiver)| async move {
            receiver.changed().await.ok()?;
            let state = receiver.borrow_and_update().clone();
            Some((state, (look, receiver)))
        })
    }
}

async fn keep_asking<T: PartialEq, F>(sender: watch::Sender<T>, pace: Pace, ask: impl Fn() -> F)
where
    F: Future<Output = Result<T, Failure>>,
{
    let mut pause = pace.quick;
    loop {
        tokio::time::sleep(pause).await;
        pause = match ask().await {
            Ok(seen) if *sender.borrow() == seen => longer(pause.min(pace.slow), pace.slow),
            Ok(seen) => {
                sender.send_replace(seen);
                pace.quick
            }
            Err(failure) if failure.is_final() => return,
            Err(_) => longer(longer(pause, WHILE_FAILING), WHILE_FAILING),
        };
    }
}

/// Half as long again, up to a bound.
fn longer(pause: Duration, most: Duration) -> Duration {
    (pause + pause / 2).min(most)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures::StreamExt as _;

    use super::*;

    const PACE: Pace = Pace { quick: Duration::from_secs(1), slow: Duration::from_secs(2) };

    fn subject(rights: u8) -> Subject {
        Subject { thing: "/a".to_owned(), rights: Some([rights; 32]) }
    }

    /// A look that answers with how often it was asked, or fails.
    fn counting(
        asked: &Arc<AtomicU32>,
        answer: fn(u32) -> Result<u32, Failure>,
    ) -> impl Fn() -> futures::future::Ready<Result<u32, Failure>> + use<> {
        let asked = asked.clone();
        move || futures::future::ready(answer(asked.fetch_add(1, Ordering::Relaxed) + 1))
    }

    #[tokio::test(start_paused = true)]
    async fn all_with_the_same_rights_share_a_look() {
        let (looks, asked) = (Looks::new(), Arc::new(AtomicU32::new(0)));
        let one = looks.begin(subject(1), 0, PACE, counting(&asked, Ok));
        let same = looks.begin(subject(1), 7, PACE, counting(&asked, Ok));
        assert!(looks.at(&subject(1)).is_some() && looks.at(&subject(2)).is_none());
        let (mut first, mut second) = (Box::pin(one.states()), Box::pin(same.states()));
        for expected in 0..5 {
            assert_eq!((first.next().await, second.next().await), (Some(expected), Some(expected)));
        }
        assert_eq!(asked.load(Ordering::Relaxed), 4);
        drop((first, second));
        assert!(looks.at(&subject(1)).is_none());
        tokio::time::sleep(PACE.slow * 5).await;
        assert_eq!(asked.load(Ordering::Relaxed), 4, "nobody looks, nobody asks");
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_change_or_fails_is_asked_for_less_often() {
        let looks = Looks::new();
        for (answer, expected) in
            [((|_| Ok(0)) as fn(u32) -> Result<u32, Failure>, 51), (|_| Err(Failure::Broken("away".to_owned())), 12)]
        {
            let asked = Arc::new(AtomicU32::new(0));
            let look = looks.begin(subject(1), 0, PACE, counting(&asked, answer));
            tokio::time::sleep(Duration::from_secs(101)).await;
            assert_eq!(asked.load(Ordering::Relaxed), expected);
            drop(look);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_ends_with_its_thing() {
        let (looks, asked) = (Looks::new(), Arc::new(AtomicU32::new(0)));
        let gone = |turn| if turn < 3 { Ok(turn) } else { Err(Failure::NotFound) };
        let look = looks.begin(subject(1), 0, PACE, counting(&asked, gone));
        let heard: Vec<u32> = look.clone().states().collect().await;
        assert_eq!(heard, [0, 1, 2]);
        assert!(looks.at(&subject(1)).is_none(), "whoever comes later looks for themselves");
        drop(look);
    }
}
