//! Sweeps: what events and crashes left undone is found here.

use std::sync::Arc;
use std::time::Duration;

use common::id::OrderId;
use common::service::JobError;
use common::store::StoreError;
use futures::{StreamExt, stream};

use crate::Orders;
use crate::order::Input;
use crate::store::forgotten_holds;

const BATCH: i64 = 500;
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
    let overdue = orders.orders.overdue(orders.clock.now() - OVERDUE_AFTER, BATCH).await?;
    Ok(end_holds(&orders, overdue).await?)
}

/// Ends the holds of these orders. One that fails does not keep the others.
///
/// # Errors
/// The store's.
pub(crate) async fn end_holds(orders: &Orders, overdue: Vec<OrderId>) -> Result<(), StoreError> {
    let ends = overdue.into_iter().map(|id| end(orders, id));
    let ended: Vec<_> = stream::iter(ends).buffer_unordered(CONCURRENT).collect().await;
    ended.into_iter().collect()
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
    let since = orders.clock.now() - FORGOTTEN_AFTER;
    for (ticket, order) in orders.orders.forgotten_movements(since, BATCH).await? {
        orders.box_office.settle_soon(ticket, order);
    }
    Ok(())
}

/// Stores the orders of holds that a crash left without.
///
/// # Errors
/// The store's.
pub(crate) async fn repair_holds(orders: Arc<Orders>) -> Result<(), JobError> {
    let since = orders.clock.now() - LEFT_BEHIND_AFTER;
    for ticket in forgotten_holds(&orders.inventories, since, BATCH).await? {
        orders.box_office.repair_soon(ticket);
    }
    Ok(())
}
