//! The pages: one file for each thing that people deal with.

pub(crate) mod account;
pub(crate) mod bought;
pub(crate) mod check_in;
pub(crate) mod dev_mail;
pub(crate) mod door;
pub(crate) mod home;
mod keys;
pub(crate) mod offer;
pub(crate) mod order;
pub(crate) mod passes;
pub(crate) mod password;
pub(crate) mod profile;
pub(crate) mod sales;
pub(crate) mod sell;
pub(crate) mod ticket;

use actix_web::HttpResponse;
use serde::Deserialize;

use crate::failure::Failure;
use crate::html::{Answered, go};
use crate::visit::Visit;

/// Every other address.
pub(crate) async fn nothing(_: Visit) -> Answered {
    Err(Failure::NotFound)
}

/// Where a list goes on.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct From {
    #[serde(default)]
    cursor: String,
}

impl From {
    /// An address from here on.
    fn after(&self, path: &str) -> String {
        after(path, &self.cursor)
    }

    /// If the API refuses a list that goes on somewhere, the list's beginning is shown.
    fn begin_again<T>(&self, read: &Result<T, Failure>, page: &str) -> Option<HttpResponse> {
        let refused = matches!(read, Err(Failure::Refused(problem)) if problem.status == 400);
        (refused && !self.cursor.is_empty()).then(|| go(page))
    }
}

fn after(path: &str, cursor: &str) -> String {
    if cursor.is_empty() {
        return path.to_owned();
    }
    format!("{path}?{}", serde_urlencoded::to_string([("cursor", cursor)]).unwrap_or_default())
}

/// So many places, in words.
fn places(count: u32) -> String {
    if count == 1 { "1 place".to_owned() } else { format!("{count} places") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_goes_on_where_it_ended() {
        assert_eq!(after("/sales", ""), "/sales");
        assert_eq!(after("/sales/7/live", "a=b"), "/sales/7/live?cursor=a%3Db");
    }
}
