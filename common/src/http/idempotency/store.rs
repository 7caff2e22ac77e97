use std::time::Duration;

use bson::doc;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::{SharedClock, Time};
use crate::id::{uuid_at, uuid_derived};
use crate::store::{Database, Indexes, StoreError, Table};
use crate::supervisor::Spawner;

/// So long the first answer is repeated.
const KEPT: Duration = Duration::from_secs(24 * 3600);
/// So long a request may take before it counts as lost with its process; longer than its work may take.
pub(super) const LEASE: Duration = Duration::from_secs(60);
/// How often a lease whose fate is not known is looked for, to give it back.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The answers of a service's idempotent routes, in its own database.
#[derive(Clone)]
pub struct IdempotencyStore {
    records: Table,
    clock: SharedClock,
    givers_back: Spawner,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Record {
    #[serde(rename = "_id")]
    id: String,
    fingerprint: String,
    /// The id of what the request makes; records of earlier builds have none.
    #[serde(default)]
    makes: Option<Uuid>,
    owner: String,
    lease_until: Time,
    at: Time,
    answer: Option<Answer>,
}

/// What was answered the first time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Answer {
    pub(super) status: i32,
    pub(super) headers: Vec<(String, String)>,
    #[serde(with = "bytes_as_binary")]
    pub(super) body: Vec<u8>,
}

/// The right to do the work, as long as nobody else took it over.
pub(super) struct Lease {
    id: String,
    owner: String,
    makes: Uuid,
    repeated: bool,
}

pub(super) enum Begun {
    Mine(Lease),
    Answered(Answer),
    Running,
    Different,
}

/// What became of a lease that was to be taken.
enum Found {
    Nothing,
    Mine(Lease),
    /// It was taken over, or has its answer.
    Anothers,
}

impl IdempotencyStore {
    /// The collection's name.
    pub const COLLECTION: &'static str = "idempotency";

    /// The answers kept in `database`.
    pub fn new(database: &Database, clock: SharedClock) -> Self {
        Self { records: Table::new(database, Self::COLLECTION), clock, givers_back: Spawner::of("leases of keys") }
    }

    /// The index that ends answers after a day.
    pub fn indexes() -> Indexes {
        Indexes::of(Self::COLLECTION).ttl("at", KEPT)
    }

    /// The id of something that is made without a key.
    pub(super) fn new_id(&self) -> Uuid {
        uuid_at(self.clock.now())
    }

    pub(super) async fn begin(&self, id: &str, fingerprint: &str) -> Result<Begun, StoreError> {
        let now = self.clock.now();
        let owner = uuid_at(now).to_string();
        let makes = uuid_at(now);
        let lease = Lease { id: id.to_owned(), owner: owner.clone(), makes, repeated: false };
        let (id, fingerprint, makes) = (id.to_owned(), fingerprint.to_owned(), Some(makes));
        let record = Record { id, fingerprint, makes, owner, lease_until: now + LEASE, at: now, answer: None };
        let begun = match self.records.insert(&record).await {
            Ok(()) => return Ok(Begun::Mine(lease)),
            Err(StoreError::Exists) => self.meet(&record, lease).await,
            Err(error) => Err(error),
        };
        match begun {
            // It may have been done all the same. Whoever comes again must not find a lease that nobody has.
            Err(error) if error.passes() => match self.find(&record.id, &record.owner).await {
                Ok(Found::Mine(lease)) => Ok(Begun::Mine(lease)),
                _ => {
                    self.give_back_soon(record.id, record.owner);
                    Err(error)
                }
            },
            begun => begun,
        }
    }

    /// Whose the lease of a key is that `owner` has taken, as far as is known.
    async fn find(&self, id: &str, owner: &str) -> Result<Found, StoreError> {
        Ok(match self.records.get::<Record>(id).await? {
            None => Found::Nothing,
            Some(found) if found.owner == owner && found.answer.is_none() => {
                Found::Mine(Lease { makes: found.makes(), id: found.id, owner: found.owner, repeated: true })
            }
            Some(_) => Found::Anothers,
        })
    }

