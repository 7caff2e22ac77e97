//! What is let in: a bounded number of requests at once, of which one client has only a share, and a bounded rate of what one
//! person makes.
//!
//! A request beyond that is refused before its token is looked at, at the door even before its body is read
//! ([`shed`](super::shed)), which costs next to nothing; so the work that was let in is done as fast as without the crowd, and
//! nothing waits until its client has given up.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{Method, StatusCode};
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};
use metrics::Counter;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

use super::policy::reads;
use super::problem::{PROBLEM_JSON, Problem};
use super::shares::Shares;
use super::turn::{WAITS, WAITS_EACH};
use crate::id::UserId;
use crate::settings::Settings;

const RETRY_AFTER: Duration = Duration::from_secs(1);
const RETRY_AFTER_TEXT: HeaderValue = HeaderValue::from_static("1");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const PROBLEM: HeaderValue = HeaderValue::from_static(PROBLEM_JSON);

/// A problem document before and after the request's id.
type Document = [String; 2];

/// What a request is told that finds no place: that much is going on, or that those in work wait for a silent database.
static OVERLOADED: LazyLock<Document> = LazyLock::new(|| around_id(&Overloaded.into()));
static SILENT: LazyLock<Document> = LazyLock::new(|| around_id(&Problem::database_silent(RETRY_AFTER)));

fn around_id(problem: &Problem) -> Document {
    let id = Uuid::nil().to_string();
    let document = String::from_utf8(problem.document(Some(&id))).expect("JSON is UTF-8");
    let (before, after) = document.split_once(&id).expect("the document of a 503 has the request's id");
    [before.to_owned(), after.to_owned()]
}

/// One client has at most this part of the places, and always the least.
const SHARE: usize = 4;
const LEAST_SHARE: usize = 8;

/// After so many requests the people who have not sent any for a while are forgotten.
const FORGET_EVERY: u32 = 4096;

/// A process is as busy as it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("as many requests as this process may take are being worked on")]
pub struct Overloaded;

impl From<Overloaded> for Problem {
    fn from(_: Overloaded) -> Self {
        let detail = "Too much is going on right now. Try again in a moment.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", detail).retry_after(RETRY_AFTER)
    }
}

/// Work that was let in, until it is dropped.
#[derive(Debug)]
pub struct Place(#[expect(dead_code, reason = "it counts as long as it lives")] OwnedSemaphorePermit);

/// The work of one kind that a process takes on at once.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Semaphore>);

impl Gate {
    /// A gate that lets in `most` at once.
    pub fn new(most: usize) -> Self {
        Self(Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))))
    }

    /// Lets in, or refuses at once: nobody waits before a gate.
    ///
    /// # Errors
    /// [`Overloaded`].
    pub fn enter(&self) -> Result<Place, Overloaded> {
        self.0.clone().try_acquire_owned().map(Place).map_err(|_| Overloaded)
    }

    /// Whether nobody would be let in at this moment.
    pub(super) fn is_full(&self) -> bool {
        self.0.available_permits() == 0
    }
}

/// Who is let in. One for all services of a process.
#[derive(Clone, Debug)]
pub struct Admission {
    /// Work that only reads, which those who write do not keep out.
    pub reads: Gate,
    /// Work that writes.
    pub writes: Gate,
    pub(super) read_shares: Shares,
    pub(super) write_shares: Shares,
    /// Requests that wait for an event, and hold no place meanwhile.
    pub(super) waits: Gate,
    pub(super) waits_each: Shares,
    makers: Option<Arc<Makers>>,
    /// Whether the database is known not to answer.
    silent: Arc<AtomicBool>,
    refused: Counter,
    refused_share: Counter,
    pub(super) refused_wait: Counter,
}

impl Admission {
    /// As the settings say.
    pub fn new(settings: &Settings) -> Self {
        let most = usize::from(settings.max_in_flight);
        let makers = NonZeroU32::new(settings.posts_per_second.into()).map(|rate| Arc::new(Makers::new(rate)));
        let share = (most / SHARE).max(LEAST_SHARE);
        Self {
            reads: Gate::new(most),
            writes: Gate::new(most),
            read_shares: Shares::of(share),
            write_shares: Shares::of(share),
            waits: Gate::new(WAITS),
            waits_each: Shares::of(WAITS_EACH),
            makers,
            silent: Arc::default(),
            refused: refused_for("overload"),
            refused_share: refused_for("share"),
            refused_wait: refused_for("waiting"),
        }
    }

    /// The gate for requests of a method.
    pub(super) fn gate(&self, method: &Method) -> &Gate {
        if reads(method) { &self.reads } else { &self.writes }
    }

