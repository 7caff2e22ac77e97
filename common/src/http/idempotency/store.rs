use std::time::Duration;

use bson::doc;
use mongodb::error::{Error, ErrorKind, WriteFailure};
use mongodb::options::IndexOptions;
use mongodb::{Collection, Database, IndexModel};
use serde::{Deserialize, Serialize};

use crate::clock::{SharedClock, Time};
use crate::id::uuid_at;

/// So long the first answer is repeated.
const KEPT: Duration = Duration::from_secs(24 * 3600);
/// So long a request may take before it counts as lost with its process.
const LEASE: Duration = Duration::from_secs(60);

const DUPLICATE_KEY: i32 = 11000;

/// The answers of a service's idempotent routes, in its own database.
#[derive(Clone)]
pub struct IdempotencyStore {
    records: Collection<Record>,
    clock: SharedClock,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    #[serde(rename = "_id")]
    id: String,
    fingerprint: String,
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
}

pub(super) enum Begun {
    Mine(Lease),
    Answered(Answer),
    Running,
    Different,
}

impl IdempotencyStore {
    /// The collection's name.
    pub const COLLECTION: &'static str = "idempotency";

    /// The answers kept in `database`.
    pub fn new(database: &Database, clock: SharedClock) -> Self {
        Self { records: database.collection(Self::COLLECTION), clock }
    }

    /// Makes the index that ends answers after a day.
    ///
    /// # Errors
    /// What the database says.
    pub async fn ensure_indexes(&self) -> Result<(), Error> {
        let options = IndexOptions::builder().expire_after(KEPT).build();
        let index = IndexModel::builder().keys(doc! { "at": 1 }).options(options).build();
        self.records.create_index(index).await.map(drop)
    }

    pub(super) async fn begin(&self, id: &str, fingerprint: &str) -> Result<Begun, Error> {
        let now = self.clock.now();
        let owner = uuid_at(now).to_string();
        let lease = Lease { id: id.to_owned(), owner: owner.clone() };
        let (id, fingerprint) = (id.to_owned(), fingerprint.to_owned());
        let record = Record { id, fingerprint, owner, lease_until: now + LEASE, at: now, answer: None };
        match self.records.insert_one(&record).await {
            Ok(_) => Ok(Begun::Mine(lease)),
            Err(error) if is_duplicate(&error) => self.meet(&record, lease).await,
            Err(error) => Err(error),
        }
    }

    async fn meet(&self, mine: &Record, lease: Lease) -> Result<Begun, Error> {
        let Some(first) = self.records.find_one(doc! { "_id": &mine.id }).await? else {
            // The first attempt has just failed and withdrawn its record; the client may come again at once.
            return Ok(Begun::Running);
        };
        Ok(match first.answer {
            _ if first.fingerprint != mine.fingerprint => Begun::Different,
            Some(answer) => Begun::Answered(answer),
            None if first.lease_until > mine.at => Begun::Running,
            None if self.take_over(&first.owner, mine).await? => Begun::Mine(lease),
            None => Begun::Running,
        })
    }

    async fn take_over(&self, former: &str, mine: &Record) -> Result<bool, Error> {
        let lost = doc! { "_id": &mine.id, "owner": former, "answer": null };
        let change = doc! { "$set": { "owner": &mine.owner, "leaseUntil": mine.lease_until } };
        Ok(self.records.update_one(lost, change).await?.modified_count == 1)
    }

    pub(super) async fn keep(&self, lease: &Lease, answer: &Answer) -> Result<(), Error> {
        let answer = crate::store::to_document(answer)?;
        self.records.update_one(lease.filter(), doc! { "$set": { "answer": answer } }).await.map(drop)
    }

    pub(super) async fn drop(&self, lease: &Lease) -> Result<(), Error> {
        self.records.delete_one(lease.filter()).await.map(drop)
    }
}

impl Lease {
    fn filter(&self) -> bson::Document {
        doc! { "_id": &self.id, "owner": &self.owner }
    }
}

impl std::fmt::Debug for IdempotencyStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("IdempotencyStore").field(&self.records.namespace()).finish()
    }
}

fn is_duplicate(error: &Error) -> bool {
    matches!(&*error.kind, ErrorKind::Write(WriteFailure::WriteError(write)) if write.code == DUPLICATE_KEY)
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
