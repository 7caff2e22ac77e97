//! `Idempotency-Key`: a request that is sent again gets the first answer, and is not done again.
//!
//! A record per key holds who works on it (a lease), the id of what is made ([`Creation`]), and the answer. Lease, work and
//! answer are the business of one task, which goes on when the client hangs up and for which a stop waits. The task ends after
//! [`WORK`], before its lease does, so no attempt overlaps with the next. An answer that says "not done" or "not now" gives
//! the lease back and keeps the id, so the next attempt finds what was made; so does one that may not be kept
//! ([`MadeAgain`]), is too large, or could not be. Only input that was refused before any attempt began leaves no record.

use std::time::Duration;

use actix_web::body::{BoxBody, to_bytes};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::{StatusCode, header};
use actix_web::middleware::Next;
use actix_web::{Error, FromRequest, HttpMessage as _, HttpRequest, HttpResponse};
use bytes::Bytes;
use futures::future::{Ready, ready};
use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, timeout_at};
use tracing::Instrument as _;
use uuid::Uuid;

use super::auth::Principal;
use super::body::{announced_length, read_all};
use super::finish::too_late;
use super::openapi::schema::text_like;
use super::openapi::{About, Documented};
use super::problem::Problem;
use super::reading;
use super::turn::{self, Turn};
use super::under_way::UnderWay;
use crate::limits::ANSWER_WITHIN;
use crate::telemetry::stopwatch;

mod store;

pub use store::IdempotencyStore;
#[cfg(test)]
pub(crate) use store::Record as StoredRecord;
use store::{Answer, Begun};

const HEADER: &str = "Idempotency-Key";
pub(super) const REPLAYED: &str = "Idempotent-Replayed";
/// So long one attempt may go on, whether its client is still there or not; less than its lease by more than clocks differ.
const WORK: Duration = Duration::from_secs(30);
const _: () = assert!(ANSWER_WITHIN.as_millis() < WORK.as_millis() && WORK.as_millis() < store::LEASE.as_millis());
/// A longer answer is not kept but made again, in bytes.
const LONGEST_KEPT: usize = 256 * 1024;
/// What a repeated answer shows again; never a cookie.
const KEPT_HEADERS: [header::HeaderName; 4] =
    [header::CONTENT_TYPE, header::ETAG, header::LOCATION, header::CACHE_CONTROL];

/// The client's name for this request: 1 to 255 visible ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(pub Option<String>);

impl IdempotencyKey {
    fn read(request: &HttpRequest) -> Result<Self, Problem> {
        let Some(value) = request.headers().get(HEADER) else { return Ok(Self(None)) };
        let bytes = value.as_bytes();
        let right = (1..=255).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic);
        let key = value.to_str().ok().filter(|_| right);
        let wrong = || Problem::invalid(HEADER, "must be 1 to 255 visible ASCII characters");
        key.map(|key| Self(Some(key.to_owned()))).ok_or_else(wrong)
    }
}

impl FromRequest for IdempotencyKey {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::read(request))
    }
}

impl Documented for IdempotencyKey {
    fn tell(about: &mut About<'_>) {
        let says = "The client's name for this request: sent again with it, it is answered the same and not done again";
        about.takes(HEADER, text_like("^[!-~]{1,255}$"), says);
        about.answer(StatusCode::BAD_REQUEST, "`Idempotency-Key` is not 1 to 255 visible ASCII characters");
        let says = "`request_in_progress`: the first request with this Idempotency-Key is still being worked on";
        about.also(StatusCode::CONFLICT, says);
        let says = "`idempotency_key_reused`: this Idempotency-Key was used for another request";
        about.also(StatusCode::UNPROCESSABLE_ENTITY, says);
    }
}

/// What a request on an idempotent route makes: its id, which every repetition of the request gets too.
///
/// So work that was done but not answered is found by its id, and not done again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Creation {
    id: Uuid,
    repeated: bool,
}

impl Creation {
    /// The id of what is made. It tells when the first request with the key came.
    pub fn id<I: From<Uuid>>(&self) -> I {
        self.id.into()
    }

    /// Whether an earlier request with the same key may have made it already.
    pub fn is_repeated(&self) -> bool {
        self.repeated
    }
}

impl FromRequest for Creation {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let creation = request.extensions().get::<Self>().copied();
        ready(creation.ok_or_else(|| Problem::internal("a route that makes something is not declared idempotent")))
    }
}

impl Documented for Creation {}

/// Says of an answer that no record may keep it, as it has a secret in it, or may be true no more when it is repeated. A repetition
/// comes to the handler again, which finds what was made by its [`Creation`]. Goes into the extensions of the response.
#[derive(Clone, Copy, Debug)]
pub(super) struct MadeAgain;

