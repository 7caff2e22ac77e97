//! The keys that verify access tokens, for everybody.

use actix_web::http::header;
use actix_web::{HttpResponse, web};

use crate::Auth;
use crate::keyring::JwkSet;

/// The keys by which every service verifies access tokens (RFC 7517). A key is here ten minutes before it signs.
#[utoipa::path(get, path = "/.well-known/jwks.json", responses((status = 200, body = JwkSet)))]
pub(crate) async fn get(auth: web::Data<Auth>) -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "public, max-age=300")).json(auth.keyring.published())
}
