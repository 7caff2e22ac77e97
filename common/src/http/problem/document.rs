use std::borrow::Cow;
use std::fmt::Display;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What is wrong with one field of the input. Without a field it is about the whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FieldError {
    /// What is wrong, for people.
    pub message: String,
    /// The path of the field, such as `items[0].price`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub field: Option<String>,
}

impl FieldError {
    /// `message` about `field`.
    pub fn new(field: impl Into<String>, message: impl Display) -> Self {
        Self { message: message.to_string(), field: Some(field.into()) }
    }
}

/// The body of a [`Problem`], as the API documents it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
#[serde(rename_all = "camelCase")]
pub struct ProblemBody<'a> {
    /// Names the kind of problem: `/problems/` and the code.
    pub r#type: String,
    /// The status in words.
    pub title: &'a str,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// What programs may rely on, in snake case.
    pub code: &'a str,
    /// What happened, for people.
    pub detail: &'a str,
    /// One entry for each wrong field, or one about the whole.
    pub errors: Cow<'a, [FieldError]>,
    /// Where to find this request in the log; in answers of 500 and above.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub request_id: Option<&'a str>,
    /// More facts, such as how many places are left.
    #[serde(flatten)]
    #[schema(inline, value_type = Object)]
    pub more: &'a Map<String, Value>,
}
