//! Who may call: the holder of the secret key, as bearer or as basic user name.

use actix_web::HttpRequest;
use actix_web::http::header;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::app::App;
use crate::error::ApiError;

/// Refuses whoever has not the secret key.
pub(crate) fn require_secret_key(app: &App, req: &HttpRequest) -> Result<(), ApiError> {
    let key = key(req).ok_or_else(ApiError::missing_key)?;
    match key == app.secret_key {
        true => Ok(()),
        false => Err(ApiError::wrong_key(&key)),
    }
}

/// Also lets in browsers, which know a publishable key only.
pub(crate) fn require_any_key(app: &App, req: &HttpRequest) -> Result<(), ApiError> {
    match key(req) {
        Some(key) if key.starts_with("pk_test_") => Ok(()),
        _ => require_secret_key(app, req),
    }
}

fn key(req: &HttpRequest) -> Option<String> {
    let value = req.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = value.split_once(' ')?;
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" => Some(rest.trim().to_owned()),
        "basic" => {
            let pair = String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?;
            pair.split(':').next().map(str::to_owned)
        }
        _ => None,
    }
}
