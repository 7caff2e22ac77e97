//! What virtual buyers do.

use std::time::Duration;

use common::id::{OrderId, TicketId};

use crate::buyers::Buyer;
use crate::history::{Attempt, History, HoldAnswer, PayAnswer};
use crate::http::{Call, Connection};
use crate::load::{Timed, Visit};
use crate::platform::{hold, order, passes, pay};
use crate::timing::now;

/// Between two looks at an order that is being completed: about as a page would do it.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// When a buyer gives up to wait for the pass.
const PATIENCE: Duration = Duration::from_secs(60);

/// Each buyer holds one place, the listings in turn.
pub(crate) struct Hold {
    pub(crate) buyers: Vec<Buyer>,
    pub(crate) tickets: Vec<TicketId>,
}

impl Hold {
    /// Who comes as the nth, and what for.
    pub(crate) fn of(&self, nth: usize) -> (&Buyer, TicketId) {
        (&self.buyers[nth % self.buyers.len()], self.tickets[nth % self.tickets.len()])
    }
}

/// A hold with who wanted it.
pub(crate) async fn held(connection: &mut Connection, buyer: &Buyer, ticket: TicketId) -> Attempt {
    let answer = HoldAnswer::of(connection.send(&hold(buyer, ticket)).await);
    Attempt { buyer: buyer.id, ticket, answer }
}

impl Visit for Hold {
    type Outcome = Attempt;

    async fn visit(&self, connection: &mut Connection, nth: usize) -> Attempt {
        let (buyer, ticket) = self.of(nth);
        held(connection, buyer, ticket).await
    }
}

/// What was tried and answered in all of them.
pub(crate) fn history<'a>(tickets: &[TicketId], capacity: u32, attempts: impl Iterator<Item = &'a Attempt>) -> History {
    History { attempts: attempts.copied().collect(), ..History::of(tickets, capacity) }
}

/// Each buyer pays their order.
pub(crate) struct PayAll(pub(crate) Vec<(Buyer, OrderId)>);

impl Visit for PayAll {
    type Outcome = (OrderId, PayAnswer);

    async fn visit(&self, connection: &mut Connection, nth: usize) -> Self::Outcome {
        let (buyer, order) = &self.0[nth];
        (*order, PayAnswer::of(connection.send(&pay(buyer, *order)).await))
    }
}

/// Each buyer goes the whole way: hold, pay, wait for the order to be complete, look at the pass.
pub(crate) struct Journey(pub(crate) Hold);

/// How far a buyer came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Travelled {
    pub(crate) attempt: Attempt,
    pub(crate) hold_took: Duration,
    /// The answer, and how long it took.
    pub(crate) payment: Option<(PayAnswer, Duration)>,
    /// Whether the buyer saw the pass.
    pub(crate) arrived: bool,
}

impl Visit for Journey {
    type Outcome = Travelled;

    async fn visit(&self, connection: &mut Connection, nth: usize) -> Travelled {
        let (buyer, ticket) = self.0.of(nth);
        let begun = now();
        let attempt = held(connection, buyer, ticket).await;
        let hold_took = begun.elapsed();
        let Some(id) = attempt.answer.order() else {
            return Travelled { attempt, hold_took, payment: None, arrived: false };
        };
        let begun = now();
        let paid = PayAnswer::of(connection.send(&pay(buyer, id)).await);
        let payment = Some((paid, begun.elapsed()));
        let arrived = paid == PayAnswer::Paid && arrive(connection, buyer, id).await;
        Travelled { attempt, hold_took, payment, arrived }
    }
}

/// Looks at the order until it is complete, and then at its pass.
async fn arrive(connection: &mut Connection, buyer: &Buyer, id: OrderId) -> bool {
    let call = order(buyer, id);
    let complete = async {
        while !connection.send(&call).await.is_ok_and(|answer| answer.says(r#""status":"complete""#)) {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    if tokio::time::timeout(PATIENCE, complete).await.is_err() {
        return false;
    }
    let shown = connection.send(&passes(buyer, id)).await;
    shown.is_ok_and(|answer| answer.status == 200 && answer.says(r#""code":"#))
}

/// One request, again and again.
pub(crate) struct Look(pub(crate) Call);

impl Visit for Look {
    /// The status; 0 if there was no answer.
    type Outcome = u16;

    async fn visit(&self, connection: &mut Connection, _: usize) -> u16 {
        connection.send(&self.0).await.map_or(0, |answer| answer.status)
    }
}

/// The durations of those that meet a condition.
pub(crate) fn latencies<T>(visits: &[Timed<T>], which: impl Fn(&T) -> bool) -> impl Iterator<Item = Duration> {
    visits.iter().filter(move |visit| which(&visit.outcome)).map(Timed::latency)
}
