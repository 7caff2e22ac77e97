//! Accounts of earlier builds get the one spelling of their address, and terms by which a search of today finds them.
//!
//! An account that nobody has looked at has no `spelled`: those are found by an index that has them alone, so that builds of
//! both kinds, and any number of replicas, may write side by side. An address becomes another one as everything of an account
//! does, by a compare-and-set that raises an event. If another account has the address already, they are not made one: that is
//! for people to decide. The account keeps its spelling, by which its owner signs in as before, and is counted at `/status`.

use common::each::each;
use common::events::{By, UserEvent};
use common::store::{Change, StoreError, Versioned};
use serde_json::json;

use crate::Auth;
use crate::store::{colliding, note_spelling, other_with_email, unspelled};
use crate::user::User;

/// How many accounts are looked at together, and how many of them at once.
const BATCH: i64 = 500;
const AT_ONCE: usize = 16;

/// So many collisions are counted, and not more.
const COUNTED: u64 = 1_000;

impl Auth {
    /// Looks at all accounts that earlier builds have left, and tells how many collide.
    pub(crate) async fn spell_addresses(&self) -> Result<(), StoreError> {
        loop {
            let left = unspelled(&self.users, BATCH).await?;
            let more = left.len() as i64 == BATCH;
            each(left, AT_ONCE, |user| self.spell_address(user)).await?;
            if !more {
                break;
            }
        }
        let collisions = colliding(&self.users, COUNTED).await?;
        self.status.set("addresses", collisions == 0, json!({ "collisions": collisions }));
        Ok(())
    }

    async fn spell_address(&self, user: Versioned<User>) -> Result<(), StoreError> {
        let (next, told) = user.value.respelled();
        let Some(event) = told else { return note_spelling(&self.users, &user, &next).await };
        if other_with_email(&self.users, &next).await? {
            tracing::warn!(account = %user.value.id, "another account has the one spelling of its address");
            return note_spelling(&self.users, &user, &user.value.colliding()).await;
        }
        match self.users.save(&user, Change::new(next, UserEvent::from(event).by_system())).await {
            // Somebody was faster: what there is to do is found at the next look.
            Ok(_) | Err(StoreError::Conflict | StoreError::Exists) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
