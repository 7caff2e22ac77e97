//! What stands around every page.

use crate::assets;
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

/// Where to go after signing in: only to pages of ours, else to the start.
pub(crate) fn safe_next(next: Option<&str>) -> String {
    let ours = |path: &&str| {
        path.starts_with('/')
            && !path.starts_with("//")
            && !path.contains(['\\', '\n', '\r'])
            && !path.starts_with("/api/")
    };
    next.filter(ours).unwrap_or("/").to_owned()
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
            (Some("https://evil.example"), "/"),
            (Some("/api/users/signout"), "/"),
            (None, "/"),
        ] {
            assert_eq!(safe_next(next), expected, "{next:?}");
        }
    }
}
