//! A refresh token is good once: requests of one browser that come together share one refresh.
//!
//! What auth answered is remembered for a moment; that it did not answer is not. A cookie that is given out again later has so
//! much less time to live, so that it never outlives the token in it.

use std::sync::Arc;
use std::time::Duration;

use actix_web::cookie::Cookie;
use common::clock::Time;
use moka::future::Cache;
use sha2::{Digest as _, Sha256};

use crate::failure::Failure;

/// How long a refresh is remembered, for requests that were sent with the old cookies.
const REMEMBERED: Duration = Duration::from_secs(10);
const AT_ONCE: u64 = 10_000;

/// What came of a refresh.
struct Refreshed {
    at: Time,
    /// The `Set-Cookie` lines of the answer.
    cookies: Vec<String>,
}

/// Refreshes of the last moments, by the hash of the token.
pub(crate) struct Refreshes(Cache<[u8; 32], Arc<Refreshed>>);

impl Refreshes {
    pub(crate) fn new() -> Self {
        Self(Cache::builder().max_capacity(AT_ONCE).time_to_live(REMEMBERED).build())
    }

    /// The cookies that `refresh` answers, asked once for all that have the same token.
    ///
    /// # Errors
    /// That of the one who asked.
    pub(crate) async fn once(
        &self,
        token: &str,
        now: Time,
        refresh: impl Future<Output = Result<Vec<String>, Failure>>,
    ) -> Result<Vec<String>, Arc<Failure>> {
        let asked = async { Ok::<_, Failure>(Arc::new(Refreshed { at: now, cookies: refresh.await? })) };
        let refreshed = self.0.try_get_with(Sha256::digest(token).into(), asked).await?;
        let age = now.since(refreshed.at);
        Ok(refreshed.cookies.iter().map(|cookie| aged(cookie, age)).collect())
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

    use super::*;

    const NOW: Time = Time::from_millis(1_795_000_000_000);

    #[tokio::test]
    async fn requests_that_come_together_refresh_once() {
        let (refreshes, asked) = (Refreshes::new(), AtomicU32::new(0));
        let refresh = || async {
            asked.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            Ok(vec!["a=1".to_owned()])
        };
        let (one, two) = tokio::join!(refreshes.once("t", NOW, refresh()), refreshes.once("t", NOW, refresh()));
        assert_eq!((one.unwrap().len(), two.unwrap().len(), asked.load(Ordering::Relaxed)), (1, 1, 1));
        refreshes.once("another", NOW, refresh()).await.unwrap();
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn a_failure_is_not_remembered() {
        let refreshes = Refreshes::new();
        let fails = async { Err(Failure::Broken("busy".to_owned())) };
        assert!(refreshes.once("t", NOW, fails).await.is_err());
        let works = async { Ok(vec!["a=1".to_owned()]) };
        assert_eq!(refreshes.once("t", NOW, works).await.unwrap(), ["a=1"]);
    }

    #[tokio::test]
    async fn a_cookie_that_is_given_out_later_lives_shorter() {
        let refreshes = Refreshes::new();
        let cookie = |seconds| format!("__Host-a=e30.e30; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age={seconds}");
        let refresh = || async { Ok(vec![cookie(600), "session=1".to_owned()]) };
        for (later, left) in [(0, 600), (1, 599), (9, 591), (900, 0)] {
            let given = refreshes.once("t", NOW + Duration::from_secs(later), refresh()).await.unwrap();
            assert_eq!(given, [cookie(left), "session=1".to_owned()], "{later} s later");
        }
    }
}
