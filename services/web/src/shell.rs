//! What stands around every page.

use url::{Position, Url};

use crate::assets;
use crate::is_of_the_api;
use crate::model::Account;

/// What stands around every page: the header with who is signed in, styles and scripts.
#[derive(Clone, Debug)]
pub(crate) struct Shell {
    pub(crate) user: Option<Account>,
    /// The page's own address.
    pub(crate) path: String,
}

impl Shell {
    pub(crate) fn new(user: Option<Account>, path: &str) -> Self {
        Self { user, path: path.to_owned() }
    }

    /// Where an asset is; none if this binary was built without it.
    pub(crate) fn asset(&self, name: &str) -> Option<String> {
        assets::url(name)
    }

    /// The fonts that every page needs at once.
    pub(crate) fn fonts(&self) -> Vec<String> {
        assets::fonts().collect()
    }

    /// Whether the page is `path` or below it: for the mark in the navigation.
    pub(crate) fn is_at(&self, path: &str) -> bool {
        self.path == path || self.path.starts_with(&format!("{path}/")) || self.path.starts_with(&format!("{path}?"))
    }

    /// Where to come back to after signing in, for an address.
    pub(crate) fn next(&self) -> String {
        next_query(&self.path)
    }
}

/// `next=…`, for the address of the sign-in page.
pub(crate) fn next_query(path: &str) -> String {
    serde_urlencoded::to_string([("next", path)]).unwrap_or_default()
}

/// Where to go after signing in: only to pages of ours, else to the start. Browsers decide which site an address leads to, so it
/// is read as they read it, and what is kept is what was read.
pub(crate) fn safe_next(next: Option<&str>) -> String {
    let kept = || {
        let here = Url::parse("https://docket.invalid").ok()?;
        let there = here.join(next.filter(|next| next.starts_with('/'))?).ok()?;
        let ours = there.origin() == here.origin() && !there.path().starts_with("//") && !is_of_the_api(there.path());
        ours.then(|| there[Position::BeforePath..].to_owned())
    };
    kept().unwrap_or_else(|| "/".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signing_in_leads_to_pages_of_ours_only() {
        for (next, expected) in [
            (Some("/orders/7?x=1"), "/orders/7?x=1"),
            (Some("//evil.example"), "/"),
            (Some("/\\evil.example"), "/"),
            // Parsers of addresses drop what these are.
            (Some("/\t/evil.example"), "/"),
            (Some("\t//evil.example"), "/"),
            (Some("/\n/evil.example"), "/"),
            (Some("/\r\\evil.example"), "/"),
            (Some("/orders/..//evil.example"), "/"),
            (Some("/./api/users/signout"), "/"),
            (Some("/x\u{b}y"), "/x%0By"),
            (Some("/orders?cursor=é#top"), "/orders?cursor=%C3%A9#top"),
            (Some("javascript:alert(1)"), "/"),
            (Some("orders"), "/"),
            (Some("?search=x"), "/"),
            (Some(""), "/"),
            (Some("https://evil.example"), "/"),
            (Some("/api/users/signout"), "/"),
            (None, "/"),
        ] {
            assert_eq!(safe_next(next), expected, "{next:?}");
        }
    }
}
