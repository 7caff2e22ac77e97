//! Expiration: has the broker tell when the time of holds is over. The deadlines wait in the broker, not here.

mod alarm;
pub mod deadline;
mod listeners;

use std::sync::Arc;

use common::events::ExpirationEvent;
use common::gather::Gather;
use common::service::{Context, Service, StartError};

use alarm::{Alarm, NotSet};
use deadline::Deadline;

/// The service.
pub fn service() -> Service {
    Service::new("expiration", Expiration::open).publishes::<ExpirationEvent>().listen(listeners::on_order).build()
}

/// What the service's listeners share.
pub struct Expiration {
    deadlines: Gather<Deadline, Result<(), Arc<NotSet>>>,
}

impl Expiration {
    async fn open(ctx: Context) -> Result<Self, StartError> {
        let alarm = Alarm::new(ctx.bus().clone(), ctx.clock());
        Ok(Self { deadlines: Gather::new(move |deadlines| alarm.clone().set_all(deadlines)) })
    }
}
