//! What happens to orders: the replica follows, and what the order wants is written down. No listener calls Stripe: other
//! orders' events wait behind this one, so a job does what Stripe is needed for.

use std::sync::Arc;

use common::bus::{ListenError, Received};
use common::events::OrderEvent;

use crate::Payments;
use crate::order::{Duty, OrderReplica, understood};

/// Follows an order. What follows from the event is done for a repeated one too: a crash may have come in between.
pub(crate) async fn on_order(payments: Arc<Payments>, received: Received<OrderEvent>) -> Result<(), ListenError> {
    let Received { event, record } = received;
    understood(&event)?;
    payments.orders.apply(&record, |known| OrderReplica::after(known, &event)).await?;
    match Duty::of(&event) {
        Some(Duty::Close(order)) => Ok(payments.end(&order).await?),
        Some(Duty::GiveAllBack(order)) => match payments.want_all_back(order).await? {
            true => Ok(()),
            false => Err(ListenError::permanent("a refund is wanted of an order for which no money came in")),
        },
        None => Ok(()),
    }
}
