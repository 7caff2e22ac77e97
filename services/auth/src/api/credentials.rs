//! Passwords that are forgotten or replaced, and addresses that are shown to be one's own.

use actix_web::{HttpRequest, HttpResponse, web};
use common::http::{Answer, Body, ClientAddress, Fields, Principal, Problem, Tagged};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use utoipa::ToSchema;

use super::sign_in::{browser_cookie, caller};
use super::{Account, person};
use crate::Auth;
use crate::email::TypedEmail;
use crate::password::{ChosenPassword, Password};
use crate::recovery::RecoveryError;

/// Who forgot their password.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Forgotten {
    /// The address of the account.
    #[schema(pattern = "@", max_length = 254)]
    email: String,
}

/// A new password for a forgotten one.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reset {
    /// From the mail.
    #[schema(value_type = String)]
    token: SecretString,
    /// The new password: 8 to 128 characters, none that many people have.
    #[schema(value_type = String, format = Password, min_length = 8, max_length = 128)]
    password: SecretString,
}

/// A new password for one that is known.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NewPassword {
    #[schema(value_type = String, format = Password, min_length = 8, max_length = 128)]
    current_password: SecretString,
    /// 8 to 128 characters; none that many people have.
    #[schema(value_type = String, format = Password, min_length = 8, max_length = 128)]
    new_password: SecretString,
}

/// What shows that an address is one's own.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Verification {
    /// From the mail.
    #[schema(value_type = String)]
    token: SecretString,
}

/// Sends a mail with a link that lets its reader set a new password, if there is an account. The answer is the same if
/// there is none.
#[utoipa::path(
    post, path = "/api/users/forgot-password", request_body = Forgotten,
    responses((status = 202, description = "If there is an account, a mail is on its way"), (status = 429, description = "`too_many_requests`"))
)]
pub(crate) async fn forgot_password(
    auth: web::Data<Auth>,
    request: HttpRequest,
    Body(input): Body<Forgotten>,
) -> Result<HttpResponse, Problem> {
    let mut fields = Fields::default();
    let email = fields.take("email", TypedEmail::parse(&input.email));
    auth.forget_password(fields.finish(email)?, &ClientAddress::of(&request)).await?;
    Ok(accepted())
}

/// Sets a new password with the token from the mail, once. All sessions and API keys end; one signs in with the new password.
#[utoipa::path(
    post, path = "/api/users/reset-password", request_body = Reset,
    responses(
        (status = 200, description = "The password is replaced and nobody is signed in"),
        (status = 400, description = "`invalid_input`, or `reset_token_invalid`: used, too old or unknown"),
        (status = 429, description = "`too_many_requests`"),
    )
)]
pub(crate) async fn reset_password(
    auth: web::Data<Auth>,
    request: HttpRequest,
    Body(input): Body<Reset>,
) -> Result<HttpResponse, Problem> {
    let mut fields = Fields::default();
    let password = fields.take("password", ChosenPassword::parse(&input.password));
    let password = fields.finish(password)?;
    auth.reset_password(input.token.expose_secret(), password, &ClientAddress::of(&request)).await?;
    Ok(done())
}

/// Replaces one's password. All other sessions end, and all API keys. The browser in which it is done stays known.
#[utoipa::path(
    post, path = "/api/users/change-password", request_body = NewPassword,
    responses(
        (status = 200, body = Account),
        (status = 400, description = "`invalid_input`, also for a wrong `currentPassword`"),
        (status = 429, description = "`too_many_requests`"),
    )
)]
pub(crate) async fn change_password(
    auth: web::Data<Auth>,
    request: HttpRequest,
    principal: Principal,
    Body(input): Body<NewPassword>,
) -> Result<Answer<Tagged<Account>>, Problem> {
    let user = person(&principal)?;
    let mut fields = Fields::default();
    // What can be nobody's password is not this one's either.
    let current =
        fields.take("currentPassword", Password::parse(input.current_password).map_err(|_| "is not your password"));
    let new = fields.take("newPassword", ChosenPassword::parse(&input.new_password));
    let (current, new) = fields.finish((current, new))?;
    let caller = caller(&request);
    let changed = auth.change_password((user, principal.session), current, new, &caller.place).await;
    let user = changed.map_err(|error| match error {
        RecoveryError::Unfit(fault) => Problem::invalid("newPassword", fault),
        error => error.into(),
    })?;
    let changed = Answer::of(Tagged { version: user.version, body: Account::from(&user) });
    // A client without one may be no browser.
    if caller.browser.is_none() {
        return Ok(changed);
    }
    match auth.know_browser(caller, &user.value).await {
        Ok(browser) => Ok(changed.with_cookies([browser_cookie(&browser)])),
        // The password is changed all the same, and must not be asked for again.
        Err(error) => {
            tracing::warn!(%error, user = %user.value.id, "a browser is not known any more");
            Ok(changed)
        }
    }
}

/// Notes that the address of an account is its owner's, with the token from the mail.
#[utoipa::path(
    post, path = "/api/users/verify-email", request_body = Verification,
    responses(
        (status = 200, description = "The address is verified"),
        (status = 400, description = "`verification_token_invalid`: used, too old or unknown"),
        (status = 429, description = "`too_many_requests`"),
    )
)]
pub(crate) async fn verify_email(
    auth: web::Data<Auth>,
    request: HttpRequest,
    Body(input): Body<Verification>,
) -> Result<HttpResponse, Problem> {
    auth.verify_email(input.token.expose_secret(), &ClientAddress::of(&request)).await?;
    Ok(done())
}

/// Sends another mail that verifies one's address, unless it is verified.
#[utoipa::path(
    post, path = "/api/users/verify-email/request",
    responses((status = 202, description = "A mail is on its way, or none is needed"), (status = 429, description = "`too_many_requests`"))
)]
pub(crate) async fn request_verification(auth: web::Data<Auth>, principal: Principal) -> Result<HttpResponse, Problem> {
    auth.request_verification(person(&principal)?).await?;
    Ok(accepted())
}

fn accepted() -> HttpResponse {
    HttpResponse::Accepted().json(serde_json::json!({}))
}

fn done() -> HttpResponse {
    HttpResponse::Ok().json(serde_json::json!({}))
}
