//! How large the world of a run is, and which guard is left out.

use common::events::tickets::{Listing, RefundPolicy};
use common::id::{OrderId, TicketId, UserId};
use common::money::{Currency, Money};
use orders::inventory::{Inventory, PendingHold};
use orders::order::Order;

use super::properties::Memo;
use super::state::{DEADLINE, Desk, Luck, START, Sale, Shared, State};

/// What a system without the compensation of late money makes of a success for an order that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Late {
    /// The order is over, so nothing.
    Ignored,
    /// Money is money, so the order is complete.
    Accepted,
}

/// The guard that is left out, to see that the properties notice it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Removed {
    Nothing,
    /// The deadline releases the places at once: payments is not asked, and does not close the intent of an order that ended.
    Arbiter,
    /// The same, and money that comes late is not made good either.
    ArbiterAndLateMoney(Late),
    /// A movement that is told twice is made twice.
    SettledOnce,
    /// A payment that is stored replaces the one that is there.
    FirstInsert,
    /// The inventory is written whatever its version is.
    CompareAndSet,
    /// A write whose answer was lost is taken for not made because the old version still stands there, and pending holds are not
    /// looked at.
    LostIsUnknown,
    /// A hold that is asked for again is not looked up among the orders.
    LookUp,
    /// An order whose money went back returns all its places, whoever is inside.
    Inside,
}

impl Removed {
    pub(super) fn arbiter(self) -> bool {
        matches!(self, Self::Arbiter | Self::ArbiterAndLateMoney(_))
    }
}

/// Who brings the word that a deadline has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deadlines {
    /// The sweep of orders, which does whatever expiration's word would do, and whenever it would.
    Sweep,
    /// Expiration and the broker's scheduler alone.
    Expiration,
}

/// One run.
#[derive(Debug)]
pub(super) struct World {
    /// The orders as they will be stored, one for each buyer.
    pub(super) orders: Vec<Order>,
    pub(super) capacity: u32,
    /// Replicas of orders, each with its desk for the listing.
    pub(super) desks: usize,
    /// How many answers of Stripe may wait in processes, for one order.
    pub(super) readers: usize,
    pub(super) deadlines: Deadlines,
    /// Whether messages that were handled may come again.
    pub(super) duplicates: bool,
    /// Whether desks also come only to forget keys, and not just together with something to move.
    pub(super) tidies: bool,
    /// Whether a bank may take its time, and may want the buyer to authenticate.
    pub(super) slow_bank: bool,
    /// Whether buyers may cancel.
    pub(super) cancels: bool,
    /// How many writes of the inventory may be given up and land later.
    pub(super) late_writes: u8,
    pub(super) luck: Luck,
    pub(super) removed: Removed,
    /// What must be possible in this run.
    pub(super) reaches: Vec<&'static str>,
    pub(super) memo: Memo,
}

impl World {
    /// Buyers who want one place each, at these prices in cents.
    pub(super) fn new(cents: &[i64], capacity: u32) -> Self {
        Self {
            orders: cents.iter().enumerate().map(|(buyer, cents)| order(buyer, *cents)).collect(),
            capacity,
            desks: 1,
            readers: 1,
            deadlines: Deadlines::Sweep,
            duplicates: true,
            tidies: true,
            slow_bank: false,
            cancels: false,
            late_writes: 0,
            luck: Luck::default(),
            removed: Removed::Nothing,
            reaches: Vec::new(),
            memo: Memo::default(),
        }
    }

    /// A buyer who wants two places.
    pub(super) fn of_two_places(cents: i64) -> Self {
        let order = order(0, cents);
        let total = order.unit_price.times(2).unwrap();
        Self { orders: vec![Order { quantity: 2, total, ..order }], ..Self::new(&[], 2) }
    }

    pub(super) fn start(&self) -> State {
        let sale = Sale { luck: self.luck, ..Sale::default() };
        State {
            inventory: Shared::new(Inventory::new(self.orders[0].ticket_id, self.capacity)),
            late: Vec::new(),
            may_be_late: self.late_writes,
            desks: vec![Desk::Idle; self.desks],
            sales: self.orders.iter().map(|_| Shared::new(sale.clone())).collect(),
        }
    }
}

/// Ids follow from the buyer's number, so that every run has the same states.
fn order(buyer: usize, cents: i64) -> Order {
    let parent = uuid::Uuid::nil();
    let unit_price = Money::from_minor(cents, Currency::USD).unwrap();
    let listing = Listing {
        ticket_id: TicketId::derived(parent, "ticket"),
        seller_id: UserId::derived(parent, "seller"),
        title: "Friday".to_owned(),
        price: unit_price,
        quantity: 1,
        per_order_limit: None,
        venue: None,
        starts_at: None,
        time_zone: None,
        sale_ends_at: None,
        refund_policy: RefundPolicy::UntilStart,
        suspended: false,
    };
    let order_id = OrderId::derived(parent, &format!("order {buyer}"));
    let buyer_id = UserId::derived(parent, &format!("buyer {buyer}"));
    let hold = PendingHold { order_id, buyer_id, quantity: 1, unit_price, at: START, expires_at: DEADLINE };
    Order::held(&listing, &hold).unwrap()
}
