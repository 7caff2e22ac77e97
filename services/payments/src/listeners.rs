//! What happens to orders: the replica follows, and the arbiter acts.

use std::sync::Arc;

use common::bus::{ListenError, Received};
use common::events::OrderEvent;

use crate::Payments;
use crate::arbiter::{SettleError, shortly};
use crate::gateway::GatewayError;
use crate::order::{Duty, OrderReplica};

impl From<SettleError> for ListenError {
    fn from(error: SettleError) -> Self {
        match error {
            SettleError::Store(error) => error.into(),
            SettleError::Gateway(error @ GatewayError::Refused { .. }) => Self::permanent(error),
            SettleError::Gateway(error) => Self::transient(error),
        }
    }
}

/// Follows an order. What follows from the event is done for a repeated one too: a crash may have come in between.
pub(crate) async fn on_order(payments: Arc<Payments>, received: Received<OrderEvent>) -> Result<(), ListenError> {
    let Received { event, record } = received;
    payments.orders.apply(&record, |known| OrderReplica::after(known, &event)).await?;
    // Other orders' events wait behind this one, so Stripe gets a short time only.
    match Duty::of(&event) {
        Some(Duty::Close(order)) => Ok(shortly(Box::pin(payments.end(&order))).await?),
        Some(Duty::GiveAllBack(order)) => match shortly(Box::pin(payments.give_all_back(order))).await? {
            true => Ok(()),
            false => Err(ListenError::permanent("a refund is wanted of an order for which no money came in")),
        },
        None => Ok(()),
    }
}
