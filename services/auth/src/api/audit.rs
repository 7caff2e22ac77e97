//! The audit trail, for administrators.

use actix_web::web;
use common::clock::Time;
use common::http::{Page, Paging, Problem};
use common::id::UserId;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Auth;
use crate::store::AuditEntry;

/// One line of the trail.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AuditLine {
    id: String,
    /// Such as `session.revoked`.
    event: String,
    /// Whose account it is about.
    user_id: UserId,
    /// Who did it; null if the system did.
    actor: Option<UserId>,
    at: Time,
}

impl From<AuditEntry> for AuditLine {
    fn from(entry: AuditEntry) -> Self {
        let AuditEntry { id, event, user_id, actor, at } = entry;
        Self { id, event, user_id, actor, at }
    }
}

/// What happened to accounts, sessions and keys, newest first.
#[utoipa::path(get, path = "/api/users/audit", params(Paging), responses((status = 200, body = Page<AuditLine>)))]
pub(crate) async fn list(auth: web::Data<Auth>, paging: Paging) -> Result<web::Json<Page<AuditLine>>, Problem> {
    let rows = auth.audit.before(paging.after()?, paging.fetch()).await?;
    let rows = rows.into_iter().map(AuditLine::from).collect();
    Ok(web::Json(Page::from_rows(rows, &paging, |line: &AuditLine| (line.at, line.id.clone()))))
}
