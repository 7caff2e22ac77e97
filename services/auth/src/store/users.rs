use bson::{Bson, Document, doc};
use common::http::Role;
use common::store::{Aggregates, StoreError, Versioned, begins_with};
use common::text::{fold, searched_words};

use crate::email::TypedEmail;
use crate::user::User;

/// Which accounts a list shows.
#[derive(Clone, Debug, Default)]
pub struct UserFilter {
    /// Each of these words must begin the address, or a word of it or of the name.
    pub search: Option<String>,
    /// Their role.
    pub role: Option<Role>,
}

impl UserFilter {
    fn document(&self, after: Option<String>) -> Document {
        let mut filter = Document::new();
        let search = self.search.as_deref().unwrap_or_default();
        let words: Vec<_> =
            search.split_whitespace().flat_map(terms).map(|term| begins_with("search", &term)).collect();
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

/// What a search looks for by what stands between spaces: an address as a whole, and of all else its words.
fn terms(typed: &str) -> Vec<String> {
    let words = if typed.contains('@') { Vec::new() } else { searched_words(typed) };
    if words.is_empty() { vec![fold(typed)] } else { words }
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

/// The account with this address, in the first of its [spellings](TypedEmail::spellings) that one has.
///
/// # Errors
/// If the database does not answer.
pub async fn user_by_email(
    users: &Aggregates<User>,
    email: &TypedEmail,
) -> Result<Option<Versioned<User>>, StoreError> {
    let spellings = email.spellings();
    let most = spellings.len() as i64;
    let found = users.find_all(doc! { "email": { "$in": &spellings } }, Document::new(), most).await?;
    let rank = |user: &Versioned<User>| spellings.iter().position(|spelling| spelling == user.value.email.as_str());
    Ok(found.into_iter().min_by_key(rank))
}

/// Up to `limit` accounts that have not been looked at by the present rules of spelling.
///
/// # Errors
/// If the database does not answer.
pub async fn unspelled(users: &Aggregates<User>, limit: i64) -> Result<Vec<Versioned<User>>, StoreError> {
    users.find_work(doc! { "spelled": Bson::Null }, Document::new(), limit).await
}

/// Whether another account has this very address.
///
/// # Errors
/// If the database does not answer.
pub async fn other_with_email(users: &Aggregates<User>, of: &User) -> Result<bool, StoreError> {
    let other = doc! { "email": of.email.as_str(), "_id": { "$ne": of.id } };
    Ok(users.collection().count(other, Some(1)).await? > 0)
}

/// Notes how an account is spelled whose address stays. It is no change of the account: no version is made, and one that is
/// made meanwhile leaves this to the next look.
///
/// # Errors
/// If the database does not answer.
pub async fn note_spelling(users: &Aggregates<User>, seen: &Versioned<User>, next: &User) -> Result<(), StoreError> {
    let same = doc! { "_id": next.id, "version": seen.version };
    let mut set = doc! { "search": &next.search, "spelled": next.spelled };
    if let Some(collides) = &next.collides {
        set.insert("collides", collides);
    }
    users.table().update(same, doc! { "$set": set }).await
}

/// How many open accounts have an address that is another account's in its one spelling, at most `most`.
///
/// # Errors
/// If the database does not answer.
pub async fn colliding(users: &Aggregates<User>, most: u64) -> Result<u64, StoreError> {
    let open = doc! { "collides": { "$exists": true }, "disabledAt": Bson::Null };
    users.collection().count(open, Some(most)).await
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
        let filter = UserFilter { search: Some(" Ána.* o’nei A.b@X".to_owned()), role: Some(Role::Admin) };
        let words = ["ana", "onei", "a\\.b\\@x"].map(|word| doc! { "search": { "$regex": format!("^{word}") } });
        let words = words.to_vec();
        let expected = doc! { "$and": words, "role": "admin", "email": { "$gt": "b@example.org" } };
        assert_eq!(filter.document(Some("b@example.org".to_owned())), expected);
        assert_eq!(UserFilter::default().document(None), Document::new());
    }
}
