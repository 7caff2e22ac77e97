use bson::{Bson, doc};
use common::clock::Time;
use common::http::Role;
use common::id::UserId;
use common::store::{Collection, Database, StoreError};
use serde::{Deserialize, Serialize};

/// Where it is stored.
pub(super) const GUARDS: &str = "guards";
const ID: &str = "admins";

/// How somebody stops being an administrator.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Removal {
    /// By getting this role.
    Role(Role),
    /// By having the account closed.
    Disable,
}

/// An administrator about to be taken away, with all that is needed to finish it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Leaving {
    /// Who.
    pub user: UserId,
    /// The version of the account that this is about; if it has moved on, this can not happen any more.
    pub version: i64,
    /// How.
    pub removal: Removal,
    /// Who wants it.
    pub by: UserId,
    /// When they wanted it.
    pub at: Time,
}

/// Whose turn it is to take an administrator away.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Turn {
    #[serde(rename = "_id")]
    id: String,
    /// Counts the changes of this document.
    pub number: i64,
    /// What is under way; whoever finds something here finishes it first.
    pub leaving: Option<Leaving>,
}

/// The one document that lets administrators be taken away one at a time, so that never the last one goes.
///
/// Who counts the administrators while nothing is under way, and then claims the very turn they saw, has counted right:
/// nobody can have been taken away in between. A claim survives a crash, because the next one finishes it.
#[derive(Clone, Debug)]
pub struct Admins {
    collection: Collection<Turn>,
}

impl Admins {
    /// The document in auth's database; made here if it is not there.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn open(database: &Database) -> Result<Self, StoreError> {
        let collection = database.collection(GUARDS);
        let first = Turn { id: ID.to_owned(), number: 0, leaving: None };
        match collection.insert_one(&first).await {
            Ok(()) | Err(StoreError::Exists) => Ok(Self { collection }),
            Err(error) => Err(error),
        }
    }

    /// The turn as it stands.
    ///
    /// # Errors
    /// If the database does not answer, or the document is gone.
    pub async fn turn(&self) -> Result<Turn, StoreError> {
        let gone = || StoreError::codec("guards has lost its document; restart auth to have it made again");
        self.collection.find_one(doc! { "_id": ID }).await?.ok_or_else(gone)
    }

    /// Claims the turn that was seen idle; `None` if somebody else was faster.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn claim(&self, seen: &Turn, leaving: Leaving) -> Result<Option<Turn>, StoreError> {
        let next = Turn { number: seen.number + 1, leaving: Some(leaving), ..seen.clone() };
        Ok(self.replace(seen.number, &next).await?.then_some(next))
    }

    /// Lets the next one have a turn; whoever comes second to say so changes nothing.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn release(&self, turn: &Turn) -> Result<(), StoreError> {
        let next = Turn { number: turn.number + 1, leaving: None, ..turn.clone() };
        self.replace(turn.number, &next).await.map(drop)
    }

    async fn replace(&self, number: i64, next: &Turn) -> Result<bool, StoreError> {
        let leaving =
            next.leaving.as_ref().map(common::store::to_document).transpose()?.map_or(Bson::Null, Bson::Document);
        let set = doc! { "$set": { "number": next.number, "leaving": leaving } };
        let result = self.collection.update_one(doc! { "_id": ID, "number": number }, set).await?;
        Ok(result.matched_count == 1)
    }
}
