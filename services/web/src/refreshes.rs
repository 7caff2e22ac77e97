//! A refresh token is good once: requests of one browser that come together share one refresh.
//!
//! A refresh is a task of its own, which ends with an answer of auth's although the visitor hangs up. What auth answered is
//! remembered until an answer takes it to the browser, and for a moment longer; that auth did not answer is not remembered. So
//! whoever hung up finds the session as they left it. A cookie that is given out again later has so much less time to live, so
//! that it never outlives the token in it.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix_web::cookie::Cookie;
use common::clock::Time;
use common::supervisor::Spawner;
use moka::future::Cache;
use moka::policy::EvictionPolicy;
use sha2::{Digest as _, Sha256};
use tokio::sync::oneshot;

use crate::failure::Failure;

/// How long a refresh is remembered that an answer has taken to the browser, for requests that were sent with the old cookies.
const REMEMBERED: Duration = Duration::from_secs(10);
/// How long one is remembered that no answer has taken: as long as the access token in it lives.
const UNTAKEN: Duration = Duration::from_secs(10 * 60);
const AT_ONCE: u64 = 10_000;

/// What came of a refresh.
pub(crate) struct Refreshed {
    at: Time,
    /// The `Set-Cookie` lines of the answer.
    cookies: Vec<String>,
    /// When an answer took them to the browser first.
    taken: OnceLock<Time>,
}

impl Refreshed {
    /// The cookies, as they are at `now`.
    pub(crate) fn cookies(&self, now: Time) -> Vec<String> {
        let age = now.since(self.at);
        self.cookies.iter().map(|cookie| aged(cookie, age)).collect()
    }

    /// An answer takes the cookies to the browser at `now`.
    pub(crate) fn take(&self, now: Time) {
        self.taken.get_or_init(|| now);
    }

    fn is_over(&self, now: Time) -> bool {
        self.taken.get().is_some_and(|taken| now.since(*taken) >= REMEMBERED)
    }
}

type Known = Cache<[u8; 32], Arc<Refreshed>>;

/// Refreshes of the last moments, by the hash of the token.
pub(crate) struct Refreshes {
    known: Known,
    spawner: Spawner,
}

impl Refreshes {
    pub(crate) fn new() -> Self {
        let known = Cache::builder().max_capacity(AT_ONCE).time_to_live(UNTAKEN);
        // When there are too many, the default policy would keep the older ones.
        let known = known.eviction_policy(EvictionPolicy::lru()).build();
        Self { known, spawner: Spawner::of("refreshes of sessions") }
    }

    /// What `refresh` answers, asked once for all that have the same token.
    ///
    /// # Errors
    /// That of the one who asked.
    pub(crate) async fn once(
        &self,
        token: &str,
        now: Time,
        refresh: impl Future<Output = Result<Vec<String>, Failure>> + Send + 'static,
    ) -> Result<Arc<Refreshed>, Arc<Failure>> {
        let key: [u8; 32] = Sha256::digest(token).into();
        let (answer, answered) = oneshot::channel();
        let known = self.known.clone();
        self.spawner.spawn(async move {
            if known.get(&key).await.is_some_and(|refreshed| refreshed.is_over(now)) {
                known.invalidate(&key).await;
            }
            let asked = async {
                Ok::<_, Failure>(Arc::new(Refreshed { at: now, cookies: refresh.await?, taken: OnceLock::new() }))
            };
            // Who has hung up needs no answer; it is remembered.
            let _ = answer.send(known.try_get_with(key, asked).await);
        });
        answered.await.map_err(|_| Arc::new(Failure::Broken("a refresh broke off".to_owned())))?
    }
}

