//! Lists in Stripe's manner: newest first, a page at a time, a cursor that is an id.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::ApiError;

const USUAL: usize = 10;
const LARGEST: usize = 100;

/// The query of a list of what belongs to payments: of one of them, or of one charge, or all.
#[derive(Debug, Deserialize)]
pub(crate) struct OfPayment {
    payment_intent: Option<String>,
    charge: Option<String>,
    limit: Option<usize>,
    starting_after: Option<String>,
    ending_before: Option<String>,
}

impl OfPayment {
    pub(crate) fn wants(&self, intent: &str, charge: &str) -> bool {
        self.payment_intent.as_ref().is_none_or(|wanted| wanted == intent)
            && self.charge.as_ref().is_none_or(|wanted| wanted == charge)
    }

    pub(crate) fn page(&self) -> Result<Page<'_>, ApiError> {
        Page::new(self.limit, self.starting_after.as_deref(), self.ending_before.as_deref())
    }
}

/// Which part of a list is asked for.
pub(crate) struct Page<'a> {
    limit: usize,
    starting_after: Option<&'a str>,
    ending_before: Option<&'a str>,
}

impl<'a> Page<'a> {
    pub(crate) fn new(
        limit: Option<usize>,
        starting_after: Option<&'a str>,
        ending_before: Option<&'a str>,
    ) -> Result<Self, ApiError> {
        let limit = limit.unwrap_or(USUAL);
        match (1..=LARGEST).contains(&limit) {
            true => Ok(Self { limit, starting_after, ending_before }),
            false => Err(ApiError::bad_param("parameter_invalid_integer", "limit", "This value must be 1 to 100")),
        }
    }

    /// Cuts the page out of `rows`, which come newest first.
    pub(crate) fn of<'r, T: 'r>(
        &self,
        url: &str,
        rows: impl Iterator<Item = (&'r String, &'r T)>,
        render: impl Fn(&T) -> Value,
    ) -> Value {
        let older = |id: &str| self.starting_after.is_none_or(|cursor| id < cursor);
        let newer = |id: &str| self.ending_before.is_none_or(|cursor| id > cursor);
        let mut rows: Vec<&T> = rows.filter(|(id, _)| older(id) && newer(id)).map(|(_, row)| row).collect();
        let has_more = rows.len() > self.limit;
        if self.ending_before.is_some() {
            rows.drain(..rows.len().saturating_sub(self.limit));
        }
        rows.truncate(self.limit);
        let data: Vec<Value> = rows.into_iter().map(render).collect();
        json!({ "object": "list", "data": data, "has_more": has_more, "url": url })
    }
}