/// Lets the request through unless its key was seen before.
pub(super) async fn once(
    store: &IdempotencyStore,
    route: &str,
    turn: Option<Turn>,
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse, Error> {
    let key = match IdempotencyKey::read(request.request()) {
        Ok(IdempotencyKey(Some(key))) => key,
        Ok(IdempotencyKey(None)) => {
            request.extensions_mut().insert(Creation { id: store.new_id(), repeated: false });
            return turn::during(turn, next.call(request)).await;
        }
        Err(problem) => return Ok(request.error_response(problem)),
    };
    let body = match buffered(&mut request).await {
        Ok(body) => body,
        Err(problem) => return Ok(request.error_response(problem)),
    };
    let scope = scope_of(&request);
    let id = format!("{scope}:{route}:{key}");
    let attempt = Attempt { store: store.clone(), fingerprint: fingerprint(&request, &scope, &body), id };
    let going_on = request.app_data::<UnderWay>().map(UnderWay::one);
    let work = async move {
        let _going_on = going_on;
        turn::during(turn, attempt.run(request, next)).await
    };
    // In a task of its own: a client that hangs up must find the answer, not a lease, when it comes again.
    let done = actix_web::rt::spawn(work.in_current_span()).await;
    done.unwrap_or_else(|error| Err(Problem::internal(error).into()))
}

fn in_progress() -> Problem {
    Problem::conflict("request_in_progress", "The first request with this Idempotency-Key is still being worked on.")
        .retry_after(Duration::from_secs(1))
}

fn reused() -> Problem {
    Problem::unprocessable("idempotency_key_reused", "This Idempotency-Key was used for another request.")
}

fn unavailable(error: crate::store::StoreError) -> Problem {
    Problem::unavailable(Duration::from_secs(1)).caused_by(error)
}

async fn buffered(request: &mut ServiceRequest) -> Result<Bytes, Problem> {
    let announced = announced_length(request.request());
    let body = read_all(request.take_payload(), announced, reading::LIMIT).await?;
    request.set_payload(Payload::from(body.clone()));
    Ok(body)
}

fn scope_of(request: &ServiceRequest) -> String {
    request
        .extensions()
        .get::<Principal>()
        .map_or_else(|| "anonymous".to_owned(), |principal| principal.user.to_string())
}

fn fingerprint(request: &ServiceRequest, scope: &str, body: &Bytes) -> String {
    let mut hash = Sha256::new();
    for part in [request.method().as_str(), &request.uri().to_string(), scope] {
        hash.update(part);
        hash.update([0]);
    }
    hash.update(body);
    hex::encode(hash.finalize())
}

/// One request with a key.
struct Attempt {
    store: IdempotencyStore,
    id: String,
    fingerprint: String,
}

impl Attempt {
    async fn run(self, request: ServiceRequest, next: Next<BoxBody>) -> Result<ServiceResponse, Error> {
        let until = stopwatch() + WORK;
        match self.store.begin(&self.id, &self.fingerprint).await {
            Ok(Begun::Mine(lease)) => {
                request.extensions_mut().insert(Creation { id: lease.makes(), repeated: lease.is_repeated() });
                self.work(lease, until, request, next).await
            }
            Ok(Begun::Answered(answer)) => Ok(request.into_response(replay(answer))),
            Ok(Begun::Running) => Ok(request.error_response(in_progress())),
            Ok(Begun::Different) => Ok(request.error_response(reused())),
            Err(error) => Ok(request.error_response(unavailable(error))),
        }
    }

    async fn work(
        self,
        lease: store::Lease,
        until: Instant,
        request: ServiceRequest,
        next: Next<BoxBody>,
    ) -> Result<ServiceResponse, Error> {
        let asked = request.request().clone();
        let Ok(answered) = timeout_at(until, answered(request, next)).await else {
            // The lease stays: what was sent to the database may land until it runs out.
            return Ok(ServiceResponse::from_err(too_late(), asked));
        };
        let (head, body) = answered;
        self.settle(&lease, &head, &body).await;
        Ok(ServiceResponse::new(asked, head.set_body(BoxBody::new(body))))
    }

    /// Writes down what came of the work.
    async fn settle(&self, lease: &store::Lease, head: &HttpResponse<()>, body: &Bytes) {
        let fate = fate_of(head, body, lease.is_repeated());
        let kept = match fate {
            Fate::Kept => self.store.keep(lease, &answer(head, body)).await,
            Fate::Open => self.store.release(lease).await,
            Fate::Forgotten => self.store.drop(lease).await,
        };
        let Err(error) = kept else { return };
        tracing::warn!(%error, "an answer could not be kept; the next attempt finds what was made by its id");
        let (id, owner) = lease.place();
        self.store.give_back_soon(id, owner);
    }
}

/// The answer, whole. One that cannot be had is a fault of ours, and an answer too.
async fn answered(request: ServiceRequest, next: Next<BoxBody>) -> (HttpResponse<()>, Bytes) {
    let response = match next.call(request).await {
        Ok(response) => response.into_parts().1,
        Err(error) => HttpResponse::from_error(error),
    };
    let (head, body) = response.into_parts();
    match to_bytes(body).await {
        Ok(body) => (head, body),
        Err(error) => (HttpResponse::from_error(Problem::internal(error.to_string())).drop_body(), Bytes::new()),
    }
}

/// What becomes of the record of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It answers every repetition.
    Kept,
    /// It has the id of what was made, or will be; the next attempt may begin at once.
    Open,
    /// It goes. Nothing has begun, so the corrected input may come under the same key.
    Forgotten,
}

