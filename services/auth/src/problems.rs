//! What goes wrong here, as HTTP tells it.

use std::time::Duration;

use actix_web::http::StatusCode;
use common::http::Problem;

use crate::accounts::AccountError;
use crate::hashing::HashingError;
use crate::machines::ApiKeyError;
use crate::recovery::RecoveryError;
use crate::refresh_token::RefreshRefused;
use crate::roles::RoleError;
use crate::session_life::SessionError;

/// By then, those who are waiting for their passwords to be checked have been served.
const HASHING_PAUSE: Duration = Duration::from_secs(2);

fn unauthorized(code: &'static str, detail: &'static str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, code, detail)
}

impl From<AccountError> for Problem {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::EmailTaken => {
                Self::conflict("email_taken", "There is an account with this e-mail address already.")
            }
            AccountError::InvalidCredentials => {
                unauthorized("invalid_credentials", "The e-mail address or the password is wrong.")
            }
            AccountError::TooOften(wait) => Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too_many_requests",
                "Too many wrong passwords. Try again later, or ask for a new password.",
            )
            .retry_after(wait),
            AccountError::TooManySignUps(wait) => Self::too_many_requests(wait),
            AccountError::NotFound => Self::not_found(),
            AccountError::Changed => Self::version_mismatch(),
            AccountError::Hashing(HashingError::Busy) => Self::unavailable(HASHING_PAUSE),
            AccountError::Hashing(error) => Self::internal(error),
            AccountError::Store(error) => error.into(),
        }
    }
}

impl From<SessionError> for Problem {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Refused(RefreshRefused::Invalid) => {
                unauthorized("refresh_token_invalid", "The session has ended. Sign in again.")
            }
            SessionError::Refused(RefreshRefused::Reused) => unauthorized(
                "refresh_token_reused",
                "Somebody used this refresh token before, so the session was ended. Sign in again.",
            ),
            SessionError::NotFound => Self::not_found(),
            SessionError::Signing(error) => Self::internal(error),
            SessionError::Store(error) => error.into(),
        }
    }
}

impl From<RoleError> for Problem {
    fn from(error: RoleError) -> Self {
        match error {
            RoleError::NotFound => Self::not_found(),
            RoleError::Changed => Self::version_mismatch(),
            RoleError::LastAdmin => {
                Self::conflict("last_admin", "This is the last administrator. Make somebody else one first.")
            }
            RoleError::Sessions(error) => error.into(),
            RoleError::Store(error) => error.into(),
        }
    }
}

impl From<RecoveryError> for Problem {
    fn from(error: RecoveryError) -> Self {
        match error {
            RecoveryError::ResetTokenInvalid => Self::bad_request(
                "reset_token_invalid",
                "This link was used before, or is too old. Ask for another mail.",
            ),
            RecoveryError::VerificationTokenInvalid => Self::bad_request(
                "verification_token_invalid",
                "This link was used before, or is too old. Ask for another mail.",
            ),
            RecoveryError::Unfit(fault) => Self::invalid("password", fault),
            RecoveryError::WrongPassword => Self::invalid("currentPassword", "is not your password"),
            RecoveryError::NotFound => Self::not_found(),
            RecoveryError::TooOften(wait) => Self::too_many_requests(wait),
            RecoveryError::Hashing(error) => AccountError::from(error).into(),
            RecoveryError::Sessions(error) => error.into(),
            RecoveryError::Store(error) => error.into(),
        }
    }
}

impl From<ApiKeyError> for Problem {
    fn from(error: ApiKeyError) -> Self {
        match error {
            ApiKeyError::Refused => unauthorized("invalid_api_key", "The API key is not good."),
            ApiKeyError::NotFound => Self::not_found(),
            ApiKeyError::TooMany => Self::conflict("too_many_api_keys", format!("{error}: end one that is not used.")),
            ApiKeyError::Signing(error) => Self::internal(error),
            ApiKeyError::Store(error) => error.into(),
        }
    }
}
