//! Tickets: the catalogue of what is on sale. Orders counts the places; what it says is shown here.

mod api;
mod catalogue;
mod closed_accounts;
pub mod fields;
mod input;
mod jobs;
mod listeners;
mod news;
mod pages;
pub mod places;
mod problems;
pub mod shelf;
mod store;
pub mod ticket;
mod view;

use std::time::Duration;

use common::clock::SharedClock;
use common::events::{InventoryEvent, UserEvent};
use common::http::{Policy, routes};
use common::service::{Context, Service, StartError};
use common::store::Aggregate;
use common::zone::Zone;

use closed_accounts::ClosedAccounts;
use pages::Pages;
use store::TicketStore;
use ticket::Ticket;

/// The service.
pub fn service() -> Service {
    Service::new("tickets", Tickets::open)
        .routes(routes! { api:
            create => Policy::Confirmed, idempotent;
            list => Policy::Public, cached;
            show => Policy::Public, cached;
            edit => Policy::Owner;
            withdraw => Policy::Owner;
        })
        .owns::<Ticket>()
        .listen_passing_over(listeners::older_counts, listeners::on_inventory)
        .projection_within::<InventoryEvent>(Ticket::COLLECTION, "places.version")
        .listen(listeners::on_user)
        .projection::<UserEvent>(ClosedAccounts::COLLECTION)
        .job("suspend listings of closed accounts", Duration::from_secs(2), jobs::suspend_listings)
        .job("shelve ended sales", Duration::from_secs(10), jobs::shelve_ended)
        .job("search words", Duration::from_secs(10), jobs::add_words)
        .indexes(store::indexes())
        .build()
}

/// What the service's handlers, listeners and jobs share.
pub struct Tickets {
    clock: SharedClock,
    /// The time zone of shows whose sellers say none.
    zone: Zone,
    tickets: TicketStore,
    closed_accounts: ClosedAccounts,
    pages: Pages,
}

impl Tickets {
    async fn open(ctx: Context) -> Result<Self, StartError> {
        let tickets = TicketStore::new(ctx.aggregates());
        let pages = Pages::open(&ctx, tickets.clone()).await?;
        let (clock, zone) = (ctx.clock(), ctx.settings().business_zone());
        Ok(Self { clock, zone, tickets, closed_accounts: ClosedAccounts::new(ctx.database()), pages })
    }
}
