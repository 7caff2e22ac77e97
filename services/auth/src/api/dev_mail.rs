//! The mails that were written instead of sent, for those who try Docket on their own machine.
//!
//! Everybody may see them, and with them reset every password: so there is nothing to be seen unless this is test mode. That is,
//! no mail server is set, so a mail reaches nobody in any other way, and the public address is that of the machine itself
//! (`localhost` or a loopback address), so nobody comes from elsewhere. In all other cases these routes answer 404, like
//! routes that there are not.
//!
//! The machine's own browser may be sent here by a page from elsewhere, whose name was made to lead to this machine (DNS
//! rebinding). Such a request names that host, and is answered 404 too.

use actix_web::{HttpRequest, web};
use common::http::{PathOf, Problem, asks_this_machine};
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
pub(crate) async fn list(auth: web::Data<Auth>, request: HttpRequest) -> Result<web::Json<Mails>, Problem> {
    let items = folder(&auth, &request)?.newest(NEWEST).await.map_err(Problem::internal)?;
    Ok(web::Json(Mails { items }))
}

/// One mail. In test mode only.
#[utoipa::path(
    get, path = "/api/users/dev/mail/{id}", params(("id" = MailId, Path)),
    responses((status = 200, body = Mail), (status = 404, description = "`not_found`"))
)]
pub(crate) async fn get(
    auth: web::Data<Auth>,
    request: HttpRequest,
    PathOf(id): PathOf<MailId>,
) -> Result<web::Json<Mail>, Problem> {
    let mail = folder(&auth, &request)?.get(id).await.map_err(Problem::internal)?;
    mail.map(web::Json).ok_or_else(Problem::not_found)
}

fn folder<'a>(auth: &'a Auth, request: &HttpRequest) -> Result<&'a Folder, Problem> {
    let preview = auth.letters.post().preview().filter(|_| asks_this_machine(request));
    preview.ok_or_else(Problem::not_found)
}
