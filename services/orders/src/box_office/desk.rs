//! One listing's desk: takes what waits in line together.
//!
//! It reads the inventory, then what the orders say of the requests in line, decides in pure code, and writes the inventory on
//! the condition that it is what was read. A write that the server refused is decided anew. A write whose answer was lost is
//! neither made again nor looked for: it may land at any later time, unless another write of the inventory is faster. The
//! requests are answered with the error, what was known is forgotten, and the next decision reads what has become of it.

use std::sync::Arc;
use std::time::Duration;

use common::events::{By, Raised};
use common::id::{OrderId, TicketId};
use common::money::MoneyError;
use common::store::{Change, StoreError, Versioned};
use tokio::sync::mpsc;

use super::wishes::{Grant, Known, Verdict, Wish};
use super::{Held, HoldError, Request, SettleAnswer, Stores};
use crate::inventory::{Inventory, Movement, PendingHold};
use crate::order::{Input, Move, Order};

/// How many requests are taken together.
const BATCH: usize = 256;

/// How long a desk waits for the next request before it closes.
const IDLE: Duration = Duration::from_millis(500);

/// How often a batch is tried against desks of other replicas that were faster.
const ATTEMPTS: usize = 64;

/// A pending hold or settled movement older than this was left by a process that ended.
const LEFT_BEHIND: Duration = Duration::from_secs(10);

#[derive(Default)]
struct Batch {
    wishes: Vec<Wish>,
    settles: Vec<(OrderId, Option<SettleAnswer>)>,
    repair: bool,
}

impl Batch {
    fn of(requests: &mut Vec<Request>) -> Self {
        let mut batch = Self::default();
        for request in requests.drain(..) {
            match request {
                Request::Hold(wish) => batch.wishes.push(wish),
                Request::Settle(order, answer) => batch.settles.push((order, answer)),
                Request::Repair => batch.repair = true,
            }
        }
        batch
    }
}

/// What one write of the inventory decided.
struct Decision {
    next: Inventory,
    holds: Vec<Verdict>,
    movements: Vec<(Movement, bool)>,
    left_behind: Vec<PendingHold>,
}

impl Decision {
    fn refuses_a_hold(&self) -> bool {
        self.holds.iter().any(Result::is_err)
    }
}

pub(super) struct Desk {
    ticket: TicketId,
    stores: Stores,
    line: mpsc::Receiver<Request>,
    known: Option<Versioned<Inventory>>,
    /// Holds of this desk whose orders are stored: the next write drops them from `pending`.
    stored: Vec<OrderId>,
}

impl Desk {
    pub(super) fn new(ticket: TicketId, stores: Stores, line: mpsc::Receiver<Request>) -> Self {
        Self { ticket, stores, line, known: None, stored: Vec::new() }
    }

    /// Serves until nobody has come for a while.
    pub(super) async fn run(mut self) {
        let mut requests = Vec::with_capacity(BATCH);
        while let Ok(1..) = tokio::time::timeout(IDLE, self.line.recv_many(&mut requests, BATCH)).await {
            self.serve(Batch::of(&mut requests)).await;
        }
        self.line.close();
        while self.line.recv_many(&mut requests, BATCH).await > 0 {
            self.serve(Batch::of(&mut requests)).await;
        }
        self.tidy().await;
    }

    async fn serve(&mut self, batch: Batch) {
        match self.decide(&batch).await {
            Ok(Some(decision)) => self.carry_out(batch, decision).await,
            Ok(None) => answer_all(batch, || HoldError::NotOnSale, || Ok(())),
            Err(error) => {
                let error = Arc::new(error);
                answer_all(batch, || HoldError::Store(error.clone()), || Err(error.clone()));
            }
        }
    }

    /// Writes the inventory; `None` if the listing has none.
    async fn decide(&mut self, batch: &Batch) -> Result<Option<Decision>, StoreError> {
        for attempt in 0..ATTEMPTS {
            let remembered = self.known.is_some();
            let Some(current) = self.inventory().await? else { return Ok(None) };
            let decision = self.consider(&current, batch, attempt > 0).await?;
            if decision.next == current.value {
                if decision.refuses_a_hold() {
                    // Another replica may have freed places since: nobody is turned away on hearsay, nor will the next be.
                    self.known = None;
                    if remembered {
                        continue;
                    }
                }
                return Ok(Some(decision));
            }
            match self.write(current, &decision).await {
                Err(StoreError::Conflict) => {}
                written => return written.map(|()| Some(decision)),
            }
        }
        Err(StoreError::Conflict)
    }

    async fn inventory(&mut self) -> Result<Option<Versioned<Inventory>>, StoreError> {
        if self.known.is_none() {
            self.known = self.stores.inventories.get(self.ticket).await?;
        }
        Ok(self.known.clone())
    }

    /// What the orders say is read after the inventory's version is known: if another replica makes one of their movements or
    /// grants a hold meanwhile, the version has moved on too and the write that counts it twice fails. After another replica was
    /// faster (`overtaken`), it may have made the order of any wish here, if it took the wish's request for given up.
    async fn consider(
        &self,
        current: &Versioned<Inventory>,
        batch: &Batch,
        overtaken: bool,
    ) -> Result<Decision, StoreError> {
        let mut next = current.value.clone();
        next.forget_holds(&self.stored);
        let left_behind = self.left_behind(&mut next, batch.repair).await?;
        // Movements may free places, also one that nobody has come for yet, of an order whose last one is settled.
        let none = batch.settles.is_empty() && next.settled.is_empty();
        let left = if none { next.left() } else { next.capacity };
        let wanted = batch.settles.iter().map(|(order, _)| *order);
        let settled = next.settled.iter().map(|settled| settled.order_id);
        let (movements, mut known) = tokio::try_join!(
            self.stores.orders.movements(wanted.chain(settled).collect()),
            Known::read(&self.stores, &next, &batch.wishes, left, overtaken),
        )?;
        next.forget_movements(&movements);
        let movements = movements
            .into_iter()
            .map(|movement| (next.settle(&movement), movement))
            .map(|(granted, movement)| (movement, granted))
            .collect();
        let now = self.stores.clock.now();
        let wishes = batch.wishes.iter();
        let holds = wishes.map(|wish| known.decide(wish, &mut next, &self.stores.limits, now)).collect();
        Ok(Decision { next, holds, movements, left_behind })
    }

