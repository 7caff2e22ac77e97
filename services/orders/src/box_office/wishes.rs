//! Which of the holds that wait are granted.
//!
//! Wishes are decided on one version of the inventory. What the orders say is read after that version is known: the orders of
//! repeated requests, and what the buyers have not paid, free tickets among it. A hold that lands meanwhile, at whatever replica,
//! changes the version, and the write that relies on what was read before it fails. So a repeated hold is counted once and the
//! limits are exact.
//!
//! A hold is repeated when its key's lease has run out, so a first request must not be decided after that without a look at its
//! order. It never is: what has waited for longer than [`LONGEST_WAIT`], which is less than a lease, is turned away.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use common::clock::Time;
use common::id::{OrderId, UserId};
use common::store::StoreError;

use super::{HoldAnswer, HoldError, Stores};
use crate::hold_limits::{HoldLimits, Standing, Wanted};
use crate::inventory::{Inventory, PendingHold};
use crate::order::Order;
use crate::store::Wanting;

/// So long a hold waits for its turn; then its buyer is told to come again.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// A hold that somebody wants.
pub(super) struct Wish {
    /// The order to be.
    pub(super) order: Box<Order>,
    /// Whether an earlier request may have made the order.
    pub(super) repeated: bool,
    /// How many places of the listing the buyer may have unpaid.
    pub(super) limit: Option<u32>,
    /// Since when it waits.
    pub(super) since: Time,
    pub(super) traceparent: Option<String>,
    pub(super) answer: HoldAnswer,
}

impl Wish {
    fn waited_too_long(&self, now: Time) -> bool {
        self.answer.is_closed() || now.since(self.since) > LONGEST_WAIT
    }
}

/// How a hold has its places.
#[derive(Debug)]
pub(super) enum Grant {
    /// By this decision.
    New,
    /// By an earlier one, and its order may not be stored yet.
    Pending(PendingHold),
    /// By an earlier one, and its order is stored.
    Stored,
}

/// What becomes of a wish.
pub(super) type Verdict = Result<Grant, HoldError>;

/// What the orders say of the wishes.
#[derive(Default)]
pub(super) struct Known {
    stored: HashSet<OrderId>,
    of_buyers: HashMap<UserId, Vec<Standing>>,
}

impl Known {
    /// Reads what the wishes need, together with what other listings need. `inventory` must be the version on which they are
    /// decided. The orders of first requests are looked up only if `overtaken`, or if nothing is known of their buyers. Nobody asks
    /// what those have who want more than the `left` places, as they get none in any case.
    pub(super) async fn read(
        stores: &Stores,
        inventory: &Inventory,
        wishes: &[Wish],
        left: u32,
        overtaken: bool,
    ) -> Result<Self, StoreError> {
        let Some(since) = wishes.iter().map(|wish| wish.since).min() else { return Ok(Self::default()) };
        let buyers: HashSet<UserId> = wishes.iter().map(|wish| wish.order.buyer_id).collect();
        let all = overtaken || !stores.limits.ask();
        let repeated = wishes.iter().filter(|wish| all || wish.repeated).map(|wish| wish.order.id);
        let pending: Vec<&PendingHold> =
            inventory.pending.iter().filter(|hold| buyers.contains(&hold.buyer_id)).collect();
        let looked_up = repeated.chain(pending.iter().map(|hold| hold.order_id)).collect();
        let limited = wishes.iter().filter(|wish| stores.limits.ask() && wish.order.quantity <= left);
        let limited = limited.map(|wish| wish.order.buyer_id).collect();
        let wanting = Wanting { ticket: inventory.ticket_id, buyers: limited, counting: stores.limits.counting(since) };
        let counted = stores.orders.counted_of(wanting);
        let (stored, counted) = tokio::try_join!(stores.orders.stored_of(looked_up), counted)?;
        Ok(Self::of(inventory, stored.into_iter().chain(counted), pending))
    }

    /// A pending hold whose order is stored is what its order says, and else it holds its places.
    fn of(inventory: &Inventory, stored: impl Iterator<Item = Standing>, pending: Vec<&PendingHold>) -> Self {
        let stored: HashMap<OrderId, Standing> = stored.map(|order| (order.id, order)).collect();
        let pending = pending.into_iter().filter(|hold| !stored.contains_key(&hold.order_id));
        let pending = pending.map(|hold| Standing::pending(inventory.ticket_id, hold));
        let mut known = Self { stored: stored.keys().copied().collect(), ..Self::default() };
        pending.chain(stored.values().cloned()).for_each(|order| known.note(order));
        known
    }

    fn note(&mut self, order: Standing) {
        self.of_buyers.entry(order.buyer_id).or_default().push(order);
    }

