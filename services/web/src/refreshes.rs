//! A refresh token is good once: requests of one browser that come together share one refresh.
//!
//! A refresh is a task of its own, which ends with an answer of auth's although the visitor hangs up. What auth answered is
//! remembered until the browser comes with it, and for a moment longer; that auth did not answer is not remembered. So whoever
//! hung up, or never got the answer, finds the session as they left it. A cookie that is given out again later has so much less
//! time to live, so that it never outlives the token in it.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix_web::cookie::Cookie;
use common::clock::Time;
use common::http::auth::REFRESH_COOKIE;
use common::supervisor::Spawner;
use moka::future::Cache;
use moka::policy::EvictionPolicy;
use sha2::{Digest as _, Sha256};
use tokio::sync::oneshot;

use crate::failure::Failure;

/// How long a refresh is remembered whose tokens the browser has, for requests that were sent with the old cookies.
const REMEMBERED: Duration = Duration::from_secs(10);
/// How long one is remembered with whose tokens nobody has come: as long as the access token in it lives.
const UNTAKEN: Duration = Duration::from_secs(10 * 60);
const AT_ONCE: u64 = 10_000;

/// What came of a refresh.
pub(crate) struct Refreshed {
    at: Time,
    /// The `Set-Cookie` lines of the answer.
    cookies: Vec<String>,
    /// When the browser came with them first.
    taken: OnceLock<Time>,
}

impl Refreshed {
    /// The cookies, as they are at `now`.
    pub(crate) fn cookies(&self, now: Time) -> Vec<String> {
        let age = now.since(self.at);
        self.cookies.iter().map(|cookie| aged(cookie, age)).collect()
    }

    /// The refresh token that it brought.
    fn token(&self) -> Option<String> {
        let set = self.cookies.iter().filter_map(|cookie| Cookie::parse_encoded(cookie.as_str()).ok());
        let mut tokens = set.filter(|cookie| cookie.name() == REFRESH_COOKIE && !cookie.value().is_empty());
        tokens.next().map(|cookie| cookie.value().to_owned())
    }

    fn is_over(&self, now: Time) -> bool {
        self.taken.get().is_some_and(|taken| now.since(*taken) >= REMEMBERED)
    }
}

type Hash = [u8; 32];

fn hash(token: &str) -> Hash {
    Sha256::digest(token).into()
}

/// Refreshes of the last moments.
pub(crate) struct Refreshes {
    /// By the token that was spent.
    known: Cache<Hash, Arc<Refreshed>>,
    /// By the token that was brought.
    brought: moka::sync::Cache<Hash, Arc<Refreshed>>,
    spawner: Spawner,
}

impl Refreshes {
    pub(crate) fn new() -> Self {
        // When there are too many, the default policy would keep the older ones.
        let known = Cache::builder().max_capacity(AT_ONCE).time_to_live(UNTAKEN).eviction_policy(EvictionPolicy::lru());
        let brought = moka::sync::Cache::builder().max_capacity(AT_ONCE).time_to_live(UNTAKEN);
        let brought = brought.eviction_policy(EvictionPolicy::lru()).build();
        Self { known: known.build(), brought, spawner: Spawner::of("refreshes of sessions") }
    }

    /// A browser comes with this refresh token at `now`: it has what a refresh brought.
    pub(crate) fn seen(&self, token: &str, now: Time) {
        if let Some(refreshed) = self.brought.get(&hash(token)) {
            refreshed.taken.get_or_init(|| now);
        }
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
        let key = hash(token);
        let (answer, answered) = oneshot::channel();
        let (known, brought) = (self.known.clone(), self.brought.clone());
        self.spawner.spawn(async move {
            if known.get(&key).await.is_some_and(|refreshed| refreshed.is_over(now)) {
                known.invalidate(&key).await;
            }
            let asked = async {
                let refreshed = Refreshed { at: now, cookies: refresh.await?, taken: OnceLock::new() };
                let (token, refreshed) = (refreshed.token(), Arc::new(refreshed));
                if let Some(token) = token {
                    brought.insert(hash(&token), refreshed.clone());
                }
                Ok::<_, Failure>(refreshed)
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
                Ok(vec![format!("a={nth}"), format!("{REFRESH_COOKIE}=brought{nth}; HttpOnly")])
            }
        }
    }

    async fn given(refreshes: &Refreshes, at: Time, auth: &Auth) -> Vec<String> {
        let mut cookies = refreshes.once("t", at, auth.refresh()).await.unwrap().cookies(at);
        cookies.truncate(1);
        cookies
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
        refreshes.seen("t", minutes(1));
        assert_eq!(given(&refreshes, minutes(5), &auth).await, ["a=1"], "nobody has come with it before");
        refreshes.seen("brought1", minutes(6));
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
