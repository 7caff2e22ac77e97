//! Events in: one function per domain.

use std::sync::Arc;

use common::bus::{EventRecord, ListenError, Received};
use common::events::payments::{PaymentSnapshot, PaymentStatus};
use common::events::tickets::{Listing, TicketSnapshot};
use common::events::{By, DecodeError, DomainEvent as _, ExpirationEvent, PaymentEvent, TicketEvent};
use common::id::OrderId;
use common::store::{Change, StoreError};

use crate::Orders;
use crate::inventory::Inventory;
use crate::jobs::end_holds;
use crate::order::{Disputing, Input, OrderState, Returned};
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
        TicketEvent::Updated(updated) => {
            let follow = |inventory: &mut Inventory| {
                inventory.resize(updated.listing.quantity);
                inventory.on_sale &= !updated.listing.suspended;
            };
            alter(&orders, &received.record, follow).await?;
        }
        TicketEvent::Withdrawn(_) => alter(&orders, &received.record, |inventory| inventory.on_sale = false).await?,
        TicketEvent::Snapshot(TicketSnapshot { listing, withdrawn }) => {
            // Its first event may be among those that were missed.
            open_inventory(&orders, listing).await?;
            let follow = |inventory: &mut Inventory| {
                inventory.resize(listing.quantity);
                inventory.on_sale = !withdrawn && !listing.suspended;
            };
            alter(&orders, &received.record, follow).await?;
        }
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
        TicketEvent::Snapshot(TicketSnapshot { listing, withdrawn }) => Some(Replica { listing, withdrawn }),
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

/// Changes the inventory as the listing's event says, unless a later one has changed it: a replica that is rebuilt sees
/// old events, and the number of places must not go back with it.
async fn alter(orders: &Orders, record: &EventRecord, change: impl Fn(&mut Inventory)) -> Result<(), StoreError> {
    let altered = orders.inventories.advance(&record.aggregate, |current| {
        let mut next = current.value.clone();
        change(&mut next);
        if next == current.value || record.version <= next.listing_version {
            return None;
        }
        next.listing_version = record.version;
        let event = next.changed().by_system();
        Some(Change::new(next, event))
    });
    altered.await.map(drop)
}

/// That the payment began needs no telling when it has come to its end already.
pub(crate) fn overtaken_payment(earlier: &str, later: &str) -> bool {
    matches!((earlier, later), ("payment.created", "payment.succeeded" | "payment.cancelled"))
}

/// Tells the order what became of its money.
///
/// # Errors
/// If there is no such order, or the store failed.
pub(crate) async fn on_payment(orders: Arc<Orders>, received: Received<PaymentEvent>) -> Result<(), ListenError> {
    if let PaymentEvent::Snapshot(PaymentSnapshot { status: PaymentStatus::Unknown(status), .. }) = &received.event {
        let (name, value) = (received.event.kind().name, status.as_str().to_owned());
        return Err(DecodeError::UnknownValue { name, value }.into());
    }
    if let Some((id, returned)) = Returned::told_by(&received.event, received.record.version) {
        orders.orders.note_returned(id, returned).await?;
    }
    if let Some((id, dispute)) = Disputing::told_by(&received.event, received.record.version) {
        orders.orders.note_dispute(id, dispute).await?;
    }
    match Input::told_by(&received.event) {
        Some((id, gone @ (Input::MoneyReturned | Input::MoneyTakenBack))) => money_gone(&orders, id, gone).await,
        Some((id, input)) => inform(&orders, id, input).await.map(drop),
        None => Ok(()),
    }
}

/// Ends the holds whose deadlines have passed, of the orders that still hold.
///
/// # Errors
/// If the deadlines have not passed by this clock yet, or the store failed.
pub(crate) async fn on_expiration(orders: Arc<Orders>, received: Received<ExpirationEvent>) -> Result<(), ListenError> {
    let ExpirationEvent::Due(due) = received.event;
    if orders.clock.now() < due.expires_at {
        return Err(ListenError::transient("the broker's clock is ahead of this one"));
    }
    let holding = orders.orders.holding_of(due.order_ids).await?;
    Ok(end_holds(&orders, holding).await?)
}

async fn money_gone(orders: &Orders, id: OrderId, gone: Input) -> Result<(), ListenError> {
    match inform(orders, id, gone).await? {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_beginning_of_a_payment_is_overtaken() {
        let names: Vec<&str> = PaymentEvent::catalogue().iter().map(|spec| spec.kind.name).collect();
        let overtaken = |earlier: &str| names.iter().filter(|later| overtaken_payment(earlier, later)).count();
        assert_eq!(names.iter().map(|name| overtaken(name)).sum::<usize>(), 2, "a snapshot overtakes nothing");
        assert_eq!(overtaken("payment.created"), 2);
    }
}
