//! Somebody's own sessions.

use actix_web::{HttpResponse, web};
use common::clock::Time;
use common::http::{Page, Paging, PathOf, Principal, Problem};
use common::id::SessionId;
use serde::Serialize;
use utoipa::ToSchema;

use super::person;
use crate::Auth;
use crate::session::Session;

/// A sign-in on a device.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SessionView {
    id: SessionId,
    /// Such as `Firefox on Linux`.
    device: String,
    user_agent: String,
    created_at: Time,
    /// When it was last refreshed, to some minutes.
    last_used_at: Time,
    /// When it ends, however often it is used.
    ends_at: Time,
    /// Whether it is the one that is asking.
    current: bool,
}

impl SessionView {
    fn new(session: Session, last_used_at: Time, asking: SessionId) -> Self {
        Self {
            id: session.id,
            device: session.device.label(),
            user_agent: session.device.user_agent().to_owned(),
            created_at: session.started_at,
            last_used_at,
            ends_at: session.ends_at,
            current: session.id == asking,
        }
    }
}

/// Where one is signed in, newest first.
#[utoipa::path(get, path = "/api/users/sessions", params(Paging), responses((status = 200, body = Page<SessionView>)))]
pub(crate) async fn list(
    auth: web::Data<Auth>,
    principal: Principal,
    paging: Paging,
) -> Result<web::Json<Page<SessionView>>, Problem> {
    let page = auth.sessions_of(person(&principal)?, &paging, paging.after()?).await?;
    Ok(web::Json(page.map(|(session, last_used)| SessionView::new(session, last_used, principal.session))))
}

/// Ends one of one's own sessions; the same answer if it has ended already.
#[utoipa::path(
    delete, path = "/api/users/sessions/{id}", params(("id" = SessionId, Path)),
    responses((status = 204, description = "It has ended"), (status = 404, description = "`not_found`"))
)]
pub(crate) async fn revoke(
    auth: web::Data<Auth>,
    principal: Principal,
    PathOf(id): PathOf<SessionId>,
) -> Result<HttpResponse, Problem> {
    auth.end_own_session(id, person(&principal)?).await?;
    Ok(HttpResponse::NoContent().finish())
}
