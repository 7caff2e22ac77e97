//! The operator's way to dead letters: look, replay, discard. One set of routes serves all services of the process.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};

use crate::bus::{DeadLetter, DeadLetters, Intake, ListenError, Listener, Replayed};
use crate::clock::Time;
use crate::http::{Page, Paging, PathOf, Problem, Query};
use crate::store::Indexes;

/// After this a replay may work that failed for a reason which passes.
const SOON: Duration = Duration::from_secs(1);

/// How much of a payload and of a header a list shows, and how many headers.
const PAYLOAD_SHOWN: usize = 2_048;
const HEADER_SHOWN: usize = 256;
const HEADERS_SHOWN: usize = 16;

/// How long a letter waits for somebody.
const KEPT: Duration = Duration::from_secs(365 * 24 * 3600);

pub(super) fn indexes() -> Indexes {
    // Builds that know no revisions make the first one at their start, also after a roll-back.
    Indexes::of(DeadLetters::COLLECTION).on(bson::doc! { "at": 1 }).ttl_beside("at", KEPT)
}

/// What the services in this process have put aside, and the listeners that may try again.
#[derive(Default)]
pub(super) struct Desks(pub(super) HashMap<&'static str, (Intake, Vec<Listener>)>);

impl Desks {
    fn of(&self, service: &str) -> Result<&(Intake, Vec<Listener>), Problem> {
        self.0.get(service).ok_or_else(Problem::not_found)
    }
}

/// A dead letter as an operator sees it. A list shows the beginnings of long payloads and headers only.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Letter {
    id: String,
    service: String,
    subject: String,
    headers: BTreeMap<String, String>,
    payload: String,
    /// How long the whole payload is.
    payload_bytes: usize,
    error: String,
    attempts: i64,
    at: Time,
}

impl From<DeadLetter> for Letter {
    fn from(letter: DeadLetter) -> Self {
        let DeadLetter { id, service, subject, headers, payload, error, attempts, at, .. } = letter;
        let payload_bytes = payload.bytes.len();
        let payload = String::from_utf8_lossy(&payload.bytes).into_owned();
        Self { id, service, subject, headers, payload, payload_bytes, error, attempts, at }
    }
}

impl Letter {
    fn in_a_list(mut letter: DeadLetter) -> Self {
        let payload_bytes = letter.payload.bytes.len();
        letter.payload.bytes.truncate(PAYLOAD_SHOWN);
        let headers = letter.headers.into_iter().take(HEADERS_SHOWN);
        letter.headers = headers.map(|(name, value)| (begin(name), begin(value))).collect();
        Self { payload_bytes, ..letter.into() }
    }
}

fn begin(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(HEADER_SHOWN));
    text
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Where {
    service: String,
    id: String,
}

/// Which letters are replayed.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Those of this domain only.
    domain: Option<String>,
}

/// What a bulk replay did.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Replay {
    /// How many letters are tried once more.
    moved: usize,
    /// Whether there may be more: then ask again.
    more: bool,
}

/// Lists the events that a service could not handle.
#[utoipa::path(get, path = "/api/dead-letters/{service}",
    params(("service" = String, Path, description = "The service")),
    responses((status = 200, description = "Dead letters, by id", body = Page<Letter>)))]
pub(super) async fn list(
    desks: web::Data<Desks>,
    service: PathOf<String>,
    paging: Paging,
) -> Result<web::Json<Page<Letter>>, Problem> {
    let (intake, _) = desks.of(&service.0)?;
    let after: Option<String> = paging.after()?;
    let rows = intake.letters.list(after.as_deref(), paging.fetch(), Letter::in_a_list).await?;
    Ok(web::Json(Page::from_rows(rows, &paging, |letter: &Letter| letter.id.clone())))
}

/// Shows a dead letter whole.
#[utoipa::path(get, path = "/api/dead-letters/{service}/{id}",
    params(("service" = String, Path, description = "The service"), ("id" = String, Path, description = "The dead letter")),
    responses((status = 200, description = "The dead letter", body = Letter)))]
pub(super) async fn show(desks: web::Data<Desks>, place: PathOf<Where>) -> Result<web::Json<Letter>, Problem> {
    let (intake, _) = desks.of(&place.0.service)?;
    let letter = intake.letters.get(&place.0.id).await?.ok_or_else(Problem::not_found)?;
    Ok(web::Json(letter.into()))
}

/// Gives the dead letters of a service to it once more, those of one aggregate in the order of their versions. They wait among
/// the parked events for that; what fails by its own fault again is a dead letter again.
#[utoipa::path(post, path = "/api/dead-letters/{service}/replay",
    params(("service" = String, Path, description = "The service"), Which),
    responses((status = 200, description = "They will be tried", body = Replay)))]
pub(super) async fn replay_all(
    desks: web::Data<Desks>,
    service: PathOf<String>,
    which: Query<Which>,
) -> Result<web::Json<Replay>, Problem> {
    let (Intake { letters, parked, .. }, _) = desks.of(&service.0)?;
    let Replayed { moved, more } = letters.replay_all(which.0.domain.as_deref(), parked).await?;
    Ok(web::Json(Replay { moved, more }))
}

/// Gives a dead letter to its service once more.
#[utoipa::path(post, path = "/api/dead-letters/{service}/{id}/replay",
    params(("service" = String, Path, description = "The service"), ("id" = String, Path, description = "The dead letter")),
    responses((status = 204, description = "Handled now, and gone")))]
pub(super) async fn replay(desks: web::Data<Desks>, place: PathOf<Where>) -> Result<HttpResponse, Problem> {
    let (Intake { letters, parked, .. }, listeners) = desks.of(&place.0.service)?;
    match letters.replay(&place.0.id, listeners, parked).await {
        Ok(Some(())) => Ok(HttpResponse::NoContent().finish()),
        Ok(None) => Err(Problem::not_found()),
        Err(error @ ListenError::Transient(_)) => Err(Problem::unavailable(SOON).caused_by(error)),
        Err(error) => Err(Problem::conflict("replay_failed", error.to_string())),
    }
}

/// Forgets a dead letter for good.
#[utoipa::path(delete, path = "/api/dead-letters/{service}/{id}",
    params(("service" = String, Path, description = "The service"), ("id" = String, Path, description = "The dead letter")),
    responses((status = 204, description = "Gone")))]
pub(super) async fn discard(desks: web::Data<Desks>, place: PathOf<Where>) -> Result<HttpResponse, Problem> {
    let (Intake { letters, .. }, _) = desks.of(&place.0.service)?;
    if letters.discard(&place.0.id).await? { Ok(HttpResponse::NoContent().finish()) } else { Err(Problem::not_found()) }
}
