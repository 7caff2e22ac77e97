//! `Idempotency-Key`: a request that is sent again gets the first answer, and is not done again.

use actix_web::body::{BoxBody, to_bytes};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::{StatusCode, header};
use actix_web::middleware::Next;
use actix_web::{Error, FromRequest, HttpMessage as _, HttpRequest, HttpResponse};
use bytes::Bytes;
use futures::future::{Ready, ready};
use sha2::{Digest as _, Sha256};
use tracing::Instrument as _;
use uuid::Uuid;

use super::auth::Principal;
use super::body::{announced_length, read_all};
use super::problem::Problem;

mod store;

pub use store::IdempotencyStore;
use store::{Answer, Begun};

const HEADER: &str = "Idempotency-Key";
const REPLAYED: &str = "Idempotent-Replayed";
const BODY_LIMIT: usize = 1024 * 1024;
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

/// Lets the request through unless its key was seen before.
pub(super) async fn once(
    store: &IdempotencyStore,
    route: &str,
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse, Error> {
    let key = match IdempotencyKey::read(request.request()) {
        Ok(IdempotencyKey(Some(key))) => key,
        Ok(IdempotencyKey(None)) => {
            request.extensions_mut().insert(Creation { id: store.new_id(), repeated: false });
            return next.call(request).await;
        }
        Err(problem) => return Ok(request.error_response(problem)),
    };
    let body = match buffered(&mut request).await {
        Ok(body) => body,
        Err(problem) => return Ok(request.error_response(problem)),
    };
    let scope = scope_of(&request);
    let id = format!("{scope}:{route}:{key}");
    match store.begin(&id, &fingerprint(&request, &scope, &body)).await {
        Ok(Begun::Mine(lease)) => {
            request.extensions_mut().insert(Creation { id: lease.makes(), repeated: lease.is_repeated() });
            finish(store.clone(), lease, request, next).await
        }
        Ok(Begun::Answered(answer)) => Ok(request.into_response(replay(answer))),
        Ok(Begun::Running) => Ok(request.error_response(in_progress())),
        Ok(Begun::Different) => Ok(request.error_response(reused())),
        Err(error) => Ok(request.error_response(unavailable(error))),
    }
}

fn in_progress() -> Problem {
    Problem::conflict("request_in_progress", "The first request with this Idempotency-Key is still being worked on.")
        .retry_after(std::time::Duration::from_secs(1))
}

fn reused() -> Problem {
    Problem::unprocessable("idempotency_key_reused", "This Idempotency-Key was used for another request.")
}

fn unavailable(error: crate::store::StoreError) -> Problem {
    Problem::unavailable(std::time::Duration::from_secs(1)).caused_by(error)
}

async fn buffered(request: &mut ServiceRequest) -> Result<Bytes, Problem> {
    let announced = announced_length(request.request());
    let body = read_all(request.take_payload(), announced, BODY_LIMIT).await?;
    let again = futures::stream::iter([Ok(body.clone())]);
    request.set_payload(Payload::Stream { payload: Box::pin(again) });
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

/// In a task of its own: a client that hangs up must find the answer, not a lease, when it comes again.
async fn finish(
    store: IdempotencyStore,
    lease: store::Lease,
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse, Error> {
    let work = async move {
        let (request, response) = next.call(request).await?.into_parts();
        let (head, body) = response.into_parts();
        let body = to_bytes(body).await.map_err(|error| Problem::internal(error.to_string()))?;
        let kept = match head.status() {
            status if is_final(status) => store.keep(&lease, &answer(&head, &body)).await,
            // The work may be done all the same: the record stays, so that the next attempt finds what was made.
            status if status.is_server_error() => store.release(&lease).await,
            _ => store.drop(&lease).await,
        };
        if let Err(error) = kept {
            // The work is done; at worst the lease runs out, and the next attempt finds what was made by its id.
            tracing::warn!(%error, "an answer could not be kept for repetition");
        }
        Ok(ServiceResponse::new(request, head.set_body(BoxBody::new(body))))
    };
    let done = actix_web::rt::spawn(work.in_current_span()).await;
    done.unwrap_or_else(|error| Err(Problem::internal(error).into()))
}

/// Nothing has begun when the input was refused, so the corrected input may come under the same key.
fn is_final(status: StatusCode) -> bool {
    let refused = [
        StatusCode::BAD_REQUEST,
        StatusCode::PAYLOAD_TOO_LARGE,
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        StatusCode::TOO_MANY_REQUESTS,
    ];
    !status.is_server_error() && !refused.contains(&status)
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
        for (status, kept) in
            [(201, true), (404, true), (409, true), (402, true), (400, false), (429, false), (503, false)]
        {
            assert_eq!(is_final(StatusCode::from_u16(status).unwrap()), kept, "{status}");
        }
    }
}
