//! What happened in a run, as those outside saw it: every call with its answer, and what everybody sees at the end.

use std::collections::BTreeMap;

use common::clock::Time;
use serde_json::Value;

/// Everything the checker decides from.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The places of each listing, by its id.
    pub capacities: BTreeMap<String, u32>,
    /// How far the clocks of the processes may have been from the true time, in milliseconds.
    pub skew_ms: i64,
    /// Whether everybody has insisted on an answer also where a first request with the same key was said to be in progress: one
    /// whose process was killed is, until its lease ends.
    pub insisted: bool,
    /// Every call, in the order of the answers.
    pub calls: Vec<Call>,
    /// What everybody sees when all has come to rest.
    pub end: Snapshot,
}

/// One call and its answer.
#[derive(Clone, Debug)]
pub struct Call {
    /// Who called.
    pub who: usize,
    /// When it was sent.
    pub began: Time,
    /// When its answer was there, or given up.
    pub ended: Time,
    /// What was called for.
    pub wish: Wish,
    /// Its `Idempotency-Key`; calls with the same one are repetitions of one request.
    pub key: Option<String>,
    /// What came of it.
    pub outcome: Outcome,
}

/// What is called for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Places of a listing.
    Hold {
        /// The listing.
        ticket: String,
        /// How many.
        quantity: u32,
    },
    /// To pay an order.
    Pay {
        /// The order.
        order: String,
        /// With which of Stripe's test methods.
        method: String,
    },
    /// To give an order up, or its money back.
    Cancel {
        /// The order.
        order: String,
    },
    /// The seller gives money back.
    Refund {
        /// The order.
        order: String,
        /// How much, in minor units; all that is left if not said.
        amount: Option<i64>,
    },
    /// The seller says something else of a show, or says it for the first time.
    Move {
        /// The listing.
        ticket: String,
        /// What is said.
        show: Show,
    },
    /// The seller lets somebody in.
    CheckIn {
        /// The order of the pass.
        order: String,
        /// At whose door.
        ticket: String,
        /// The code of the pass.
        code: String,
    },
    /// The seller undoes that.
    Undo {
        /// The order of the pass.
        order: String,
        /// The pass.
        pass: String,
        /// When it was used.
        at: String,
    },
    /// To see an order.
    LookAtOrder {
        /// The order.
        order: String,
    },
    /// To see a listing.
    LookAtTicket {
        /// The listing.
        ticket: String,
    },
}

/// What came of a call.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It was answered with 2xx: what the answer says is a promise.
    Acknowledged(Said),
    /// It was answered with 4xx: nothing was done.
    Refused {
        /// The status.
        status: u16,
        /// The problem's code.
        code: String,
    },
    /// No answer, or 5xx: it may have been done.
    Unknown(String),
}

/// What an answer says.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// The id of the order, payment or listing.
    pub id: String,
    /// Its `status`, if it has one.
    pub status: String,
    /// Until when an order is held.
    pub expires_at: Option<Time>,
    /// The places of a listing.
    pub places: Option<Places>,
    /// What it says of a show.
    pub shown: Shown,
}

/// What is said of a show: the fields of [`SHOW`], by their names.
pub type Show = BTreeMap<String, Value>;

/// What people go by who come to a show, as the API names it.
pub const SHOW: [&str; 4] = ["title", "venue", "startsAt", "timeZone"];

/// What an answer says of a show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// What holds by now.
    pub now: Show,
    /// What the buyer was told at the hold, where that is different.
    pub was: Show,
}

impl Shown {
    /// What an answer's body says.
    pub fn in_body(body: &Value) -> Self {
        let fields = |body: &Value| {
            let said = SHOW.iter().filter_map(|field| Some(((*field).to_owned(), body.get(field)?.clone())));
            said.collect()
        };
        Self { now: fields(body), was: fields(&body["was"]) }
    }

    /// What the buyer was told at the hold.
    pub fn told(&self) -> Show {
        self.now.iter().chain(&self.was).map(|(field, value)| (field.clone(), value.clone())).collect()
    }
}

/// The places of a listing as its page shows them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// How many there are.
    pub quantity: u32,
    /// How many are held.
    pub held: u32,
    /// How many are sold.
    pub sold: u32,
    /// How many are free.
    pub available: u32,
}

/// What everybody sees at one time. Orders are looked at first, then the listings, then the bank.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// The orders that each buyer's list shows, as often as it shows them.
    pub listed: BTreeMap<usize, Vec<String>>,
    /// The orders, by id; those that were promised and are not found are missing.
    pub orders: BTreeMap<String, OrderSeen>,
    /// What the buyers' lists say of the shows, by order.
    pub in_lists: BTreeMap<String, Shown>,
    /// The listings' pages, by id.
    pub tickets: BTreeMap<String, Places>,
    /// What these pages say of the shows.
    pub shows: BTreeMap<String, Show>,
    /// The listings as orders counts them, by id.
    pub inventories: BTreeMap<String, Counted>,
    /// All charges at the bank for these orders, and those that name no known order.
    pub charges: Vec<Charge>,
    /// Dead letters, each as one line: an event that was given up is never at rest.
    pub dead_letters: Vec<String>,
    /// What still waits behind the API, each as one line: events that are parked, or that nobody has published.
    pub waiting: Vec<String>,
    /// Processes that ended though nobody had ended them.
    pub deaths: Vec<String>,
}

/// The places of a listing as its inventory has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// How many are held.
    pub held: u32,
    /// How many are sold.
    pub sold: u32,
}

/// An order as its buyer sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderSeen {
    /// Whose it is.
    pub buyer: usize,
    /// Of which listing.
    pub ticket: String,
    /// How many places.
    pub quantity: u32,
    /// What it costs, in minor units.
    pub total: i64,
    /// Where it stands.
    pub status: String,
    /// How many passes it has.
    pub passes: u32,
    /// What it says of its show.
    pub shown: Shown,
    /// How many of its passes are used.
    pub admitted: u32,
    /// How many of its places stay sold although its money went back, because their guests are inside.
    pub inside: u32,
}

/// One charge at the bank.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Charge {
    /// The order it names.
    pub order: String,
    /// What came in, in minor units.
    pub captured: i64,
    /// What went back, in minor units.
    pub returned: i64,
    /// What went back with each refund, in minor units.
    pub refunds: Vec<i64>,
}

/// The code of the problem that says so.
pub const IN_PROGRESS: &str = "request_in_progress";

impl OrderSeen {
    /// Whether it holds places that are not paid.
    pub fn is_held(&self) -> bool {
        matches!(self.status.as_str(), "created" | "awaiting_payment" | "expiring")
    }

    /// How many of its places are sold.
    pub fn sold(&self) -> u32 {
        if self.status == "complete" { self.quantity } else { self.inside }
    }

    /// Whether nothing more will become of it by itself.
    pub fn is_at_rest(&self) -> bool {
        matches!(self.status.as_str(), "complete" | "expired" | "cancelled" | "refunded")
    }
}
