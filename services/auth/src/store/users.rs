use bson::{Bson, Document, doc};
use common::http::Role;
use common::store::{Aggregates, StoreError, Versioned};

use crate::email::Email;
use crate::user::User;

/// Which accounts a list shows.
#[derive(Clone, Debug, Default)]
pub struct UserFilter {
    /// Each of these words must begin the address or a word of the name.
    pub search: Option<String>,
    /// Their role.
    pub role: Option<Role>,
}

impl UserFilter {
    fn document(&self, after: Option<String>) -> Document {
        let mut filter = Document::new();
        let search = self.search.as_deref().unwrap_or_default().to_lowercase();
        let words: Vec<_> = search.split_whitespace().map(begins_with).collect();
        if !words.is_empty() {
            filter.insert("$and", words);
        }
        if let Some(role) = self.role {
            filter.insert("role", role.to_string());
        }
        if let Some(after) = after {
            filter.insert("email", doc! { "$gt": after });
        }
        filter
    }
}

fn begins_with(word: &str) -> Document {
    doc! { "search": { "$regex": format!("^{}", escaped(word)) } }
}

/// A text in which nothing means anything to a regular expression; anchored, it becomes a range of the index.
fn escaped(text: &str) -> String {
    let quoted = |c: char| if c.is_alphanumeric() { vec![c] } else { vec!['\\', c] };
    text.chars().flat_map(quoted).collect()
}

/// Accounts in the order of their addresses, after the address `after`.
///
/// # Errors
/// If the database does not answer.
pub async fn users(
    users: &Aggregates<User>,
    filter: &UserFilter,
    after: Option<String>,
    limit: i64,
) -> Result<Vec<Versioned<User>>, StoreError> {
    users.find(filter.document(after), doc! { "email": 1 }, limit).await
}

/// The account with this address.
///
/// # Errors
/// If the database does not answer.
pub async fn user_by_email(users: &Aggregates<User>, email: &Email) -> Result<Option<Versioned<User>>, StoreError> {
    users.find_one(doc! { "email": email.as_str() }).await
}

/// How many administrators may sign in.
///
/// # Errors
/// If the database does not answer.
pub async fn active_admins(users: &Aggregates<User>) -> Result<u64, StoreError> {
    let filter = doc! { "role": Role::Admin.to_string(), "disabledAt": Bson::Null };
    users.collection().count(filter, None).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_is_text_and_no_pattern() {
        assert_eq!(escaped("a.b+c@x"), "a\\.b\\+c\\@x");
        let filter = UserFilter { search: Some(" Ana.* lee".to_owned()), role: Some(Role::Admin) };
        let words = vec![begins_with("ana.*"), doc! { "search": { "$regex": "^lee" } }];
        assert_eq!(begins_with("ana.*"), doc! { "search": { "$regex": "^ana\\.\\*" } });
        let expected = doc! { "$and": words, "role": "admin", "email": { "$gt": "b@example.org" } };
        assert_eq!(filter.document(Some("b@example.org".to_owned())), expected);
        assert_eq!(UserFilter::default().document(None), Document::new());
    }
}
