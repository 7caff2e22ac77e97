//! The audit trail: what happened to accounts, sessions and keys, told by auth's own events, which come with the change itself.

use std::time::Duration;

use bson::{Document, doc};
use common::bus::{EventRecord, Received};
use common::clock::Time;
use common::events::UserEvent;
use common::id::UserId;
use common::store::{Collection, Database, StoreError};
use serde::{Deserialize, Serialize};

/// One line of the trail.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    /// The event's id: the line is written once, however often the event comes.
    #[serde(rename = "_id")]
    pub id: String,
    /// The event's name.
    pub event: String,
    /// Whose account it is about.
    pub user_id: UserId,
    /// Who did it; none if the system did.
    pub actor: Option<UserId>,
    /// When.
    pub at: Time,
}

impl From<Received<UserEvent>> for AuditEntry {
    fn from(received: Received<UserEvent>) -> Self {
        let EventRecord { id, name, actor, at, .. } = received.record;
        Self { id, event: name, user_id: about(&received.event), actor, at }
    }
}

fn about(event: &UserEvent) -> UserId {
    match event {
        UserEvent::Created(event) => event.user_id,
        UserEvent::Updated(event) => event.user_id,
        UserEvent::RoleChanged(event) => event.user_id,
        UserEvent::Disabled(event) => event.user_id,
        UserEvent::PasswordResetRequested(event) => event.user_id,
        UserEvent::PasswordReset(event) => event.user_id,
        UserEvent::PasswordChanged(event) => event.user_id,
        UserEvent::EmailVerificationRequested(event) => event.user_id,
        UserEvent::EmailVerified(event) => event.user_id,
        UserEvent::SignInsRefused(event) => event.user_id,
        UserEvent::SessionStarted(event) => event.user_id,
        UserEvent::SessionRevoked(event) => event.user_id,
        UserEvent::ApiKeyCreated(event) => event.user_id,
        UserEvent::Snapshot(event) => event.user_id,
    }
}

/// The trail.
#[derive(Clone, Debug)]
pub struct AuditTrail {
    collection: Collection<AuditEntry>,
}

/// How long a line is kept.
pub(super) const KEPT: Duration = Duration::from_secs(2 * 365 * 24 * 3600);

impl AuditTrail {
    /// The collection's name.
    pub const COLLECTION: &str = "audit";

    /// The trail in auth's database.
    pub fn new(database: &Database) -> Self {
        Self { collection: database.collection(Self::COLLECTION) }
    }

    /// Writes a line, unless it is written.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn write(&self, entry: &AuditEntry) -> Result<(), StoreError> {
        match self.collection.insert_one(entry).await {
            Ok(()) | Err(StoreError::Exists) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Up to `limit` lines, newest first, older than `before`.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn before(&self, before: Option<(Time, String)>, limit: i64) -> Result<Vec<AuditEntry>, StoreError> {
        let filter = before.map_or_else(Document::new, |(at, id)| {
            doc! { "$or": [{ "at": { "$lt": at } }, { "at": at, "_id": { "$lt": id } }] }
        });
        self.collection.find(filter).sort(doc! { "at": -1, "_id": -1 }).limit(limit).await
    }
}