fn fate_of(head: &HttpResponse<()>, body: &Bytes, repeated: bool) -> Fate {
    let made_again = head.extensions().get::<MadeAgain>().is_some() || body.len() > LONGEST_KEPT;
    match head.status().as_u16() {
        400 | 413 | 415 if !repeated => Fate::Forgotten,
        400 | 408 | 413 | 415 | 425 | 429 => Fate::Open,
        // It may only not have been heard of yet.
        404 => Fate::Open,
        // The work may be done all the same.
        500.. => Fate::Open,
        // It is so only for a while.
        _ if head.headers().contains_key(header::RETRY_AFTER) => Fate::Open,
        _ if made_again => Fate::Open,
        _ => Fate::Kept,
    }
}

fn answer(head: &HttpResponse<()>, body: &Bytes) -> Answer {
    let kept = KEPT_HEADERS.iter().filter_map(|name| {
        let value = head.headers().get(name)?.to_str().ok()?;
        Some((name.as_str().to_owned(), value.to_owned()))
    });
    Answer { status: head.status().as_u16().into(), headers: kept.collect(), body: body.to_vec() }
}

fn replay(answer: Answer) -> HttpResponse {
    let status = u16::try_from(answer.status).ok().and_then(|code| StatusCode::from_u16(code).ok());
    let mut response = HttpResponse::build(status.unwrap_or(StatusCode::OK));
    for (name, value) in answer.headers {
        response.insert_header((name, value));
    }
    response.insert_header((REPLAYED, "true"));
    response.body(answer.body)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn key(value: &str) -> Option<IdempotencyKey> {
        IdempotencyKey::read(&TestRequest::default().insert_header((HEADER, value)).to_http_request()).ok()
    }

    #[test]
    fn a_key_is_visible_ascii() {
        assert_eq!(key("a-1"), Some(IdempotencyKey(Some("a-1".to_owned()))));
        assert_eq!(key(&"k".repeat(255)).is_some(), key(&"k".repeat(256)).is_none());
        for wrong in ["", "two words"] {
            assert_eq!(key(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn only_what_was_really_answered_is_kept() {
        use Fate::{Forgotten, Kept, Open};
        let fate = |status: u16, repeated| {
            let head = HttpResponse::build(StatusCode::from_u16(status).unwrap()).finish().drop_body();
            fate_of(&head, &Bytes::new(), repeated)
        };
        for (status, first, later) in [
            (201, Kept, Kept),
            (409, Kept, Kept),
            (402, Kept, Kept),
            (404, Open, Open),
            (408, Open, Open),
            (425, Open, Open),
            (429, Open, Open),
            (503, Open, Open),
            (400, Forgotten, Open),
            (413, Forgotten, Open),
        ] {
            assert_eq!((fate(status, false), fate(status, true)), (first, later), "{status}");
        }
    }

    #[test]
    fn what_is_secret_or_large_is_not_kept() {
        let head = |secret: bool| {
            let mut head = HttpResponse::Created().finish().drop_body();
            if secret {
                head.extensions_mut().insert(MadeAgain);
            }
            head
        };
        assert_eq!(fate_of(&head(true), &Bytes::new(), false), Fate::Open);
        let body = |length: usize| Bytes::from(vec![0; length]);
        assert_eq!(fate_of(&head(false), &body(LONGEST_KEPT), false), Fate::Kept);
        assert_eq!(fate_of(&head(false), &body(LONGEST_KEPT + 1), false), Fate::Open);
    }
}
