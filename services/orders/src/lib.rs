//! Orders: the authority over places. Holds them, sells them, takes them back, and admits people by their passes.

mod api;
mod box_office;
mod hold_limits;
pub mod inventory;
mod jobs;
mod listeners;
mod meter;
mod moved;
pub mod order;
mod pass_codes;
mod problems;
pub mod sales;
mod sheet;
mod store;

use std::time::Duration;

use common::clock::SharedClock;
use common::events::{PaymentEvent, TicketEvent};
use common::http::{Policy, routes};
use common::service::{Context, Service, StartError};
use common::store::{Aggregate as _, Aggregates};
use common::zone::Zone;

use api::{admission, sold};
use box_office::BoxOffice;
use hold_limits::HoldLimits;
use inventory::Inventory;
use meter::Meter;
use order::Order;
use pass_codes::PassCodes;
use store::{OrderStore, TicketReplicas};

/// The service.
pub fn service() -> Service {
    Service::new("orders", Orders::open)
        .routes(routes! { api:
            create => Policy::SignedIn, idempotent;
            list => Policy::SignedIn;
            show => Policy::Owner;
            cancel => Policy::Owner;
        })
        .routes(routes! { admission:
            passes => Policy::Owner;
            pass_keys => Policy::Public;
            check_in => Policy::Owner, idempotent;
            undo => Policy::Owner, idempotent;
            check_ins => Policy::Owner;
        })
        .routes(routes! { sold:
            mine => Policy::SignedIn;
            summary => Policy::Owner;
            orders => Policy::Owner;
            export => Policy::Owner;
        })
        .owns::<Order>()
        .owns::<Inventory>()
        .listen(listeners::on_ticket)
        .projection::<TicketEvent>(store::TICKETS)
        .listen_passing_over(listeners::overtaken_payment, listeners::on_payment)
        .projection_within::<PaymentEvent>(Order::COLLECTION, "returned.version")
        .listen(listeners::on_expiration)
        .job("end overdue holds", Duration::from_secs(5), jobs::end_overdue_holds)
        .job("settle forgotten movements", Duration::from_secs(5), jobs::settle_forgotten)
        .job("repair holds", Duration::from_secs(5), jobs::repair_holds)
        .indexes(store::indexes())
        .build()
}

/// What the service's handlers, listeners and jobs share.
pub struct Orders {
    clock: SharedClock,
    hold: Duration,
    /// The time zone of business days, and of shows whose sellers say none.
    zone: Zone,
    orders: OrderStore,
    inventories: Aggregates<Inventory>,
    tickets: TicketReplicas,
    box_office: BoxOffice,
    pass_codes: PassCodes,
    meter: Meter,
}

impl Orders {
    async fn open(ctx: Context) -> Result<Self, StartError> {
        let clock = ctx.clock();
        let pass_codes = PassCodes::new(store::pass_key(ctx.database(), ctx.now()).await?);
        let orders = OrderStore::new(ctx.aggregates(), pass_codes.clone(), clock.clone());
        let inventories: Aggregates<Inventory> = ctx.aggregates();
        let tickets: TicketReplicas = ctx.projection(store::TICKETS);
        let meter = Meter::new();
        let (inventory, replicas) = (inventories.clone(), tickets.clone());
        let limits = HoldLimits::of(ctx.settings());
        let box_office = BoxOffice::new(inventory, orders.clone(), replicas, limits, clock.clone(), meter.clone());
        let (hold, zone) = (ctx.settings().hold(), ctx.settings().business_zone());
        Ok(Self { hold, zone, clock, orders, inventories, tickets, box_office, pass_codes, meter })
    }
}
