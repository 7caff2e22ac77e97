//! Sweeps: what events and crashes left undone is found here.
//!
//! A turn goes through all that there is at its beginning, each thing once, so it ends, and what fails keeps nothing else from
//! its turn. Replicas sweep at the same time. Each takes the ids from its own cursor by the thousand and does them in an order
//! of its own, so that they meet few times, and what one finds done by another costs it a read that it shares with hundreds.
//! Whoever comes first does it: every change is a compare-and-set, and a state machine that has nothing left to do.

use std::hash::{BuildHasher, Hash, RandomState};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use common::each::each;
use common::id::OrderId;
use common::service::JobError;
use common::store::StoreError;
use futures::{Stream, StreamExt, TryStreamExt};

use crate::Orders;
use crate::order::Input;
use crate::store::forgotten_holds;

/// How many ids a sweep has in memory. The more, the fewer replicas do the same at the same time.
const CHUNK: usize = 4096;
/// What so many ask of the store at a time goes there together.
const CONCURRENT: usize = 256;

/// How long after its deadline a hold is ended without a word from expiration.
const OVERDUE_AFTER: Duration = Duration::from_secs(3);

/// How old unfinished business must be before it counts as left by a crash.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(5);
const LEFT_BEHIND_AFTER: Duration = Duration::from_secs(12);

/// Ends holds whose deadline has passed, should expiration be silent.
///
/// # Errors
/// The store's.
pub(crate) async fn end_overdue_holds(orders: Arc<Orders>) -> Result<(), JobError> {
    let overdue = orders.orders.overdue(orders.clock.now() - OVERDUE_AFTER).await?;
    Ok(sweep(overdue, |id| end(&orders, id)).await?)
}

/// Ends the holds of these orders. One that fails does not keep the others.
///
/// # Errors
/// The store's.
pub(crate) async fn end_holds(orders: &Orders, overdue: Vec<OrderId>) -> Result<(), StoreError> {
    each(overdue, CONCURRENT, |id| end(orders, id)).await
}

async fn end(orders: &Orders, id: OrderId) -> Result<(), StoreError> {
    if let Some(order) = orders.orders.inform(id, Input::DeadlinePassed).await? {
        orders.box_office.settle_soon(order.value.ticket_id, id);
    }
    Ok(())
}

/// Moves places that orders have asked for and nobody has moved.
///
/// # Errors
/// The store's.
pub(crate) async fn settle_forgotten(orders: Arc<Orders>) -> Result<(), JobError> {
    let forgotten = orders.orders.forgotten_movements(orders.clock.now() - FORGOTTEN_AFTER).await?;
    let settle = |(ticket, order)| orders.box_office.settle(ticket, order);
    // It waits for the answers, so that no hold queue gets more of them than it can take.
    sweep(forgotten.map_err(Arc::new), settle).await.map_err(JobError::from)
}

/// Stores the orders of holds that a crash left without.
///
/// # Errors
/// The store's.
pub(crate) async fn repair_holds(orders: Arc<Orders>) -> Result<(), JobError> {
    let since = orders.clock.now() - LEFT_BEHIND_AFTER;
    let mut forgotten = pin!(forgotten_holds(&orders.inventories, since).await?);
    while let Some(ticket) = forgotten.try_next().await? {
        orders.box_office.repair_soon(ticket);
    }
    Ok(())
}

/// Does something for each, whatever becomes of the others. Answers the first failure, after all have had their turn.
async fn sweep<T, E, F>(found: impl Stream<Item = Result<T, E>>, turn: impl Fn(T) -> F) -> Result<(), E>
where
    T: Hash,
    F: Future<Output = Result<(), E>>,
{
    let mut outcome = Ok(());
    let mut chunks = pin!(found.try_chunks(CHUNK));
    while let Some(chunk) = chunks.next().await {
        match chunk {
            Ok(chunk) => outcome = outcome.and(each(shuffled(chunk), CONCURRENT, &turn).await),
            Err(broken) => {
                outcome = outcome.and(each(shuffled(broken.0), CONCURRENT, &turn).await).and(Err(broken.1));
            }
        }
    }
    outcome
}

/// In an order that no other process has.
fn shuffled<T: Hash>(mut things: Vec<T>) -> Vec<T> {
    let of_this_process = RandomState::new();
    things.sort_by_cached_key(|thing| of_this_process.hash_one(thing));
    things
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use futures::stream;

    use super::*;

    #[tokio::test]
    async fn a_failure_keeps_nothing_else_from_its_turn() {
        let done = RefCell::new(Vec::new());
        let found = (0..10_000_u32).map(|nth| if nth == 9_000 { Err("the cursor broke") } else { Ok(nth) });
        let turn = |nth: u32| {
            done.borrow_mut().push(nth);
            std::future::ready(if nth == 17 { Err("17 failed") } else { Ok(()) })
        };
        assert_eq!(sweep(stream::iter(found), turn).await, Err("17 failed"));
        let mut done = done.into_inner();
        assert!(!done.is_sorted());
        done.sort_unstable();
        let expected: Vec<u32> = (0..10_000).filter(|nth| *nth != 9_000).collect();
        assert_eq!(done, expected);
    }
}
