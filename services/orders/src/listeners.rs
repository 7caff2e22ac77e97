//! Events in: one function per domain.

use std::sync::Arc;

use common::bus::{ListenError, Received};
use common::events::tickets::Listing;
use common::events::{By, ExpirationEvent, PaymentEvent, TicketEvent};
use common::id::OrderId;
use common::store::{Change, StoreError};

use crate::Orders;
use crate::inventory::Inventory;
use crate::order::{Input, OrderState};
use crate::store::Replica;

/// Keeps the replica of a listing, and its inventory's capacity.
///
/// # Errors
/// If the event came too early, or the store failed.
pub(crate) async fn on_ticket(orders: Arc<Orders>, received: Received<TicketEvent>) -> Result<(), ListenError> {
    if !orders.tickets.is_next(&received.record).await? {
        return Ok(());
    }
    // The inventory first: were the replica first, a crash in between would leave the inventory as it was.
    match &received.event {
        TicketEvent::Created(created) => open_inventory(&orders, &created.listing).await?,
        TicketEvent::Updated(updated) => change_inventory(&orders, &updated.listing).await?,
        TicketEvent::Withdrawn(withdrawn) => close_inventory(&orders, &withdrawn.ticket_id.to_string()).await?,
    }
    orders.tickets.apply(&received.record, |known| fold(known, received.event)).await?;
    Ok(())
}

fn fold(known: Option<Replica>, event: TicketEvent) -> Option<Replica> {
    match event {
        TicketEvent::Created(created) => Some(Replica { listing: created.listing, withdrawn: false }),
        TicketEvent::Updated(updated) => {
            let withdrawn = known.is_some_and(|known| known.withdrawn);
            Some(Replica { listing: updated.listing, withdrawn })
        }
        TicketEvent::Withdrawn(_) => known.map(|known| Replica { withdrawn: true, ..known }),
    }
}

async fn open_inventory(orders: &Orders, listing: &Listing) -> Result<(), StoreError> {
    let inventory = Inventory::new(listing.ticket_id, listing.quantity);
    let event = inventory.changed().by_system();
    match orders.inventories.insert(inventory, event).await {
        Ok(_) | Err(StoreError::Exists) => Ok(()),
        Err(error) => Err(error),
    }
}

async fn change_inventory(orders: &Orders, listing: &Listing) -> Result<(), StoreError> {
    alter(orders, &listing.ticket_id.to_string(), |inventory| inventory.resize(listing.quantity)).await
}

async fn close_inventory(orders: &Orders, ticket: &str) -> Result<(), StoreError> {
    alter(orders, ticket, |inventory| inventory.on_sale = false).await
}

async fn alter(orders: &Orders, ticket: &str, change: impl Fn(&mut Inventory)) -> Result<(), StoreError> {
    let altered = orders.inventories.advance(ticket, |current| {
        let mut next = current.value.clone();
        change(&mut next);
        let event = next.changed().by_system();
        (next != current.value).then(|| Change::new(next, event))
    });
    altered.await.map(drop)
}

/// Tells the order what became of its money.
///
/// # Errors
/// If there is no such order, or the store failed.
pub(crate) async fn on_payment(orders: Arc<Orders>, received: Received<PaymentEvent>) -> Result<(), ListenError> {
    let (id, input) = match received.event {
        PaymentEvent::Created(payment) => (payment.order_id, Input::PaymentStarted),
        PaymentEvent::Succeeded(payment) => (payment.order_id, Input::PaymentSucceeded),
        PaymentEvent::Cancelled(payment) => (payment.order_id, Input::PaymentCancelled),
        PaymentEvent::Refunded(payment) if payment.in_full => return money_returned(&orders, payment.order_id).await,
        _ => return Ok(()),
    };
    inform(&orders, id, input).await.map(drop)
}

/// Ends the hold whose deadline has passed.
///
/// # Errors
/// If the deadline has not passed by this clock yet, there is no such order, or the store failed.
pub(crate) async fn on_expiration(orders: Arc<Orders>, received: Received<ExpirationEvent>) -> Result<(), ListenError> {
    let ExpirationEvent::Due(due) = received.event;
    if orders.clock.now() < due.expires_at {
        return Err(ListenError::transient("the broker's clock is ahead of this one"));
    }
    inform(&orders, due.order_id, Input::DeadlinePassed).await.map(drop)
}

async fn money_returned(orders: &Orders, id: OrderId) -> Result<(), ListenError> {
    match inform(orders, id, Input::MoneyReturned).await? {
        OrderState::Reacquiring => Err(ListenError::transient("the order's places are being taken back")),
        _ => Ok(()),
    }
}

async fn inform(orders: &Orders, id: OrderId, input: Input) -> Result<OrderState, ListenError> {
    let informed = orders.orders.inform(id, input).await?;
    let order = informed.ok_or_else(|| ListenError::permanent(format!("there is no order {id}")))?.value;
    if !matches!(order.state, OrderState::Created | OrderState::AwaitingPayment) {
        orders.box_office.settle_soon(order.ticket_id, order.id);
    }
    Ok(order.state)
}
