//! Waiting for something to become true, with a bound.

use std::time::Duration;

use tokio::time::{sleep, timeout};

const PAUSE: Duration = Duration::from_millis(10);

/// Asks again and again until there is an answer; `None` when `bound` has passed without one.
pub(crate) async fn until<T, F>(bound: Duration, mut ask: impl FnMut() -> F) -> Option<T>
where
    F: Future<Output = Option<T>>,
{
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            sleep(PAUSE).await;
        }
    };
    timeout(bound, asking).await.ok()
}
