use std::time::Duration;

use bson::doc;
use common::clock::Time;
use common::id::{SessionId, UserId};
use common::store::{Aggregates, StoreError};
use serde::{Deserialize, Serialize};

use crate::user::User;

/// The array beside an account's state in which stands whose sessions are to be ended.
pub const ENDINGS: &str = "endings";

/// So long who wrote it is left to do it.
const LEFT_ALONE: Duration = Duration::from_secs(5);

/// Sessions that are to be ended because the password was replaced: written with the password, taken out when it is done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ending {
    /// Which replacement of the password it was.
    pub number: i64,
    /// The session that goes on.
    pub spared: Option<SessionId>,
    /// When the password was replaced.
    pub at: Time,
}

#[derive(Deserialize)]
struct Row {
    #[serde(rename = "_id")]
    user: UserId,
    endings: Vec<Ending>,
}

/// What a crash has left to be ended, of up to `limit` accounts.
///
/// # Errors
/// If the database does not answer.
pub async fn unfinished_endings(
    users: &Aggregates<User>,
    now: Time,
    limit: i64,
) -> Result<Vec<(UserId, Ending)>, StoreError> {
    let left = doc! { "endings.0": { "$exists": true }, "endings.at": { "$lt": now - LEFT_ALONE } };
    let rows = users.collection().beside_states::<Row>();
    let rows = rows.find(left).projection(doc! { ENDINGS: 1 }).limit(limit).await?;
    let endings = |Row { user, endings }| endings.into_iter().map(move |ending| (user, ending));
    Ok(rows.into_iter().flat_map(endings).collect())
}

/// Takes out what is done.
///
/// # Errors
/// If the database does not answer.
pub async fn forget_ending(users: &Aggregates<User>, user: UserId, ending: &Ending) -> Result<(), StoreError> {
    let done = doc! { "$pull": { ENDINGS: { "number": ending.number } } };
    users.table().update(doc! { "_id": user }, done).await
}