    /// Decides a wish, and takes its places in `next` if it is granted.
    pub(super) fn decide(&mut self, wish: &Wish, next: &mut Inventory, limits: &HoldLimits, now: Time) -> Verdict {
        let order = &wish.order;
        if wish.waited_too_long(now) {
            return Err(HoldError::Busy);
        }
        if self.stored.contains(&order.id) {
            return Ok(Grant::Stored);
        }
        if let Some(pending) = next.pending_of(order.id) {
            return Ok(Grant::Pending(pending.clone()));
        }
        let has = self.of_buyers.get(&order.buyer_id).map_or(&[][..], Vec::as_slice);
        limits.allow(has, Wanted::from(&**order), wish.limit, now)?;
        let hold = PendingHold::of(order);
        let standing = Standing::pending(order.ticket_id, &hold);
        next.hold(hold)?;
        self.note(standing);
        Ok(Grant::New)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use common::id::TicketId;
    use common::money::{Currency, Money};
    use tokio::sync::oneshot;

    use super::super::Held;
    use super::*;
    use crate::order::OrderState;
    use crate::order::tests::listing;

    const NOW: Time = Time::from_millis(100_000_000);
    const LIMITS: HoldLimits = HoldLimits { unpaid_places: 100, pause_after: 2, pause: Duration::from_secs(300) };

    pub(in crate::box_office) fn order(buyer_id: UserId, quantity: u32) -> Order {
        let unit_price = Money::from_minor(500, Currency::USD).unwrap();
        let hold =
            PendingHold { order_id: OrderId::generate(NOW), buyer_id, quantity, unit_price, at: NOW, expires_at: NOW };
        Order::held(&listing(500), &hold).unwrap()
    }

    fn wish(buyer_id: UserId, quantity: u32) -> (Wish, oneshot::Receiver<Result<Held, HoldError>>) {
        let order = order(buyer_id, quantity);
        let (answer, answered) = oneshot::channel();
        let order = Box::new(order);
        (Wish { order, repeated: false, limit: Some(2), since: NOW, traceparent: None, answer }, answered)
    }

    fn somebody() -> UserId {
        UserId::generate(NOW)
    }

    #[test]
    fn a_hold_that_was_made_before_counts_nothing() {
        let mut inventory = Inventory::new(TicketId::generate(NOW), 10);
        let (wish, _answered) = wish(somebody(), 2);
        let decide = |known: &mut Known, next: &mut Inventory| known.decide(&wish, next, &LIMITS, NOW);
        assert!(matches!(decide(&mut Known::default(), &mut inventory), Ok(Grant::New)));
        assert!(
            matches!(decide(&mut Known::default(), &mut inventory), Ok(Grant::Pending(_))),
            "although it is the limit"
        );
        let stored = Standing::pending(inventory.ticket_id, &inventory.pending[0]);
        inventory.forget_holds(&[wish.order.id]);
        let mut known = Known::of(&inventory, [stored].into_iter(), Vec::new());
        assert!(matches!(decide(&mut known, &mut inventory), Ok(Grant::Stored)));
        assert_eq!(inventory.held, 2);
    }

    #[test]
    fn the_limit_counts_what_is_stored_pending_and_granted_beside() {
        let buyer = somebody();
        let mut inventory = Inventory::new(TicketId::generate(NOW), 10);
        let (first, _answered) = wish(buyer, 1);
        let (second, _answered) = wish(buyer, 1);
        let (third, _answered) = wish(buyer, 1);
        let (other, _answered) = wish(somebody(), 2);
        let mut known = Known::default();
        assert!(known.decide(&first, &mut inventory, &LIMITS, NOW).is_ok());
        assert!(known.decide(&second, &mut inventory, &LIMITS, NOW).is_ok());
        assert!(matches!(known.decide(&third, &mut inventory, &LIMITS, NOW), Err(HoldError::TooMany(_))));
        assert!(known.decide(&other, &mut inventory, &LIMITS, NOW).is_ok());

        let pending = inventory.pending.clone();
        let of_first = Standing::pending(inventory.ticket_id, &pending[0]);
        let decided = |stored: Vec<Standing>| {
            let mut known = Known::of(&inventory, stored.into_iter(), pending.iter().collect());
            known.decide(&third, &mut inventory.clone(), &LIMITS, NOW).is_ok()
        };
        assert!(!decided(Vec::new()), "two are pending");
        assert!(!decided(vec![of_first.clone()]), "the stored one counts once");
        assert!(decided(vec![Standing { state: OrderState::Cancelled, ..of_first }]), "it has ended");
    }

    #[test]
    fn who_has_waited_too_long_or_has_gone_gets_nothing() {
        let mut inventory = Inventory::new(TicketId::generate(NOW), 10);
        let (late, _answered) = wish(somebody(), 2);
        let later = NOW + LONGEST_WAIT + Duration::from_millis(1);
        assert!(matches!(Known::default().decide(&late, &mut inventory, &LIMITS, later), Err(HoldError::Busy)));
        let (gone, answered) = wish(somebody(), 2);
        drop(answered);
        assert!(matches!(Known::default().decide(&gone, &mut inventory, &LIMITS, NOW), Err(HoldError::Busy)));
        assert_eq!(inventory.held, 0);
    }
}