    /// Takes out of `next` the holds that a crash left, after their orders are stored.
    async fn left_behind(&self, next: &mut Inventory, repair: bool) -> Result<Vec<PendingHold>, StoreError> {
        if !repair {
            return Ok(Vec::new());
        }
        let old = self.stores.clock.now() - LEFT_BEHIND;
        let left: Vec<PendingHold> = next.pending.iter().filter(|hold| hold.at < old).cloned().collect();
        if left.is_empty() {
            return Ok(left);
        }
        let Some(ticket) = self.stores.tickets.get(self.ticket).await? else { return Ok(Vec::new()) };
        let orders = left.iter().map(|hold| Ok(born(Order::held(&ticket.value.listing, hold)?, None)));
        let orders = orders.collect::<Result<_, MoneyError>>().map_err(StoreError::codec)?;
        self.stores.orders.insert_many(orders).await?;
        next.pending.retain(|hold| hold.at >= old);
        Ok(left)
    }

    async fn write(&mut self, current: Versioned<Inventory>, decision: &Decision) -> Result<(), StoreError> {
        let change = Change::new(decision.next.clone(), decision.next.changed().by_system());
        // What is known until the answer has come is no more than a guess.
        self.known = None;
        self.known = Some(self.stores.inventories.save(&current, change).await?);
        self.stores.meter.written(&current.value, &decision.next);
        self.stored.clear();
        Ok(())
    }

    async fn carry_out(&mut self, batch: Batch, decision: Decision) {
        for hold in &decision.left_behind {
            tracing::warn!(order = %hold.order_id, "order of a hold stored after a crash");
        }
        let settling = async {
            let settled = self.finish(decision.movements).await.map_err(Arc::new);
            for (_, answer) in batch.settles {
                if let Some(answer) = answer {
                    // Who has gone needs no answer.
                    let _ = answer.send(settled.clone());
                }
            }
        };
        let (stored, ()) = tokio::join!(self.store_orders(batch.wishes, decision.holds), settling);
        self.stored.extend(stored);
    }

    /// Stores the orders of the granted holds and answers their buyers. Says which orders are stored.
    async fn store_orders(&self, wishes: Vec<Wish>, holds: Vec<Verdict>) -> Vec<OrderId> {
        let (mut orders, mut answers) = (Vec::new(), Vec::new());
        for (Wish { order, traceparent, answer, .. }, hold) in wishes.into_iter().zip(holds) {
            // Who has gone needs no answer.
            let (order, held) = match hold {
                Ok(Grant::New) => (*order, Held::New),
                Ok(Grant::Pending(pending)) => match order.held_as(&pending) {
                    Ok(order) => (order, Held::Before),
                    Err(error) => {
                        let _ = answer.send(Err(HoldError::Store(Arc::new(StoreError::codec(error)))));
                        continue;
                    }
                },
                Ok(Grant::Stored) => {
                    let _ = answer.send(Ok(Held::Before));
                    continue;
                }
                Err(refused) => {
                    let _ = answer.send(Err(refused));
                    continue;
                }
            };
            orders.push(born(order, traceparent));
            answers.push((answer, held));
        }
        if orders.is_empty() {
            return Vec::new();
        }
        let ids: Vec<OrderId> = orders.iter().map(|(order, _)| order.id).collect();
        match self.stores.orders.insert_many(orders).await {
            Ok(()) => {
                answers.into_iter().for_each(|(answer, held)| drop(answer.send(Ok(held))));
                ids
            }
            Err(error) => {
                let error = Arc::new(error);
                answers.into_iter().for_each(|(answer, _)| drop(answer.send(Err(HoldError::Store(error.clone())))));
                Vec::new()
            }
        }
    }

    /// Tells orders that waited for an answer, then takes the movements out of the orders.
    async fn finish(&self, movements: Vec<(Movement, bool)>) -> Result<(), StoreError> {
        for (movement, granted) in &movements {
            if movement.places == Move::Reacquire {
                let input = if *granted { Input::PlacesGranted } else { Input::PlacesDenied };
                self.stores.orders.inform(movement.order_id, input).await?;
            }
        }
        self.stores.orders.clear_movements(movements.into_iter().map(|(movement, _)| movement)).await
    }

    async fn tidy(&mut self) {
        if self.stored.is_empty() {
            return;
        }
        if let Err(error) = self.decide(&Batch::default()).await {
            tracing::debug!(%error, "pending holds not tidied; the repair sweep does it");
        }
    }
}

fn born(order: Order, traceparent: Option<String>) -> (Order, Raised<common::events::OrderEvent>) {
    let event = Raised { event: order.created(), actor: Some(order.buyer_id), traceparent };
    (order, event)
}

fn answer_all(batch: Batch, hold: impl Fn() -> HoldError, settle: impl Fn() -> Result<(), Arc<StoreError>>) {
    for wish in batch.wishes {
        let _ = wish.answer.send(Err(hold()));
    }
    for (_, answer) in batch.settles {
        if let Some(answer) = answer {
            let _ = answer.send(settle());
        }
    }
}
