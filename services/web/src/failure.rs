//! What keeps a page from being shown, and what is shown instead.

use actix_web::http::StatusCode;
use serde::Deserialize;

/// A problem as the API tells it (RFC 9457).
#[derive(Clone, Debug, Deserialize, thiserror::Error)]
#[serde(rename_all = "camelCase")]
#[error("{code}: {detail}")]
pub(crate) struct ApiProblem {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) detail: String,
    #[serde(default)]
    pub(crate) errors: Vec<FieldProblem>,
    /// How many places are left, where that is the problem.
    pub(crate) available: Option<u32>,
    /// Where to find the request in the log.
    pub(crate) request_id: Option<String>,
    /// More facts.
    #[serde(flatten)]
    pub(crate) facts: serde_json::Map<String, serde_json::Value>,
}

/// What is wrong with a field.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct FieldProblem {
    pub(crate) field: Option<String>,
    pub(crate) message: String,
}

/// Why a page cannot be shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Only for people who are signed in.
    #[error("not signed in")]
    SignIn {
        /// Where to go on afterwards.
        next: String,
    },
    /// The API refused.
    #[error(transparent)]
    Refused(#[from] Box<ApiProblem>),
    /// There is nothing here.
    #[error("no such page")]
    NotFound,
    /// A service does not answer, or not as it should.
    #[error("{0}")]
    Broken(String),
}

impl actix_web::ResponseError for Failure {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::SignIn { .. } => StatusCode::SEE_OTHER,
            Self::Refused(problem) => problem.status_code(),
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Broken(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl From<ApiProblem> for Failure {
    fn from(problem: ApiProblem) -> Self {
        Self::Refused(Box::new(problem))
    }
}

impl Failure {
    /// The same, but after signing in the visitor goes on at `page`: what a form has sent cannot be sent again by a redirect.
    pub(crate) fn at(self, page: &str) -> Self {
        match self {
            Self::SignIn { .. } => Self::SignIn { next: page.to_owned() },
            other => other,
        }
    }

    /// The problem, if the API refused for a reason that a person can do something about.
    ///
    /// # Errors
    /// The failure itself otherwise.
    pub(crate) fn problem(self) -> Result<ApiProblem, Self> {
        match self {
            Self::Refused(problem) if problem.status < 500 => Ok(*problem),
            other => Err(other),
        }
    }
}

/// What an API refused of what a form has sent, if it refused.
///
/// # Errors
/// What is no fault of the form's.
pub(crate) fn refusal<T>(outcome: Result<T, Failure>) -> Result<Option<ApiProblem>, Failure> {
    outcome.err().map(Failure::problem).transpose()
}

impl ApiProblem {
    /// The status that a page which tells the problem has.
    pub(crate) fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST)
    }

    /// What is wrong with a field.
    pub(crate) fn of(&self, field: &str) -> Option<&str> {
        let named = self.errors.iter().find(|error| error.field.as_deref() == Some(field))?;
        Some(&named.message)
    }

    /// What is wrong with the whole; nothing if fields say it all.
    pub(crate) fn general(&self) -> Option<&str> {
        self.errors.iter().all(|error| error.field.is_none()).then_some(self.detail.as_str())
    }
}
