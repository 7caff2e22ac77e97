//! Lists by keyset: a page and an opaque cursor to the next, however the list changes in between.

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::future::{Ready, ready};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::body::{from_query, of_query};
use super::openapi::{About, Documented};
use super::problem::Problem;

/// Where a page begins; clients hand back what `nextCursor` said.
#[derive(Debug)]
pub struct Cursor(());

impl Cursor {
    /// Hides the key of the last row in a text for the client.
    pub fn encode(key: &impl Serialize) -> String {
        let json = serde_json::to_vec(key).expect("a key is plain data");
        URL_SAFE_NO_PAD.encode(json)
    }

    /// The key again.
    ///
    /// # Errors
    /// 400 about `cursor` if it is not one of ours.
    pub fn decode<K: DeserializeOwned>(cursor: &str) -> Result<K, Problem> {
        let json = URL_SAFE_NO_PAD.decode(cursor).ok();
        json.and_then(|json| serde_json::from_slice(&json).ok())
            .ok_or_else(|| Problem::invalid("cursor", "must be the nextCursor of a page"))
    }
}

/// Which page the client asks for: `?limit&cursor`, beside other parameters.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Paging {
    /// How many items at most.
    #[serde(default = "default_limit")]
    #[param(minimum = 1, maximum = 100, default = 20)]
    pub limit: u32,
    /// The `nextCursor` of the page before.
    pub cursor: Option<String>,
}

const MAX_LIMIT: u32 = 100;

fn default_limit() -> u32 {
    20
}

impl Default for Paging {
    fn default() -> Self {
        Self { limit: default_limit(), cursor: None }
    }
}

impl Paging {
    /// The key of the row after which the page begins.
    ///
    /// # Errors
    /// 400 about `cursor` if it is not one of ours.
    pub fn after<K: DeserializeOwned>(&self) -> Result<Option<K>, Problem> {
        self.cursor.as_deref().map(Cursor::decode).transpose()
    }

    /// How many rows to fetch: one more than shown tells whether there is a next page.
    pub fn fetch(&self) -> i64 {
        i64::from(self.limit) + 1
    }

    fn read(query: &str) -> Result<Self, Problem> {
        let paging: Self = from_query(query)?;
        if (1..=MAX_LIMIT).contains(&paging.limit) {
            Ok(Self { cursor: paging.cursor.filter(|cursor| !cursor.is_empty()), ..paging })
        } else {
            Err(Problem::invalid("limit", format!("must be 1 to {MAX_LIMIT}")))
        }
    }
}

impl FromRequest for Paging {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::read(request.query_string()))
    }
}

impl Documented for Paging {
    fn tell(about: &mut About<'_>) {
        of_query(about);
    }
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page begins; null on the last.
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// A page of rows that were fetched with [`Paging::fetch`]; `key` is what they are sorted by.
    pub fn from_rows<K: Serialize>(mut rows: Vec<T>, paging: &Paging, key: impl FnOnce(&T) -> K) -> Self {
        let limit = usize::try_from(paging.limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = rows.last().filter(|_| more).map(|last| Cursor::encode(&key(last)));
        Self { items: rows, next_cursor }
    }

    /// The same page of something else.
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(change).collect(), next_cursor: self.next_cursor }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_leads_through_the_whole_list() {
        let mut paging = Paging { limit: 2, cursor: None };
        let mut seen = Vec::new();
        loop {
            let after: Option<u32> = paging.after().unwrap();
            let rows = (1..=5).filter(|row| after.is_none_or(|after| *row > after)).take(3).collect();
            let page = Page::from_rows(rows, &paging, |row: &u32| *row);
            seen.extend(page.items);
            let Some(next) = page.next_cursor else { break };
            paging.cursor = Some(next);
        }
        assert_eq!(seen, [1, 2, 3, 4, 5]);
    }

    #[test]
    fn paging_is_checked() {
        assert_eq!(Paging::read("").unwrap(), Paging::default());
        assert_eq!(Paging::read("search=x&limit=100").unwrap().limit, 100);
        for (query, field) in [("limit=0", "limit"), ("limit=101", "limit"), ("limit=x", "limit")] {
            assert_eq!(Paging::read(query).unwrap_err().errors()[0].field.as_deref(), Some(field));
        }
        let garbage = Paging { limit: 20, cursor: Some("{}".to_owned()) };
        assert_eq!(garbage.after::<u32>().unwrap_err().errors()[0].field.as_deref(), Some("cursor"));
    }
}
