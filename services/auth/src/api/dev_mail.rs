//! The mails that were written instead of sent, for those who try Docket on their own machine.
//!
//! Everybody may see them, and with them reset every password: so there is nothing to be seen unless this is test mode. That is,
//! no mail server is set, so a mail reaches nobody in any other way, and the public address is that of the machine itself
//! (`localhost` or a loopback address), so nobody comes from elsewhere. In all other cases these routes answer 404, like
//! routes that there are not.

use actix_web::web;
use common::http::{PathOf, Problem};
use common::id::MailId;
use common::mail::{Folder, Mail};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Auth;

/// How many are listed.
const NEWEST: usize = 100;

/// The newest mails.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Mails {
    items: Vec<Mail>,
}

/// The newest mails, newest first, 100 at most. In test mode only: without a mail server, at a public address on the machine itself.
#[utoipa::path(
    get, path = "/api/users/dev/mail",
    responses((status = 200, body = Mails), (status = 404, description = "`not_found`: this is no test"))
)]
pub(crate) async fn list(auth: web::Data<Auth>) -> Result<web::Json<Mails>, Problem> {
    let items = folder(&auth)?.newest(NEWEST).await.map_err(Problem::internal)?;
    Ok(web::Json(Mails { items }))
}

/// One mail. In test mode only.
#[utoipa::path(
    get, path = "/api/users/dev/mail/{id}", params(("id" = MailId, Path)),
    responses((status = 200, body = Mail), (status = 404, description = "`not_found`"))
)]
pub(crate) async fn get(auth: web::Data<Auth>, PathOf(id): PathOf<MailId>) -> Result<web::Json<Mail>, Problem> {
    let mail = folder(&auth)?.get(id).await.map_err(Problem::internal)?;
    mail.map(web::Json).ok_or_else(Problem::not_found)
}

fn folder(auth: &Auth) -> Result<&Folder, Problem> {
    auth.letters.post().preview().ok_or_else(Problem::not_found)
}
