//! The operator's way to dead letters: look, replay, discard. One set of routes serves all services of the process.

use std::collections::HashMap;
use std::time::Duration;

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};

use crate::bus::{DeadLetter, DeadLetters, ListenError, Listener};
use crate::clock::Time;
use crate::http::{Page, Paging, PathOf, Problem};
use crate::store::Indexes;

/// After this a replay may work that failed for a reason which passes.
const SOON: Duration = Duration::from_secs(1);

pub(super) fn indexes() -> Indexes {
    Indexes::of(DeadLetters::COLLECTION).on(bson::doc! { "at": 1 })
}

/// The dead letters of the services in this process, and the listeners that may try again.
#[derive(Default)]
pub(super) struct Desks(pub(super) HashMap<&'static str, (DeadLetters, Vec<Listener>)>);

impl Desks {
    fn of(&self, service: &str) -> Result<&(DeadLetters, Vec<Listener>), Problem> {
        self.0.get(service).ok_or_else(Problem::not_found)
    }
}

/// A dead letter as an operator sees it.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Letter {
    id: String,
    service: String,
    subject: String,
    headers: std::collections::BTreeMap<String, String>,
    payload: String,
    error: String,
    attempts: i64,
    at: Time,
}

impl From<DeadLetter> for Letter {
    fn from(letter: DeadLetter) -> Self {
        let DeadLetter { id, service, subject, headers, payload, error, attempts, at, .. } = letter;
        let payload = String::from_utf8_lossy(&payload.bytes).into_owned();
        Self { id, service, subject, headers, payload, error, attempts, at }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Where {
    service: String,
    id: String,
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
    let (letters, _) = desks.of(&service.0)?;
    let after: Option<String> = paging.after()?;
    let found = letters.list(after.as_deref(), paging.fetch()).await?;
    let rows = found.into_iter().map(Letter::from).collect();
    Ok(web::Json(Page::from_rows(rows, &paging, |letter: &Letter| letter.id.clone())))
}

/// Gives a dead letter to its service once more.
#[utoipa::path(post, path = "/api/dead-letters/{service}/{id}/replay",
    params(("service" = String, Path, description = "The service"), ("id" = String, Path, description = "The dead letter")),
    responses((status = 204, description = "Handled now, and gone")))]
pub(super) async fn replay(desks: web::Data<Desks>, place: PathOf<Where>) -> Result<HttpResponse, Problem> {
    let (letters, listeners) = desks.of(&place.0.service)?;
    match letters.replay(&place.0.id, listeners).await {
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
    let (letters, _) = desks.of(&place.0.service)?;
    if letters.discard(&place.0.id).await? { Ok(HttpResponse::NoContent().finish()) } else { Err(Problem::not_found()) }
}