/// The cookie as it is when so much of its time has gone by.
fn aged(set: &str, age: Duration) -> String {
    let parsed = Cookie::parse(set).ok().and_then(|cookie| Some((cookie.max_age()?, cookie)));
    let Some((max_age, mut cookie)) = parsed.filter(|_| age.as_secs() > 0) else { return set.to_owned() };
    let gone = i64::try_from(age.as_secs()).unwrap_or(i64::MAX);
    let left = max_age.whole_seconds().saturating_sub(gone).max(0);
    cookie.set_max_age(actix_web::cookie::time::Duration::seconds(left));
    cookie.to_string()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::Semaphore;

    use super::*;

    const NOW: Time = Time::from_millis(1_795_000_000_000);

    /// A refresh that answers with the number of times that auth was asked, once it may.
    #[derive(Clone)]
    struct Auth {
        asked: Arc<AtomicU32>,
        gate: Arc<Semaphore>,
    }

    impl Auth {
        fn new(permits: usize) -> Self {
            Self { asked: Arc::default(), gate: Arc::new(Semaphore::new(permits)) }
        }

        fn refresh(&self) -> impl Future<Output = Result<Vec<String>, Failure>> + Send + use<> {
            let Self { asked, gate } = self.clone();
            async move {
                let nth = asked.fetch_add(1, Ordering::SeqCst) + 1;
                gate.acquire().await.unwrap().forget();
                Ok(vec![format!("a={nth}")])
            }
        }
    }

    async fn given(refreshes: &Refreshes, at: Time, auth: &Auth) -> Vec<String> {
        refreshes.once("t", at, auth.refresh()).await.unwrap().cookies(at)
    }

    #[tokio::test]
    async fn requests_that_come_together_refresh_once() {
        let (refreshes, auth) = (Refreshes::new(), Auth::new(9));
        let (one, two) = tokio::join!(given(&refreshes, NOW, &auth), given(&refreshes, NOW, &auth));
        assert_eq!((one, two), (vec!["a=1".to_owned()], vec!["a=1".to_owned()]));
        refreshes.once("another", NOW, auth.refresh()).await.unwrap();
        assert_eq!(auth.asked.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_refresh_goes_on_when_its_visitor_hangs_up_and_waits_for_the_next_visit() {
        let (refreshes, auth) = (Refreshes::new(), Auth::new(0));
        let mut visit = Box::pin(refreshes.once("t", NOW, auth.refresh()));
        while auth.asked.load(Ordering::SeqCst) == 0 {
            assert!(futures::poll!(&mut visit).is_pending());
            tokio::task::yield_now().await;
        }
        drop(visit);
        auth.gate.add_permits(9);
        let minutes = |count: u64| NOW + Duration::from_secs(60 * count);
        assert_eq!(given(&refreshes, minutes(5), &auth).await, ["a=1"], "nobody has got it before");
        let taken = refreshes.once("t", minutes(6), auth.refresh()).await.unwrap();
        taken.take(minutes(6));
        let later = |seconds| minutes(6) + Duration::from_secs(seconds);
        assert_eq!(given(&refreshes, later(9), &auth).await, ["a=1"], "another tab of the browser");
        assert_eq!(given(&refreshes, later(10), &auth).await, ["a=2"], "auth judges who comes with a used token");
    }

    #[tokio::test]
    async fn a_failure_is_not_remembered() {
        let (refreshes, auth) = (Refreshes::new(), Auth::new(9));
        let fails = async { Err(Failure::Broken("busy".to_owned())) };
        assert!(refreshes.once("t", NOW, fails).await.is_err());
        assert_eq!(given(&refreshes, NOW, &auth).await, ["a=1"]);
    }

    #[tokio::test]
    async fn a_cookie_that_is_given_out_later_lives_shorter() {
        let refreshes = Refreshes::new();
        let cookie = |seconds| format!("__Host-a=e30.e30; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age={seconds}");
        let refresh = || {
            let fresh = cookie(600);
            async { Ok(vec![fresh, "session=1".to_owned()]) }
        };
        for (later, left) in [(0, 600), (1, 599), (9, 591), (900, 0)] {
            let now = NOW + Duration::from_secs(later);
            let given = refreshes.once("t", now, refresh()).await.unwrap().cookies(now);
            assert_eq!(given, [cookie(left), "session=1".to_owned()], "{later} s later");
        }
    }
}
