//! Waiting for a state, with a bound.

use std::time::Duration;

const POLL: Duration = Duration::from_millis(25);

/// Asks again and again until `probe` answers something, for `seconds` at the most.
///
/// # Panics
/// If it never does: the test has failed. `what` says what was waited for.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, seconds: u64, mut probe: impl FnMut() -> F) -> T {
    let waiting = async {
        loop {
            if let Some(found) = probe().await {
                return found;
            }
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(seconds), waiting)
        .await
        .unwrap_or_else(|_| panic!("not within {seconds} s: {what}"))
}

/// The same for a probe that says why there is no answer yet; the last reason stands in the panic's message.
///
/// # Panics
/// If there never is one.
pub async fn until<T, F>(what: &str, seconds: u64, mut probe: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, String>>,
{
    let mut reason = String::new();
    let waiting = async {
        loop {
            match probe().await {
                Ok(found) => return found,
                Err(why) => reason = why,
            }
            tokio::time::sleep(POLL).await;
        }
    };
    match tokio::time::timeout(Duration::from_secs(seconds), waiting).await {
        Ok(found) => found,
        Err(_) => panic!("not within {seconds} s: {what}; {reason}"),
    }
}

/// Lets time go by where the time itself is what is tested, such as an outage of a given length.
pub async fn pause(length: Duration) {
    tokio::time::sleep(length).await;
}
