//! A refresh token is good once: requests of one browser that come together share one refresh.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use sha2::{Digest as _, Sha256};

use crate::failure::Failure;

/// How long a refresh is remembered, for requests that were sent with the old cookies.
const REMEMBERED: Duration = Duration::from_secs(10);
const AT_ONCE: u64 = 10_000;

/// The `Set-Cookie` lines of an answer.
pub(crate) type Cookies = Arc<Vec<String>>;

/// Refreshes of the last moments, by the hash of the token.
pub(crate) struct Refreshes(Cache<[u8; 32], Cookies>);

impl Refreshes {
    pub(crate) fn new() -> Self {
        Self(Cache::builder().max_capacity(AT_ONCE).time_to_live(REMEMBERED).build())
    }

    /// What `refresh` answers, asked once for all that have the same token.
    ///
    /// # Errors
    /// That of the one who asked.
    pub(crate) async fn once(
        &self,
        token: &str,
        refresh: impl Future<Output = Result<Cookies, Failure>>,
    ) -> Result<Cookies, Arc<Failure>> {
        self.0.try_get_with(Sha256::digest(token).into(), refresh).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn requests_that_come_together_refresh_once() {
        let (refreshes, asked) = (Refreshes::new(), AtomicU32::new(0));
        let refresh = || async {
            asked.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            Ok(Arc::new(vec!["a=1".to_owned()]))
        };
        let (one, two) = tokio::join!(refreshes.once("t", refresh()), refreshes.once("t", refresh()));
        assert_eq!((one.unwrap().len(), two.unwrap().len(), asked.load(Ordering::Relaxed)), (1, 1, 1));
        refreshes.once("another", refresh()).await.unwrap();
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }
}