    /// Notes whether the database answers.
    pub(crate) fn note_database(&self, answers: bool) {
        self.silent.store(!answers, Ordering::Relaxed);
    }

    /// The answer to the request `id` that found no place. It is counted.
    ///
    /// It is put together from what is the same in all of them: there may be a great many.
    pub(super) fn refuse(&self, id: &str) -> HttpResponse {
        self.refused.increment(1);
        let [before, after] = if self.silent.load(Ordering::Relaxed) { &*SILENT } else { &*OVERLOADED };
        HttpResponse::ServiceUnavailable()
            .insert_header((header::RETRY_AFTER, RETRY_AFTER_TEXT))
            .insert_header((header::CACHE_CONTROL, NO_STORE))
            .insert_header((header::CONTENT_TYPE, PROBLEM))
            .body([before.as_str(), id, after.as_str()].concat())
    }

    /// The answer to a client that has its share of the places. It is counted.
    pub(super) fn refuse_share(&self) -> Problem {
        self.refused_share.increment(1);
        Problem::too_many_requests(RETRY_AFTER)
    }

    /// Counts one more thing that `user` makes.
    ///
    /// # Errors
    /// 429 if it was one too many.
    pub(super) fn make(&self, user: UserId) -> Result<(), Problem> {
        self.makers.as_ref().map_or(Ok(()), |makers| makers.count(user))
    }
}

/// How fast each person may make things: a steady rate, and twice as many at once after a rest.
#[derive(Debug)]
struct Makers {
    limiter: DefaultKeyedRateLimiter<UserId>,
    clock: DefaultClock,
    counted: AtomicU32,
    refused: Counter,
}

impl Makers {
    fn new(rate: NonZeroU32) -> Self {
        let quota = Quota::per_second(rate).allow_burst(rate.saturating_add(rate.get()));
        Self {
            limiter: DefaultKeyedRateLimiter::keyed(quota),
            clock: DefaultClock::default(),
            counted: AtomicU32::new(0),
            refused: refused_for("rate"),
        }
    }

    fn count(&self, user: UserId) -> Result<(), Problem> {
        if self.counted.fetch_add(1, Ordering::Relaxed) % FORGET_EVERY == FORGET_EVERY - 1 {
            self.limiter.retain_recent();
        }
        self.limiter.check_key(&user).map_err(|until| {
            self.refused.increment(1);
            Problem::too_many_requests(until.wait_time_from(self.clock.now()))
        })
    }
}

/// Counts requests that were refused for a reason.
pub(super) fn refused_for(reason: &'static str) -> Counter {
    metrics::counter!("http_requests_refused_total", "reason" => reason)
}

#[cfg(test)]
mod tests {
    use actix_web::body::to_bytes;

    use super::*;
    use crate::clock::Time;

    #[test]
    fn a_gate_lets_in_as_many_as_it_has_places() {
        let gate = Gate::new(2);
        let (first, _second) = (gate.enter().unwrap(), gate.enter().unwrap());
        assert_eq!(gate.enter().unwrap_err(), Overloaded);
        drop(first);
        assert!(gate.enter().is_ok());
    }

    #[actix_web::test]
    async fn a_refusal_is_the_problem_that_it_stands_for() {
        let id = Uuid::from_u128(7).to_string();
        let refusals =
            [Admission::new(&Settings::default_for_tests()).refuse(&id), Problem::from(Overloaded).response(Some(&id))];
        let [quick, full] = refusals.map(|response| {
            let mut headers: Vec<_> =
                response.headers().iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
            headers.sort();
            (response.status(), headers, response.into_body())
        });
        assert_eq!((quick.0, quick.1), (full.0, full.1));
        assert_eq!(to_bytes(quick.2).await.unwrap(), to_bytes(full.2).await.unwrap());
    }

    #[test]
    fn one_who_makes_too_much_does_not_stand_in_the_way_of_others() {
        let settings = Settings { posts_per_second: 1, ..Settings::default_for_tests() };
        let admission = Admission::new(&settings);
        let (one, other) = (UserId::generate(Time::from_millis(1)), UserId::generate(Time::from_millis(2)));
        let refused = (0..7).find_map(|_| admission.make(one).err()).unwrap();
        assert_eq!((refused.status().as_u16(), refused.code()), (429, "too_many_requests"));
        assert!(admission.make(other).is_ok());
    }

    #[test]
    fn those_who_write_do_not_keep_out_those_who_read() {
        let admission = Admission::new(&Settings { max_in_flight: 1, ..Settings::default_for_tests() });
        let _writing = admission.gate(&Method::POST).enter().unwrap();
        assert!(admission.gate(&Method::DELETE).enter().is_err());
        assert!(admission.gate(&Method::HEAD).enter().is_ok());
    }
}
