//! What keeps a page from being shown, and what is shown instead.

use actix_web::http::StatusCode;
use serde::Deserialize;

/// The code of what is for people with a confirmed address only.
pub(crate) const NOT_CONFIRMED: &str = "address_not_confirmed";

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
    /// There are as many streams as there can be.
    #[error("no seat is left")]
    Full,
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
            Self::Full | Self::Broken(_) => StatusCode::SERVICE_UNAVAILABLE,
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

impl Failure {
    /// Whether the API says that the thing is not there, or not for this person to see: asking again would not change that.
    pub(crate) fn is_final(&self) -> bool {
        match self {
            Self::SignIn { .. } | Self::NotFound => true,
            Self::Refused(problem) => problem.status < 500 && problem.status != 429,
            Self::Full | Self::Broken(_) => false,
        }
    }

    /// Whether what was asked for may have been done, or may be done still.
    pub(crate) fn leaves_open(&self) -> bool {
        match self {
            Self::SignIn { .. } | Self::NotFound => false,
            Self::Refused(problem) => problem.status >= 500 || problem.code == "request_in_progress",
            Self::Full | Self::Broken(_) => true,
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
    /// A problem that the pages themselves see.
    pub(crate) fn of_pages(status: u16, code: &str, detail: String) -> Self {
        let (errors, available, request_id, facts) = (Vec::new(), None, None, serde_json::Map::new());
        Self { status, code: code.to_owned(), detail, errors, available, request_id, facts }
    }

    /// A field that no person fills in came back as nonsense.
    pub(crate) fn damaged(field: &str) -> Self {
        let detail = format!("A hidden field of the form was damaged on its way: {field}. Please send the form again.");
        Self::of_pages(400, "invalid_input", detail)
    }

    /// Tells at `field` what is wrong with it, in the place of what the API says of `told`.
    pub(crate) fn replace(&mut self, told: &str, field: &str, message: String) {
        self.errors.retain(|error| error.field.as_deref() != Some(told));
        self.errors.push(FieldProblem { field: Some(field.to_owned()), message });
    }

    /// The status that a page which tells the problem has.
    pub(crate) fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST)
    }

    /// Whether there is no place for the request just now, though everything works.
    pub(crate) fn says_busy(&self) -> bool {
        self.status == 429 || (self.status == 503 && self.code == "overloaded")
    }

    /// What is wrong with a field.
    pub(crate) fn of(&self, field: &str) -> Option<&str> {
        let named = self.errors.iter().find(|error| error.field.as_deref() == Some(field))?;
        Some(&named.message)
    }

    /// What is wrong with the whole; nothing if fields say it all.
    pub(crate) fn general(&self) -> Option<String> {
        self.errors.iter().all(|error| error.field.is_none()).then(|| self.words())
    }

    /// What happened, in a sentence for the visitor.
    pub(crate) fn words(&self) -> String {
        match (self.code.as_str(), self.available) {
            ("sold_out", Some(0)) => "Somebody was faster: no place is free at this moment.".to_owned(),
            ("sold_out", Some(1)) => "Somebody was faster: only one place is left.".to_owned(),
            ("sold_out", Some(left)) => format!("Somebody was faster: only {left} places are left."),
            ("sale_ended", _) => "Too late: the sale of this show has ended.".to_owned(),
            (NOT_CONFIRMED, _) => {
                "Your address is not confirmed yet: follow the link in the mail to it, or have another one sent from your profile."
                    .to_owned()
            }
            ("idempotency_key_reused", _) => {
                "You have sent this form before, with something else in it. Look whether that was done, or send it again."
                    .to_owned()
            }
            _ => sentence(&self.detail),
        }
    }
}

/// With a capital letter at its beginning and a full stop at its end.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    let stop = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{stop}", letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(json: &str) -> ApiProblem {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn problems_are_told_in_sentences() {
        let sold_out = problem(r#"{"status":409,"code":"sold_out","detail":"only 1 places are left","available":1}"#);
        assert_eq!(sold_out.words(), "Somebody was faster: only one place is left.");
        let other = problem(r#"{"status":409,"code":"not_on_sale","detail":"this ticket is not on sale"}"#);
        assert_eq!(other.general().as_deref(), Some("This ticket is not on sale."));
    }

    #[test]
    fn a_problem_of_fields_is_told_at_them() {
        let errors = r#"{"status":400,"code":"invalid_input","detail":"d","errors":[{"field":"email","message":"m"}]}"#;
        let problem = problem(errors);
        assert_eq!((problem.general(), problem.of("email"), problem.of("name")), (None, Some("m"), None));
    }
}