    /// Gives a lease back that nobody has: one whose taking was given up and may land later, or whose giving back failed. Ends
    /// when that is done, or when the lease has run out by itself.
    pub(super) fn give_back_soon(&self, id: String, owner: String) {
        let store = self.clone();
        let giving_back = async move {
            while !store.is_given_back(&id, &owner).await {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        self.givers_back.spawn(async move { tokio::time::timeout(LEASE, giving_back).await.unwrap_or_default() });
    }

    async fn is_given_back(&self, id: &str, owner: &str) -> bool {
        match self.find(id, owner).await {
            Ok(Found::Mine(lease)) => self.release(&lease).await.is_ok(),
            Ok(Found::Anothers) => true,
            // Nothing has landed yet, or nobody can say.
            Ok(Found::Nothing) | Err(_) => false,
        }
    }

    async fn meet(&self, mine: &Record, lease: Lease) -> Result<Begun, StoreError> {
        let Some(first) = self.records.get::<Record>(&mine.id).await? else {
            // The first attempt has just failed and withdrawn its record; the client may come again at once.
            return Ok(Begun::Running);
        };
        Ok(match first.answer {
            _ if first.fingerprint != mine.fingerprint => Begun::Different,
            Some(answer) => Begun::Answered(answer),
            None if first.lease_until > mine.at => Begun::Running,
            None if self.take_over(&first.owner, mine).await? => {
                Begun::Mine(Lease { makes: first.makes(), repeated: true, ..lease })
            }
            None => Begun::Running,
        })
    }

    async fn take_over(&self, former: &str, mine: &Record) -> Result<bool, StoreError> {
        let lost = doc! { "_id": &mine.id, "owner": former, "answer": null };
        let change = doc! { "$set": { "owner": &mine.owner, "leaseUntil": mine.lease_until } };
        Ok(self.records.collection().update_one(lost, change).await?.modified_count == 1)
    }

    pub(super) async fn keep(&self, lease: &Lease, answer: &Answer) -> Result<(), StoreError> {
        let answer = crate::store::to_document(answer)?;
        self.records.update(lease.filter(), doc! { "$set": { "answer": answer } }).await
    }

    /// Lets the next attempt begin at once.
    pub(super) async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        self.records.update(lease.filter(), doc! { "$set": { "leaseUntil": self.clock.now() } }).await
    }

    pub(super) async fn drop(&self, lease: &Lease) -> Result<(), StoreError> {
        self.records.collection().delete_one(lease.filter()).await?;
        Ok(())
    }
}

impl Record {
    fn makes(&self) -> Uuid {
        self.makes.unwrap_or_else(|| uuid_derived(Uuid::nil(), &self.id))
    }
}

impl Lease {
    /// The id of what the request makes.
    pub(super) fn makes(&self) -> Uuid {
        self.makes
    }

    /// The key's record, and who has it.
    pub(super) fn place(&self) -> (String, String) {
        (self.id.clone(), self.owner.clone())
    }

    /// Whether the work may have been done by an earlier attempt.
    pub(super) fn is_repeated(&self) -> bool {
        self.repeated
    }

    fn filter(&self) -> bson::Document {
        doc! { "_id": &self.id, "owner": &self.owner }
    }
}

impl std::fmt::Debug for IdempotencyStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("IdempotencyStore").field(&self.records.collection().name()).finish()
    }
}

mod bytes_as_binary {
    use bson::Binary;
    use bson::spec::BinarySubtype;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        Binary { subtype: BinarySubtype::Generic, bytes: bytes.to_vec() }.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        Binary::deserialize(deserializer).map(|binary| binary.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_other_builds_are_read() {
        let at = bson::DateTime::from_millis(1_790_000_000_000);
        let body = bson::Binary { subtype: bson::spec::BinarySubtype::Generic, bytes: b"{}".to_vec() };
        let answer = doc! { "status": 201, "headers": [["etag", "\"1\""]], "body": body, "later": 1 };
        let earlier = doc! {
            "_id": "k", "fingerprint": "f", "owner": "o", "leaseUntil": at, "at": at, "answer": answer.clone(), "later": true,
        };
        let read: Record = bson::deserialize_from_slice(&earlier.to_vec().unwrap()).unwrap();
        assert_eq!(read.makes(), uuid_derived(Uuid::nil(), "k"), "the same at each attempt");
        let answer = read.answer.unwrap();
        assert_eq!((answer.status, answer.body.as_slice()), (201, b"{}".as_slice()));
        let open = doc! { "_id": "k", "fingerprint": "f", "owner": "o", "leaseUntil": at, "at": at, "answer": null };
        assert!(bson::deserialize_from_slice::<Record>(&open.to_vec().unwrap()).unwrap().answer.is_none());
    }
}
