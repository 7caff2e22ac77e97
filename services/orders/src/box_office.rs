//! The box office: the only way to the places of a listing.
//!
//! Each listing that somebody wants something of has one desk in this process. What waits at a desk is taken together:
//! one conditional write of the inventory serves all holds and movements in line, first come first served, and one insert
//! stores their orders. Desks of other replicas do the same; the compare-and-set decides who was first, the other reads again.
//!
//! Only a write that the server itself refused is tried again. One whose answer was lost may still land: its askers are told
//! so, and what it did stands in `pending` and `settled` for whoever comes next.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use common::clock::SharedClock;
use common::id::{OrderId, TicketId};
use common::store::{Aggregates, StoreError};
use common::supervisor::Spawner;
use tokio::sync::{mpsc, oneshot};

use crate::hold_limits::{HoldLimits, TooMany};
use crate::inventory::{Inventory, SoldOut};
use crate::meter::Meter;
use crate::order::Order;
use crate::store::{OrderStore, TicketReplicas};

mod desk;
mod wishes;

use desk::Desk;
use wishes::Wish;

/// How many may wait at one desk; more are told to come back.
const LINE: usize = 2048;

/// Why a hold was not granted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HoldError {
    /// Not as many places are left.
    #[error(transparent)]
    SoldOut(#[from] SoldOut),
    /// The buyer has too many holds of this listing.
    #[error(transparent)]
    TooMany(#[from] TooMany),
    /// Too many wait for this listing.
    #[error("too many are waiting for this ticket")]
    Busy,
    /// The listing has no inventory.
    #[error("the ticket is not on sale")]
    NotOnSale,
    /// The store failed. Whether the places were taken is unknown; if they were, the hold ends by itself.
    #[error(transparent)]
    Store(Arc<StoreError>),
}

/// Since when a granted hold has its places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// By this request; its order is as it was wished.
    New,
    /// By an earlier attempt of the same request; its order is stored and may have gone on.
    Before,
}

type HoldAnswer = oneshot::Sender<Result<Held, HoldError>>;
type SettleAnswer = oneshot::Sender<Result<(), Arc<StoreError>>>;

/// What somebody wants at a desk.
enum Request {
    Hold(Wish),
    Settle(OrderId, Option<SettleAnswer>),
    Repair,
}

/// What desks work with.
#[derive(Clone)]
struct Stores {
    inventories: Aggregates<Inventory>,
    orders: OrderStore,
    tickets: TicketReplicas,
    limits: HoldLimits,
    clock: SharedClock,
    meter: Meter,
}

/// All desks of this process.
#[derive(Clone)]
pub(crate) struct BoxOffice {
    stores: Stores,
    desks: Arc<Mutex<HashMap<TicketId, mpsc::Sender<Request>>>>,
    spawner: Spawner,
}

impl BoxOffice {
    /// A box office over the service's stores.
    pub(crate) fn new(
        inventories: Aggregates<Inventory>,
        orders: OrderStore,
        tickets: TicketReplicas,
        limits: HoldLimits,
        clock: SharedClock,
        meter: Meter,
    ) -> Self {
        let stores = Stores { inventories, orders, tickets, limits, clock, meter };
        Self { stores, desks: Arc::default(), spawner: Spawner::of("hold queue") }
    }

    /// Takes places and stores the order that holds them; once, if an earlier attempt of the same request (`repeated`) has
    /// done so. `per_order` is the listing's own limit.
    ///
    /// # Errors
    /// [`HoldError`].
    pub(crate) async fn hold(&self, order: Order, repeated: bool, per_order: Option<u32>) -> Result<Held, HoldError> {
        let places = order.quantity;
        let held = self.stand_in_line(order, repeated, per_order).await;
        self.stores.meter.answered(&held, places);
        held
    }

    async fn stand_in_line(&self, order: Order, repeated: bool, per_order: Option<u32>) -> Result<Held, HoldError> {
        let ticket = order.ticket_id;
        let (answer, answered) = oneshot::channel();
        let wish = Wish {
            order: Box::new(order),
            repeated,
            limit: self.stores.limits.of_listing(per_order),
            since: self.stores.clock.now(),
            traceparent: common::telemetry::current_traceparent(),
            answer,
        };
        self.ask(ticket, Request::Hold(wish)).map_err(|_| HoldError::Busy)?;
        answered.await.unwrap_or(Err(HoldError::Busy))
    }

    /// Moves the places that a change of an order demands, and comes back when they are moved.
    ///
    /// # Errors
    /// If the store failed or the desk is busy; the sweep does it later then.
    pub(crate) async fn settle(&self, ticket: TicketId, order: OrderId) -> Result<(), Arc<StoreError>> {
        let (answer, answered) = oneshot::channel();
        match self.ask(ticket, Request::Settle(order, Some(answer))) {
            Ok(()) => answered.await.unwrap_or(Ok(())),
            Err(Full) => Ok(()),
        }
    }

    /// Has the places of an order moved some time soon.
    pub(crate) fn settle_soon(&self, ticket: TicketId, order: OrderId) {
        // A full line needs no answer: the sweep asks again.
        let _ = self.ask(ticket, Request::Settle(order, None));
    }

    /// Has a listing's unfinished business, left by a crash, finished some time soon.
    pub(crate) fn repair_soon(&self, ticket: TicketId) {
        let _ = self.ask(ticket, Request::Repair);
    }

    fn ask(&self, ticket: TicketId, request: Request) -> Result<(), Full> {
        let mut desks = self.desks.lock().unwrap_or_else(PoisonError::into_inner);
        let request = match desks.get(&ticket) {
            None => request,
            Some(desk) => match desk.try_send(request) {
                Ok(()) => return Ok(()),
                Err(mpsc::error::TrySendError::Full(_)) => return Err(Full),
                Err(mpsc::error::TrySendError::Closed(request)) => request,
            },
        };
        self.open(&mut desks, ticket, request)
    }

    fn open(
        &self,
        desks: &mut HashMap<TicketId, mpsc::Sender<Request>>,
        ticket: TicketId,
        request: Request,
    ) -> Result<(), Full> {
        desks.retain(|_, desk| !desk.is_closed());
        let (desk, line) = mpsc::channel(LINE);
        desk.try_send(request).map_err(|_| Full)?;
        desks.insert(ticket, desk);
        // A panic drops the line: who waits is told that it is busy, and the next request opens another desk.
        self.spawner.spawn(Desk::new(ticket, self.stores.clone(), line).run());
        Ok(())
    }
}

struct Full;

#[cfg(test)]
mod tests;
