//! Orders: the authority over places. Holds them, sells them, takes them back, and admits people by their passes.

mod api;
mod box_office;
pub mod inventory;
mod jobs;
mod listeners;
pub mod order;
mod pass_codes;
mod problems;
mod store;

use std::time::Duration;

use common::clock::SharedClock;
use common::events::TicketEvent;
use common::http::{Policy, routes};
use common::service::{Context, Service, StartError};
use common::store::Aggregates;

use box_office::BoxOffice;
use inventory::Inventory;
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
            passes => Policy::Owner;
            pass_keys => Policy::Public;
            check_in => Policy::Owner;
        })
        .listen(listeners::on_ticket)
        .projection::<TicketEvent>(store::TICKETS)
        .listen_passing_over(listeners::overtaken_payment, listeners::on_payment)
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
    orders: OrderStore,
    inventories: Aggregates<Inventory>,
    tickets: TicketReplicas,
    box_office: BoxOffice,
    pass_codes: PassCodes,
}

impl Orders {
    async fn open(ctx: Context) -> Result<Self, StartError> {
        let clock = ctx.clock();
        let orders = OrderStore::new(ctx.aggregates(), clock.clone());
        let inventories: Aggregates<Inventory> = ctx.aggregates();
        let tickets: TicketReplicas = ctx.projection(store::TICKETS);
        let box_office = BoxOffice::new(inventories.clone(), orders.clone(), tickets.clone(), clock.clone());
        let pass_codes = PassCodes::new(store::pass_key(ctx.database(), ctx.now()).await?);
        Ok(Self { hold: ctx.settings().hold(), clock, orders, inventories, tickets, box_office, pass_codes })
    }
}
