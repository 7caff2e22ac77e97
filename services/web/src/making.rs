//! Making things once.
//!
//! A form carries a key, and whatever it makes is made under that key once. While the API has not said what came of it (it is
//! busy, or with this very request, or its answer was lost), it is asked again with the same key, a few times within the visit's
//! time. If there is no answer even then, the page comes back with the key it had (or `send_again` does, where the page cannot be
//! had): who sends it again asks for the same thing.
//! A new key is for a new thing, after the API has refused this one.

use std::time::Duration;

use common::id::uuid_at;
use common::limits::PAGE_CALLS_WITHIN;
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::failure::{ApiProblem, Failure};
use crate::visit::{Visit, decoded};

/// What goes by before each further try.
const PAUSES: [Duration; 3] = [Duration::from_millis(300), Duration::from_millis(700), Duration::from_millis(1500)];
/// What of a visit's time is left for showing the page if nothing was answered.
const FOR_THE_PAGE: Duration = Duration::from_secs(3);
const _: () = assert!(FOR_THE_PAGE.as_millis() < PAGE_CALLS_WITHIN.as_millis());
const LONGEST: usize = 255;

/// A name for something that a form is about to make.
pub(crate) fn new_key(visit: &Visit) -> String {
    uuid_at(visit.web().clock.now()).to_string()
}

/// The key that a form brought; a form without one gets one.
pub(crate) fn key_of(visit: &Visit, sent: String) -> String {
    if sent.is_empty() { new_key(visit) } else { sent }
}

/// Why something was not made, as the page tells it, and the key that the page goes on with.
pub(crate) struct NotMade {
    pub(crate) problem: ApiProblem,
    pub(crate) key: String,
}

impl Visit {
    /// Makes something under its key.
    ///
    /// # Errors
    /// What the API refuses, or the last failure to get an answer.
    pub(crate) async fn make<T: DeserializeOwned>(
        &self,
        path: &str,
        key: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        if key.len() > LONGEST || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ApiProblem::damaged("key").into());
        }
        let mut pauses = PAUSES.into_iter();
        loop {
            let key = [("idempotency-key", key)];
            let asked = self.call_sparing(FOR_THE_PAGE, Method::POST, path, &key, Some(body)).await;
            let failure = match asked {
                Ok(answer) => return decoded(&answer),
                Err(failure) if !failure.leaves_open() => return Err(failure),
                Err(failure) => failure,
            };
            match pauses.next() {
                Some(pause) if self.time_left() > FOR_THE_PAGE + pause => tokio::time::sleep(pause).await,
                _ => return Err(failure),
            }
        }
    }

    /// What the page says after [`Visit::make`] has failed.
    ///
    /// # Errors
    /// What no page with a form can tell.
    pub(crate) fn not_made(&self, failure: Failure, key: String) -> Result<NotMade, Failure> {
        if failure.leaves_open() {
            tracing::warn!(%failure, "what a form makes has no answer yet");
            let detail = "There is no answer yet. Please press the button again: nothing is done twice.";
            return Ok(NotMade { problem: ApiProblem::of_pages(503, "unanswered", detail.to_owned()), key });
        }
        let problem = failure.problem()?;
        // Who was told to wait may have been answered otherwise by an earlier try, which still goes on.
        let key = if problem.status == 429 { key } else { new_key(self) };
        Ok(NotMade { problem, key })
    }
}
