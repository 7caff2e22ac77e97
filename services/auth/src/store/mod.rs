//! What auth keeps: accounts, sessions and their refresh tokens, API keys, signing keys.

mod account_tokens;
mod admins;
mod attempts;
mod audit;
mod endings;
mod known_browsers;
mod refresh_tokens;
mod reset_requests;
mod signing_keys;
mod users;

pub use account_tokens::AccountTokens;
pub use admins::{Admins, Leaving, Removal, Turn};
pub use attempts::{Attempts, Try};
pub use audit::{AuditEntry, AuditTrail};
pub use endings::{ENDINGS, Ending, forget_ending, unfinished_endings};
pub use known_browsers::KnownBrowsers;
pub use refresh_tokens::RefreshTokens;
pub use reset_requests::{ResetRequest, ResetRequests};
pub use signing_keys::SigningKeys;
pub use users::{
    UserFilter, active_admins, colliding, note_spelling, other_with_email, unspelled, user_by_email, users,
};

use std::time::Duration;

use bson::{Bson, Document, doc};
use common::clock::Time;
use common::events::UserEvent;
use common::id::{SessionId, UserId};
use common::store::{Aggregate, Aggregates, Indexes, StoreError, Versioned};

use crate::api_key::ApiKey;
use crate::session::{KEPT, Session};
use crate::user::User;

impl Aggregate for User {
    type Event = UserEvent;
    const KIND: &'static str = "user";
    const COLLECTION: &'static str = "users";

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn snapshot(&self) -> Option<UserEvent> {
        Some(self.told().into())
    }
}

impl Aggregate for Session {
    type Event = UserEvent;
    const KIND: &'static str = "session";
    const COLLECTION: &'static str = "sessions";

    fn id(&self) -> String {
        self.id.to_string()
    }
}

impl Aggregate for ApiKey {
    type Event = UserEvent;
    const KIND: &'static str = "api-key";
    const COLLECTION: &'static str = "api_keys";

    fn id(&self) -> String {
        self.id.to_string()
    }
}

/// The indexes of all collections.
pub fn indexes() -> Vec<Indexes> {
    vec![
        Indexes::of(User::COLLECTION)
            .unique(doc! { "email": 1 })
            .on(doc! { "role": 1, "email": 1 })
            .on(doc! { "search": 1, "email": 1 })
            .partial(doc! { "spelled": 1 }, doc! { "spelled": Bson::Null })
            .partial(doc! { "collides": 1 }, doc! { "collides": { "$exists": true } })
            .partial(doc! { "endings.at": 1 }, doc! { "endings.0": { "$exists": true } })
            .letters()
            .outbox(),
        Indexes::of(Session::COLLECTION).on(doc! { "userId": 1, "_id": -1 }).ttl("endsAt", KEPT).outbox(),
        Indexes::of(RefreshTokens::COLLECTION)
            .on(doc! { "sessionId": 1, "usedAt": 1 })
            .partial(doc! { "from": 1 }, doc! { "from": { "$exists": true } })
            .ttl("expiresAt", Duration::ZERO),
        Indexes::of(AccountTokens::COLLECTION).ttl("expiresAt", Duration::ZERO),
        Indexes::of(ResetRequests::COLLECTION).on(doc! { "dueAt": 1 }),
        Indexes::of(Attempts::COLLECTION).ttl("endsAt", Duration::ZERO),
        Indexes::of(KnownBrowsers::COLLECTION).ttl("expiresAt", Duration::ZERO),
        Indexes::of(AuditTrail::COLLECTION).on(doc! { "at": -1, "_id": -1 }).ttl("at", audit::KEPT),
        Indexes::of(ApiKey::COLLECTION).on(doc! { "userId": 1, "_id": -1 }).outbox(),
    ]
}

/// Somebody's sessions that have not been ended, newest first, after the one that `after` names.
///
/// # Errors
/// If the database does not answer.
pub async fn sessions_of(
    sessions: &Aggregates<Session>,
    user: UserId,
    now: Time,
    after: Option<String>,
    limit: i64,
) -> Result<Vec<Versioned<Session>>, StoreError> {
    let mut filter = doc! { "userId": user, "revokedAt": Bson::Null, "endsAt": { "$gt": now } };
    older_than(&mut filter, after);
    sessions.find(filter, doc! { "_id": -1 }, limit).await
}

