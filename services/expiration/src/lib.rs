//! Expiration: has the broker tell when the time of a hold is over. The deadlines wait in the broker, not here.

pub mod deadline;
mod listeners;

use common::bus::Bus;
use common::clock::SharedClock;
use common::service::{Context, Service, StartError};

/// The service.
pub fn service() -> Service {
    Service::new("expiration", Expiration::open).listen(listeners::on_order).build()
}

/// What the service's listeners share.
pub struct Expiration {
    bus: Bus,
    clock: SharedClock,
}

impl Expiration {
    async fn open(ctx: Context) -> Result<Self, StartError> {
        Ok(Self { bus: ctx.bus().clone(), clock: ctx.clock() })
    }
}
