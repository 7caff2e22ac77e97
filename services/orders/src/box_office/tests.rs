//! Hold queues on a real database. One that panics tells who waits, and the request that is repeated has its places once. Places
//! that come back are given to nobody who has enough.

use std::sync::atomic::{AtomicI64, Ordering};

use common::bus::{Bus, Namespace};
use common::clock::{Clock, SystemClock, Time};
use common::events::By as _;
use common::id::{OrderId, UserId};
use common::settings::Settings;
use common::store::{Client, Database, Projection, Relay};

use super::wishes::tests::order;
use super::*;
use crate::order::Input;
use crate::store::{TICKETS, indexes};

/// So often at most a hold looks at the clock on its way; the first look is that of the request itself.
const LOOKS: i64 = 4;

/// A clock that panics when it is looked at for the time that it was told to.
#[derive(Default)]
struct Fragile(AtomicI64);

impl Clock for Fragile {
    fn now(&self) -> Time {
        assert!(self.0.fetch_sub(1, Ordering::SeqCst) != 1, "breaks on purpose");
        SystemClock.now()
    }
}

struct Queue {
    clock: Arc<Fragile>,
    box_office: BoxOffice,
    inventories: Aggregates<Inventory>,
    orders: OrderStore,
}

impl Queue {
    async fn on(database: &Database) -> Self {
        let clock = Arc::<Fragile>::default();
        let shared: SharedClock = clock.clone();
        let bus = Bus::connect(&variable("DOCKET_TEST_NATS_URL"), Namespace::new(database.name())).await.unwrap();
        let (relay, _idle) = Relay::new("orders", database, bus, shared.clone());
        for indexes in indexes() {
            indexes.ensure(database).await.unwrap();
        }
        let inventories: Aggregates<Inventory> = Aggregates::new(database, relay.clone(), shared.clone());
        let orders = OrderStore::new(
            Aggregates::new(database, relay, shared.clone()),
            crate::pass_codes::tests::codes(),
            shared.clone(),
        );
        let limits = HoldLimits::of(&Settings::default_for_tests());
        let tickets = Projection::new(database, TICKETS);
        let box_office = BoxOffice::new(inventories.clone(), orders.clone(), tickets, limits, shared, Meter::new());
        Self { clock, box_office, inventories, orders }
    }

    /// An order of a new listing, which has `capacity` places, until a quarter of an hour from now.
    async fn of_new_listing(&self, capacity: u32, quantity: u32) -> Order {
        let order = order(UserId::generate(SystemClock.now()), quantity);
        let inventory = Inventory::new(order.ticket_id, capacity);
        let made = inventory.changed().by_system();
        self.inventories.insert(inventory, made).await.unwrap();
        Order { expires_at: SystemClock.now() + std::time::Duration::from_secs(900), ..order }
    }

    /// Holds one place of a new listing while the clock breaks at its `look`th look. Answers whether anybody was told of it.
    async fn hold_once(&self, look: i64) -> bool {
        let order = self.of_new_listing(3, 1).await;
        let ticket = order.ticket_id;
        self.clock.0.store(look, Ordering::SeqCst);
        let first = self.box_office.hold(order.clone(), false, None).await;
        assert!(matches!(first, Ok(Held::New) | Err(HoldError::Busy)), "look {look}: {first:?}");
        self.clock.0.store(0, Ordering::SeqCst);
        let again = self.box_office.hold(order, true, None).await;
        assert!(again.is_ok(), "look {look}: another hold queue is there: {again:?}");
        assert_eq!(self.inventories.get(ticket).await.unwrap().unwrap().value.held, 1, "look {look}");
        first.is_err()
    }
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("run `cargo xtask test`, or set {name}"))
}

async fn new_database() -> Database {
    let client = Client::connect(&variable("DOCKET_TEST_MONGODB_URI")).await.unwrap();
    let name = format!("hold_queue_{}", UserId::generate(SystemClock.now()).uuid().simple());
    client.database(&name)
}

#[tokio::test]
async fn a_hold_queue_that_panics_tells_who_waits_and_another_one_goes_on() {
    let database = new_database().await;
    let queue = Queue::on(&database).await;
    let mut told = 0;
    for look in 2..=LOOKS {
        told += usize::from(queue.hold_once(look).await);
    }
    database.run_command(bson::doc! { "dropDatabase": 1 }).await.unwrap();
    assert!(told > 0, "no hold queue has looked at the clock, so none has panicked");
}

/// Nobody has come to the hold queue for the places that an order gives back: they are noticed by a decision on somebody's wish.
#[tokio::test]
async fn places_that_come_back_are_given_to_nobody_who_has_enough() {
    let database = new_database().await;
    let queue = Queue::on(&database).await;
    let held = queue.of_new_listing(3, 2).await;
    let Queue { box_office, orders, .. } = queue;
    let limit = Some(2);
    box_office.hold(held.clone(), false, limit).await.unwrap();
    let now = SystemClock.now();
    let sold = Order { id: OrderId::generate(now), buyer_id: UserId::generate(now), quantity: 1, ..held.clone() };
    box_office.hold(sold.clone(), false, limit).await.unwrap();
    orders.inform(sold.id, Input::PaymentSucceeded).await.unwrap();
    box_office.settle(sold.ticket_id, sold.id).await.unwrap();
    orders.inform(sold.id, Input::MoneyReturned).await.unwrap();
    let more = Order { id: OrderId::generate(now), quantity: 1, ..held };
    let refused = box_office.hold(more, false, limit).await;
    assert!(matches!(refused, Err(HoldError::TooMany(_))), "{refused:?}");
    database.run_command(bson::doc! { "dropDatabase": 1 }).await.unwrap();
}