/// Somebody's sessions that have not been ended, but `spared`, newest first: those that can be read, so that one which cannot
/// keeps none of the others alive.
///
/// # Errors
/// If the database does not answer, or if there are only sessions left that cannot be read: it must not be taken for the end.
pub async fn live_sessions(
    sessions: &Aggregates<Session>,
    user: UserId,
    now: Time,
    spared: Option<SessionId>,
    limit: i64,
) -> Result<Vec<Versioned<Session>>, StoreError> {
    let mut filter = doc! { "userId": user, "revokedAt": Bson::Null, "endsAt": { "$gt": now } };
    if let Some(spared) = spared {
        filter.insert("_id", doc! { "$ne": spared });
    }
    let readable = sessions.find(filter.clone(), doc! { "_id": -1 }, limit).await?;
    if readable.is_empty() { sessions.find_all(filter, doc! { "_id": -1 }, 1).await } else { Ok(readable) }
}

/// Somebody's API keys that have not been taken back, newest first, after the one that `after` names.
///
/// # Errors
/// If the database does not answer.
pub async fn api_keys_of(
    keys: &Aggregates<ApiKey>,
    user: UserId,
    after: Option<String>,
    limit: i64,
) -> Result<Vec<Versioned<ApiKey>>, StoreError> {
    let mut filter = doc! { "userId": user, "revokedAt": Bson::Null };
    older_than(&mut filter, after);
    keys.find(filter, doc! { "_id": -1 }, limit).await
}

/// Somebody's API keys that have not been taken back, newest first: those that can be read, so that one which cannot keeps none of the
/// others alive.
///
/// # Errors
/// If the database does not answer, or if there are only keys left that cannot be read.
pub async fn live_api_keys(
    keys: &Aggregates<ApiKey>,
    user: UserId,
    limit: i64,
) -> Result<Vec<Versioned<ApiKey>>, StoreError> {
    let filter = doc! { "userId": user, "revokedAt": Bson::Null };
    let readable = keys.find(filter.clone(), doc! { "_id": -1 }, limit).await?;
    if readable.is_empty() { keys.find_all(filter, doc! { "_id": -1 }, 1).await } else { Ok(readable) }
}

/// Whether somebody has as many API keys that have not been taken back, those too that cannot be read.
///
/// # Errors
/// If the database does not answer.
pub async fn has_api_keys(keys: &Aggregates<ApiKey>, user: UserId, most: u64) -> Result<bool, StoreError> {
    let filter = doc! { "userId": user, "revokedAt": Bson::Null };
    Ok(keys.collection().count(filter, Some(most)).await? >= most)
}

/// Notes when a key was used. It is no change of the key: no version is made.
///
/// # Errors
/// If the database does not answer.
pub async fn note_use(keys: &Aggregates<ApiKey>, key: &ApiKey, now: Time) -> Result<(), StoreError> {
    keys.table().update(doc! { "_id": key.id }, doc! { "$set": { "lastUsedAt": now } }).await
}

fn older_than(filter: &mut Document, after: Option<String>) {
    if let Some(after) = after {
        filter.insert("_id", doc! { "$lt": after });
    }
}

#[cfg(test)]
mod tests {
    use common::mail::{LETTERS, Letter};
    use common::store::fixtures::{Fixtures, element};

    use super::*;
    use crate::account_token::AccountToken;
    use crate::known_browsers::KnownBrowser;
    use crate::notes::Note;
    use crate::refresh_token::RefreshToken;
    use crate::signing_key::SigningKey;
    use crate::store::admins::GUARDS;
    use crate::store::attempts::Window;

    #[test]
    fn stored_documents_of_every_version_are_read() {
        let fixtures = Fixtures::of(env!("CARGO_MANIFEST_DIR"), indexes())
            .aggregate::<User>(&[(LETTERS, element::<Letter<Note>>), (ENDINGS, element::<Ending>)])
            .aggregate::<Session>(&[])
            .aggregate::<ApiKey>(&[])
            .documents::<RefreshToken>(RefreshTokens::COLLECTION)
            .documents::<AccountToken>(AccountTokens::COLLECTION)
            .documents::<ResetRequest>(ResetRequests::COLLECTION)
            .documents::<Window>(Attempts::COLLECTION)
            .documents::<KnownBrowser>(KnownBrowsers::COLLECTION)
            .documents::<AuditEntry>(AuditTrail::COLLECTION)
            .documents::<Turn>(GUARDS)
            .documents::<SigningKey>(SigningKeys::COLLECTION);
        assert_eq!(fixtures.wrong(), Vec::<String>::new());
    }
}
